"""Hooks of modules: what they see, what they may change, when they run, in both libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn import hooks


def described(value: Any) -> Any:
    """Nested tuples of rounded lists, so that both libraries' values can be compared."""
    if isinstance(value, tuple | list):
        return tuple(described(v) for v in value)
    if isinstance(value, dict):
        return {k: described(v) for k, v in value.items()}
    return value if value is None or isinstance(value, str | int | float) else np.round(value.tolist(), 8).tolist()


def block(torch: Any) -> Any:
    """A module with two inputs, one keyword and two outputs, and one module inside."""

    class Block(torch.nn.Module):  # type: ignore[misc, name-defined]
        """y = a·w + b, z = a²."""

        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor([2.0, 3.0], dtype=torch.float64))
            self.inner = torch.nn.Tanh()

        def forward(self, a: Any, b: Any = None, factor: float = 1.0) -> Any:
            y = self.inner(a * self.w) * factor
            return (y if b is None else y + b), a * a

    return Block()


def run(torch: Any, attach: Callable[[Any, Any, Any, list[Any]], Any], loss: str = "both") -> list[Any]:
    """One step with hooks attached by `attach(torch, module, inner, log)`: what they logged, and all gradients."""
    log: list[Any] = []
    module = block(torch)
    attach(torch, module, module.inner, log)
    a = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    y, z = module(a, b, factor=3.0)
    total = {"both": lambda: (y * z).sum(), "first": lambda: y.sum(), "second": lambda: z.sum()}[loss]()
    total.backward()
    return [*log, described([y.detach(), z.detach(), a.grad, b.grad, module.w.grad])]


def watch(torch: Any, module: Any, inner: Any, log: list[Any]) -> None:
    """Every kind of hook on both modules; none changes anything."""
    for name, m in (("block", module), ("inner", inner)):
        m.register_forward_pre_hook(lambda _, args, name=name: log.append((name, "pre", described(args))))
        m.register_forward_hook(lambda _, args, out, name=name: log.append((name, "post", described([args, out]))))
        m.register_full_backward_pre_hook(lambda _, out, name=name: log.append((name, "out", described(out))))
        m.register_full_backward_hook(lambda _, i, o, name=name: log.append((name, "in", described([i, o]))))


def keywords(torch: Any, module: Any, inner: Any, log: list[Any]) -> None:
    """Hooks that see and change keyword arguments; the one put in front runs first."""

    def double(_: Any, args: Any, kwargs: Any) -> Any:
        log.append(("kwargs", described(kwargs)))
        return args, {"factor": kwargs["factor"] * 2}

    module.register_forward_pre_hook(double, with_kwargs=True)
    module.register_forward_pre_hook(lambda _, args, kwargs: log.append("first"), with_kwargs=True, prepend=True)
    module.register_forward_hook(
        lambda _, args, kwargs, out: log.append(described(kwargs)) or (out[0] * 2, out[1]), with_kwargs=True
    )
    inner.register_forward_pre_hook(lambda _, args: args[0] * 0.5)


def replace(torch: Any, module: Any, inner: Any, log: list[Any]) -> None:
    """Backward hooks whose result takes the place of the gradient."""
    inner.register_full_backward_pre_hook(lambda _, out: (out[0] * 2,))
    inner.register_full_backward_hook(lambda _, i, o: log.append(described([i, o])) or (i[0] * 10,))
    module.register_full_backward_hook(lambda _, i, o: log.append(described([i, o])) or (i[0] + 1, None))


def removed(torch: Any, module: Any, inner: Any, log: list[Any]) -> None:
    """Handles take hooks away, by hand and at the end of a block."""
    handles = [module.register_forward_hook(lambda _, a, o: log.append("gone")) for _ in range(3)]
    handles[0].remove(), handles[2].remove()
    with inner.register_full_backward_hook(lambda _, i, o: log.append("never")):
        pass


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize(
    ("attach", "loss"),  # for "second" PyTorch runs the hooks of the inner module too, which has no gradient
    [(watch, "both"), (watch, "first"), (replace, "both")]
    + [(attach, loss) for attach in (keywords, removed) for loss in ("both", "first", "second")],
)
def test_hooks_see_and_change_what_they_do_in_pytorch(attach: Any, loss: str) -> None:
    ours, theirs = run(tg, attach, loss), run(pytest.importorskip("torch"), attach, loss)
    assert ours == theirs


def test_forgotten_handles_do_not_make_hooks_forget_each_other() -> None:
    seen: list[int] = []
    layer, x = tg.nn.Linear(2, 2), tg.ones(1, 2, requires_grad=True)
    for i in range(5):
        layer.register_forward_hook(lambda m, a, o, i=i: seen.append(i))
        x.register_hook(lambda g, i=i: seen.append(10 + i))
    layer(x).sum().backward()
    assert seen == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_a_hook_that_is_always_called_runs_after_an_error_too() -> None:
    seen: list[str] = []
    layer = tg.nn.Linear(2, 2)
    layer.register_forward_hook(lambda m, a, o: seen.append("never"))
    layer.register_forward_hook(lambda m, a, o: seen.append(f"always {o}"), always_call=True)
    with pytest.raises(RuntimeError, match="Linear"):
        layer(tg.ones(3, 3))
    assert seen == ["always None"]
    layer.register_forward_hook(lambda m, a, o: 1 / 0, always_call=True)
    with pytest.warns(UserWarning, match="failed too"), pytest.raises(RuntimeError, match="Linear"):
        layer(tg.ones(3, 3))


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_backward_hooks_without_a_gradient_at_the_inputs_run_all_the_same() -> None:
    def trace(torch: Any) -> list[Any]:
        log: list[Any] = []
        module = block(torch)
        module.register_full_backward_hook(lambda _, i, o: log.append(described([i, o])))
        module(torch.tensor([1.0, 2.0], dtype=torch.float64))[0].sum().backward()
        return log

    ours = trace(tg)
    assert ours
    assert ours[0][0] == (None,)
    assert ours == trace(pytest.importorskip("torch"))


def test_backward_hooks_complain_about_what_does_not_fit() -> None:
    layer = tg.nn.Linear(2, 2)
    handle = layer.register_full_backward_hook(lambda m, i, o: (i[0], i[0]))
    with pytest.raises(RuntimeError, match="returned 2 gradients in place of 1"):
        layer(tg.ones(1, 2, requires_grad=True)).sum().backward()
    handle.remove()
    layer.register_full_backward_hook(lambda m, i, o: (o[0],))
    with pytest.raises(RuntimeError, match="must return None"):
        layer(tg.ones(1, 2)).sum().backward()
    with pytest.raises(TypeError, match="a hook is a function"):
        layer.register_forward_hook("print")  # type: ignore[arg-type]
    layer.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"\(args, kwargs\)"):
        layer(tg.ones(1, 2))


def test_hooks_of_all_modules_run_before_a_modules_own() -> None:
    def trace(torch: Any, home: Any) -> list[Any]:
        log: list[Any] = []
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
        model.register_forward_hook(lambda m, a, o: log.append("own"))
        kinds = {
            "forward": lambda m, a, o: log.append(f"forward {type(m).__name__}"),
            "forward_pre": lambda m, a: log.append(f"pre {type(m).__name__}"),
            "full_backward": lambda m, i, o: log.append(f"backward {type(m).__name__}"),
            "full_backward_pre": lambda m, o: log.append(f"backward pre {type(m).__name__}"),
        }
        handles = [getattr(home, f"register_module_{kind}_hook")(f) for kind, f in kinds.items()]
        try:
            model(torch.ones(1, 2, requires_grad=True)).sum().backward()
        finally:
            for handle in handles:
                handle.remove()
        model(torch.ones(1, 2))
        return log

    ours = trace(tg, hooks)
    assert len(ours) == 14
    torch = pytest.importorskip("torch")
    assert ours == trace(torch, torch.nn.modules.module)


def test_hooks_of_the_state_rename_report_and_forgive() -> None:
    def trace(torch: Any) -> list[Any]:
        nn, log = torch.nn, []
        model = nn.Sequential(nn.Linear(2, 1), nn.Sequential(nn.Linear(1, 1)))
        inner = model[1][0]
        inner.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("before", prefix, keep)))
        model[1].register_state_dict_post_hook(
            lambda m, state, prefix, _: (
                log.append(("after", prefix, list(state))) or (state.pop(f"{prefix}0.bias") and None)
            )
        )
        state = model.state_dict()
        log.append(list(state))
        state["1.old"] = state.pop("1.0.weight")

        def rename(
            m: Any, state: Any, prefix: str, meta: Any, strict: bool, missing: Any, extra: Any, errors: Any
        ) -> None:
            log.append(("rename", prefix, strict, list(state)))
            state[f"{prefix}0.weight"] = state.pop(f"{prefix}old")

        def forgive(m: Any, keys: Any) -> None:
            log.append(("forgive", list(keys.missing_keys), list(keys.unexpected_keys)))
            keys.missing_keys.clear()

        model[1].register_load_state_dict_pre_hook(rename)
        handle = model.register_load_state_dict_post_hook(forgive)
        log.append(str(model.load_state_dict(state)))
        log.append(sorted(state))
        handle.remove()
        inner.register_load_state_dict_pre_hook(lambda *a: a[-1].append("a complaint"))
        with pytest.raises(RuntimeError, match="a complaint"):
            model.load_state_dict(state)
        return log

    ours = trace(tg)
    assert "<All keys matched successfully>" in ours
    assert ours == trace(pytest.importorskip("torch"))
