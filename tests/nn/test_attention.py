"""Attention with several heads and the layers of Transformers: results, gradients, masks, state, errors as PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F

from .twins import built, same

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True", "ignore:Support for mismatched")
RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    """Normal numbers."""
    return RNG.standard_normal(shape)


def padding(batch: int, length: int) -> np.ndarray[Any, Any]:
    """A bool mask (N, S): sequences of length S, S − 1, …, and at least 1."""
    lengths = np.maximum(length - np.arange(batch), 1)
    return np.asarray(np.arange(length) >= lengths[:, None])


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "other sizes": {"kdim": 5, "vdim": 7},
    "other value": {"vdim": 7, "bias": False},
    "learned key": {"add_bias_kv": True},
    "zero key": {"add_zero_attn": True},
    "both, other sizes": {"add_bias_kv": True, "add_zero_attn": True, "kdim": 5, "vdim": 7},
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("need", "average"), [(True, False), (False, True)])
def test_attention_with_all_masks(kind: str, batch_first: bool, need: bool, average: bool) -> None:
    pytest.importorskip("torch")
    options = KINDS[kind]
    ours, theirs = built("MultiheadAttention", 6, 3, batch_first=batch_first, **options)
    n, rows, keys = 2, 4, 5

    def tensor(length: int, width: int) -> np.ndarray[Any, Any]:
        return normal(n, length, width) if batch_first else normal(length, n, width)

    inputs = tensor(rows, 6), tensor(keys, options.get("kdim", 6)), tensor(keys, options.get("vdim", 6))
    one, all_heads = normal(rows, keys), normal(n * 3, rows, keys)
    hidden = np.triu(np.ones((rows, keys), bool), 2)
    masks: list[dict[str, Any]] = [
        {}, {"attn_mask": one}, {"attn_mask": all_heads}, {"attn_mask": hidden},
        {"key_padding_mask": padding(n, keys)}, {"key_padding_mask": padding(n, keys), "attn_mask": hidden},
        {"key_padding_mask": normal(n, keys), "attn_mask": all_heads},
    ]  # fmt: skip
    for mask in masks:
        same(ours, theirs, *inputs, need_weights=need, average_attn_weights=average, **mask)


def test_attention_to_oneself_to_a_memory_and_without_a_batch() -> None:
    pytest.importorskip("torch")
    for batch_first in (False, True):
        ours, theirs = built("MultiheadAttention", 8, 2, batch_first=batch_first)
        x, memory = normal(3, 3, 8), normal(3, 3, 8)

        class Around(nn.Module):
            """Gives one tensor to several arguments."""

            def __init__(self, inner: Any, pattern: str) -> None:
                super().__init__()
                self.inner, self.pattern = inner, pattern

            def forward(self, x: Any, m: Any, **options: Any) -> Any:
                args = [{"x": x, "m": m}[c] for c in self.pattern]
                return self.inner(*args, **options)

        for pattern in ("xxx", "xmm", "xxm", "xmx"):
            outer = type("Outer", (type(theirs).__mro__[1],), {"forward": Around.forward})()
            outer.pattern, outer.inner = pattern, theirs
            same(Around(ours, pattern), outer, x, memory, need_weights=False)
            same(Around(ours, pattern), outer, x, memory)
        alone = normal(4, 8)
        same(ours, theirs, alone, alone, alone, key_padding_mask=np.array([False, True, False, False]))
        same(ours, theirs, alone, normal(2, 8), normal(2, 8), need_weights=False)


def test_attention_in_float32_and_where_a_row_sees_nothing() -> None:
    pytest.importorskip("torch")
    ours, theirs = built("MultiheadAttention", 16, 4, batch_first=True)
    x = normal(2, 9, 16)
    causal = np.triu(np.full((9, 9), -np.inf), 1)
    for need in (False, True):
        same(ours, theirs, x, x, x, need_weights=need, attn_mask=causal, is_causal=True, dtype="float32")
    blind = np.zeros((9, 9), bool)
    blind[4] = True  # with weights: NaN, as in PyTorch; without: zeros before the last map
    ours, theirs = ours.double(), theirs.double()
    import torch

    for need in (False, True):
        mine = ours(*[tg.tensor(x)] * 3, attn_mask=tg.tensor(blind), need_weights=need)[0]
        other = theirs(*[torch.tensor(x)] * 3, attn_mask=torch.tensor(blind), need_weights=need)[0]
        np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-10, atol=1e-12)
        assert np.isnan(mine.detach().numpy()).any() == need


def test_is_causal_names_the_mask_that_is_given() -> None:
    layer = nn.MultiheadAttention(4, 2)
    x = tg.randn(5, 1, 4)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    a, b = (layer(x, x, x, attn_mask=mask, need_weights=False, is_causal=causal)[0] for causal in (False, True))
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-6)
    with pytest.raises(RuntimeError, match="is_causal"):
        layer(x, x, x, is_causal=True)


def test_dropout_drops_weights_in_training_only() -> None:
    tg.manual_seed(1)
    layer = nn.MultiheadAttention(4, 2, dropout=0.5)
    x = tg.randn(50, 2, 4)
    weights = layer(x, x, x)[1].detach().numpy()
    assert 0.15 < (weights == 0).mean() < 0.35  # of both heads at once
    assert abs(weights.sum(-1).mean() - 1) < 0.1
    weights = layer.eval()(x, x, x)[1].detach().numpy()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    a, b = (layer.train()(x, x, x, need_weights=False)[0].detach().numpy() for _ in range(2))
    assert np.abs(a - b).max() > 1e-3


def test_static_keys_and_values() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = (m.double() for m in built("MultiheadAttention", 6, 2))
    ours.load_state_dict({k: tg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    query, key, static = normal(3, 2, 6), normal(4, 2, 6), normal(4, 7, 3)

    def call(module: Any, make: Any, functional: Any) -> Any:
        q, k, s = make(query), make(key), make(static)
        return functional.multi_head_attention_forward(
            q, k, k, 6, 2, module.in_proj_weight, module.in_proj_bias, None, None, False, 0.0, module.out_proj.weight,
            module.out_proj.bias, static_k=s, static_v=s,
        )  # fmt: skip

    for a, b in zip(call(ours, tg.tensor, F), call(theirs, torch.tensor, torch.nn.functional), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x, m: nn.MultiheadAttention(5, 2), ValueError, "must divide"),
        (lambda x, m: nn.MultiheadAttention(0, 2), ValueError, "must be positive"),
        (lambda x, m: m(x, x[0], x), RuntimeError, "must all be"),
        (lambda x, m: m(x[..., :3], x, x), RuntimeError, "3 features"),
        (lambda x, m: m(x, x, x[:2]), RuntimeError, "one length"),
        (lambda x, m: m(x, x[:, :1], x[:, :1]), RuntimeError, "all one batch"),
        (lambda x, m: m(x, x, x, attn_mask=tg.zeros(3, 3)), RuntimeError, r"attn_mask has shape \(3, 3\)"),
        (lambda x, m: m(x, x, x, key_padding_mask=tg.zeros(3, 3)), RuntimeError, "key_padding_mask has shape"),
        (lambda x, m: m(x, x, x, attn_mask=tg.zeros(5, 5, dtype=tg.int64)), RuntimeError, "must be bool"),
        (lambda x, m: nn.TransformerEncoderLayer(4, 2, activation="tanh"), RuntimeError, "relu/gelu, not tanh"),
        (lambda x, m: nn.Transformer(4, 2, 1, 1)(x, x[:, :1]), RuntimeError, "batch number of src and tgt"),
        (lambda x, m: nn.Transformer(8, 2, 1, 1)(x, x), RuntimeError, "equal to d_model"),
    ],
)
def test_what_does_not_fit_is_said(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(tg.randn(5, 2, 4), nn.MultiheadAttention(4, 2))


LAYERS: list[dict[str, Any]] = [
    {}, {"norm_first": True}, {"activation": "gelu", "bias": False}, {"activation": "tanh", "layer_norm_eps": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("options", LAYERS)
@pytest.mark.parametrize("training", [True, False])
def test_the_layers_of_encoder_and_decoder(options: dict[str, Any], batch_first: bool, training: bool) -> None:
    torch = pytest.importorskip("torch")
    n, rows, keys = 2, 3, 4

    def tensor(length: int) -> np.ndarray[Any, Any]:
        return normal(n, length, 8) if batch_first else normal(length, n, 8)

    def pair(name: str) -> tuple[Any, Any]:
        made = [
            getattr(lib.nn, name)(8, 2, 16, 0.0, batch_first=batch_first, **{
                **options, **({"activation": lib.tanh} if options.get("activation") == "tanh" else {})})
            for lib in (tg, torch)
        ]  # fmt: skip
        return made[0], made[1]

    square = np.triu(np.full((rows, rows), -np.inf), 1)
    masks: list[dict[str, Any]] = [{}, {"src_mask": square}, {"src_key_padding_mask": padding(n, rows)}]
    encoder = pair("TransformerEncoderLayer")
    for mask in masks if training else masks[:2]:
        same(*encoder, tensor(rows), training=training, **mask)
    same(*encoder, tensor(rows), training=training, src_mask=square, is_causal=True)
    decoder = pair("TransformerDecoderLayer")
    masks = [{}, {"tgt_mask": square, "memory_mask": normal(rows, keys)}, {"tgt_mask": square, "tgt_is_causal": True},
             {"tgt_key_padding_mask": padding(n, rows), "memory_key_padding_mask": padding(n, keys)}]  # fmt: skip
    for mask in masks:
        same(*decoder, tensor(rows), tensor(keys), training=training, **mask)


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_whole_transformer(batch_first: bool) -> None:
    pytest.importorskip("torch")
    ours, theirs = built("Transformer", 8, 2, 2, 2, 16, 0.0, batch_first=batch_first)
    n, rows, keys = 2, 3, 4
    src, tgt = (normal(n, m, 8) if batch_first else normal(m, n, 8) for m in (keys, rows))
    square = np.triu(np.full((rows, rows), -np.inf), 1)
    same(ours, theirs, src, tgt)
    same(ours, theirs, src, tgt, tgt_mask=square)
    same(
        ours, theirs, src, tgt, src_mask=normal(keys, keys), tgt_mask=square, memory_mask=normal(rows, keys),
        src_key_padding_mask=padding(n, keys), tgt_key_padding_mask=padding(n, rows),
        memory_key_padding_mask=padding(n, keys), tgt_is_causal=True,
    )  # fmt: skip
    same(ours, theirs, normal(keys, 8), normal(rows, 8), tgt_mask=square, dtype="float32")


def test_stacks_with_and_without_a_norm() -> None:
    torch = pytest.importorskip("torch")
    for norm in (False, True):
        made: list[Any] = []
        for lib in (tg, torch):
            layer = lib.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True)
            made.append(
                lib.nn.TransformerEncoder(layer, 3, lib.nn.LayerNorm(8) if norm else None, enable_nested_tensor=False)
            )
        square = np.triu(np.full((4, 4), -np.inf), 1)
        same(*made, normal(2, 4, 8), mask=square, is_causal=True)
        same(*made, normal(2, 4, 8), mask=square)
        same(*made, normal(2, 4, 8), src_key_padding_mask=padding(2, 4))
    np.testing.assert_array_equal(
        nn.Transformer.generate_square_subsequent_mask(4).numpy(),
        torch.nn.Transformer.generate_square_subsequent_mask(4).numpy(),
    )
    wide = nn.Transformer.generate_square_subsequent_mask(4, dtype=tg.float64)
    assert wide.dtype == tg.float64


def test_first_values_are_spread_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for build in (
        lambda nn: nn.MultiheadAttention(64, 4, add_bias_kv=True),
        lambda nn: nn.MultiheadAttention(64, 4, kdim=32, vdim=16),
        lambda nn: nn.Transformer(64, 4, 1, 1, 128),
        lambda nn: nn.TransformerDecoderLayer(64, 4, 128),
    ):
        ours, theirs = build(nn), dict(build(torch.nn).state_dict())
        assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
            (k, tuple(v.shape)) for k, v in theirs.items()
        ]
        for name, value in ours.state_dict().items():
            a, b = value.numpy(), theirs[name].numpy()
            few = 3 / np.sqrt(a.size)
            assert a.mean() == pytest.approx(b.mean(), abs=2 * few * b.std()), name
            assert a.std() == pytest.approx(b.std(), rel=few), name
            if b.std() > 0 and "bias_" not in name:  # uniform: within equal bounds
                assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=3 * few), name


def test_layers_start_apart_only_where_they_do_in_pytorch_and_hooks_are_seen() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0)
    stack = nn.TransformerEncoder(layer, 2)
    assert all(
        (a.numpy() == b.numpy()).all()
        for a, b in zip(stack.layers[0].state_dict().values(), stack.layers[1].state_dict().values(), strict=True)
    )
    assert stack.layers[0].linear1.weight is not layer.linear1.weight
    seen: list[Any] = []
    layer.linear1.register_forward_hook(lambda m, a, o: seen.append(o.detach().numpy()))
    x = tg.randn(3, 2, 8)
    a = layer(x).detach().numpy()
    assert (seen[0] < 0).any()  # before the activation, so that it was not joined to it
    layer.linear1._forward_hooks.clear()
    np.testing.assert_array_equal(layer(x).detach().numpy(), a)
