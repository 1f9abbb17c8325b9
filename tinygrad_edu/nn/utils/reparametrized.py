"""Weights computed from other parameters before each forward pass: weight normalisation, spectral normalisation.

Both take a parameter out of a module, put others in its place, and compute the weight anew in a forward pre-hook.
"""

from __future__ import annotations

from typing import Any

from ...autograd import no_grad
from ...creation import randn
from ...errors import InputError
from ..convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..functional import normalize
from ..parameter import Parameter

_TRANSPOSED = ConvTranspose1d, ConvTranspose2d, ConvTranspose3d


def _taken(module: Any, name: str, what: str, suffix: str) -> Any:
    """The parameter `name`, no longer one of the module's."""
    if name + suffix in module._parameters:
        raise RuntimeError(f"{what}: {name!r} of {type(module).__name__} has it already")
    weight = module._parameters.get(name)
    if weight is None:
        raise InputError(f"{what}: {type(module).__name__} has no parameter {name!r}")
    del module._parameters[name]
    return weight


def _found(module: Any, kind: type, name: str) -> tuple[int, Any]:
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook.function, kind) and hook.function.name == name:  # type: ignore[attr-defined]
            return key, hook.function
    raise InputError(f"{kind.__name__}: not found for {name!r} in {type(module).__name__}")


class WeightNorm:
    """weight = g·v/‖v‖, with a norm for each entry of `dim`, or one for all if it is None or −1."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, dim

    def norm(self, v: Any) -> Any:
        """‖v‖ over all dimensions but `dim`, with the sizes of 1 that broadcast."""
        if self.dim is None or self.dim == -1:
            return v.norm()
        return v.norm(2, [i for i in range(v.ndim) if i != self.dim % v.ndim], keepdim=True)

    def weight(self, module: Any) -> Any:
        """The weight from g and v."""
        v = getattr(module, f"{self.name}_v")
        return v * (getattr(module, f"{self.name}_g") / self.norm(v))

    def __call__(self, module: Any, args: Any) -> None:
        setattr(module, self.name, self.weight(module))


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Replace a parameter by its length `name_g` and its direction `name_v`. Salimans & Kingma 2016."""
    weight = _taken(module, name, "weight_norm", "_g")
    rule = WeightNorm(name, dim)
    module.register_parameter(f"{name}_g", Parameter(rule.norm(weight.detach()).clone()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, rule.weight(module))
    module.register_forward_pre_hook(rule)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Make the weight a parameter again."""
    key, rule = _found(module, WeightNorm, name)
    weight = rule.weight(module).detach()
    del module._forward_pre_hooks[key], module._parameters[f"{name}_g"], module._parameters[f"{name}_v"]
    delattr(module, name)
    module.register_parameter(name, Parameter(weight))
    return module


class SpectralNorm:
    """weight = weight_orig/σ, σ the largest singular value, followed by one power iteration or so per forward pass."""

    def __init__(self, name: str, iterations: int, dim: int, eps: float) -> None:
        self.name, self.iterations, self.dim, self.eps = name, iterations, dim, eps

    def weight(self, module: Any, iterate: bool) -> Any:
        """The weight over σ = uᵀ·W·v; `iterate` brings u and v closer to the singular vectors."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = self.matrix(weight)
        if iterate:
            with no_grad():
                for _ in range(self.iterations):
                    v.copy_(normalize(matrix.mT @ u, dim=0, eps=self.eps))
                    u.copy_(normalize(matrix @ v, dim=0, eps=self.eps))
            u, v = u.clone(), v.clone()  # the next call changes them; this one's graph keeps its own
        return weight / (u @ (matrix @ v))

    def matrix(self, weight: Any) -> Any:
        """The matrix whose singular value is meant: `dim` first, the others in their order."""
        rest = [i for i in range(weight.ndim) if i != self.dim]
        return weight.permute(self.dim, *rest).flatten(1)

    def __call__(self, module: Any, args: Any) -> None:
        setattr(module, self.name, self.weight(module, module.training))


def spectral_norm(module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> Any:  # fmt: skip
    """Replace a parameter by `name_orig`, which is divided by its largest singular value. Miyato et al. 2018.

    The singular vectors are buffers, `name_u` and `name_v`; `dim` is the dimension of outputs.
    """
    if n_power_iterations <= 0:
        raise InputError(f"spectral_norm: n_power_iterations must be positive, got {n_power_iterations}")
    if dim is None:
        dim = 1 if isinstance(module, _TRANSPOSED) else 0
    weight = _taken(module, name, "spectral_norm", "_orig")
    rule = SpectralNorm(name, n_power_iterations, dim, eps)
    rows, columns = rule.matrix(weight.detach()).shape
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    for suffix, size in (("u", rows), ("v", columns)):
        module.register_buffer(f"{name}_{suffix}", normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps))
    module.register_forward_pre_hook(rule)
    return module


def remove_spectral_norm(module: Any, name: str = "weight") -> Any:
    """Make the weight a parameter again."""
    key, rule = _found(module, SpectralNorm, name)
    weight = rule.weight(module, False).detach()
    del module._forward_pre_hooks[key], module._parameters[f"{name}_orig"]
    for suffix in ("_u", "_v", ""):
        delattr(module, name + suffix)
    module.register_parameter(name, Parameter(weight))
    return module
