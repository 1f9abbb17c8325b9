"""Functions that make tensors: from data, filled, in sequence, or random. PyTorch's names and defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import ops
from .errors import InputError, KindError
from .kernels import K, moved, on
from .random import Generator, default_generator
from .tensor import Tensor, shape_of, to_array
from .types import (
    bool_,
    check_dtype,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    uint8,
)


def _made(array: Any, requires_grad: bool = False, device: Any = None) -> Any:
    on(device)
    result = Tensor._wrap(array if device is None else moved(array, device))
    return result.requires_grad_() if requires_grad else result


# -- from data -------------------------------------------------------------------------------------------------
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor with a copy of `data`: numbers, nested lists, an array or a tensor."""
    return Tensor(data, dtype, device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` as a tensor; arrays and tensors are shared, not copied, where the dtype allows it."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    if on(device) is K and isinstance(data, np.ndarray) and (dtype is None or check_dtype(dtype) == data.dtype):
        return from_numpy(data)
    return Tensor(data, dtype, device)


def from_numpy(ndarray: Any) -> Any:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise KindError(f"from_numpy: expected an array, got {type(ndarray).__name__}; use tensor(…) for other data")
    check_dtype(ndarray.dtype)
    return Tensor._wrap(ndarray.view(np.ndarray))  # of a matrix too, whose * is another one


def from_dlpack(source: Any) -> Any:
    """A tensor that shares the memory of any CPU object with `__dlpack__`."""
    if not hasattr(source, "__dlpack__"):
        raise KindError(f"from_dlpack: a {type(source).__name__} has no __dlpack__; use tensor(…) for other data")
    try:
        return from_numpy(np.from_dlpack(source))
    except RuntimeError as error:  # a dtype that NumPy does not have, or memory of another device
        raise KindError(f"from_dlpack: {error}") from None


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Any:
    """A vector that shares the memory of a buffer such as a bytearray."""
    return _made(np.frombuffer(buffer, check_dtype(dtype), count, offset), requires_grad)


def _typed(dtype: Any) -> Callable[..., Any]:
    """The old constructor of tensors of one dtype: from sizes, which leaves the entries open, or from data."""

    def constructor(*data: Any, device: Any = None) -> Any:
        if len(data) != 1 or isinstance(data[0], int):
            return empty(*(data or (0,)), dtype=dtype, device=device)
        return Tensor(data[0], dtype, device)

    constructor.__name__ = constructor.__qualname__ = f"{dtype}_tensor"
    constructor.__doc__ = f"A tensor of {dtype}, from data, or of the sizes given with any entries; see `tensor`."
    return constructor


FloatTensor, DoubleTensor, BoolTensor = _typed(float32), _typed(float64), _typed(bool_)
CharTensor, ShortTensor, IntTensor, LongTensor = _typed(int8), _typed(int16), _typed(int32), _typed(int64)
ByteTensor = _typed(uint8)


# -- filled ----------------------------------------------------------------------------------------------------
def empty(*sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor whose entries are whatever was in memory."""
    return _made(
        on(device).empty(shape_of(sizes if size is None else (size,)), check_dtype(dtype or get_default_dtype())),
        requires_grad,
        device,
    )


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor filled with one number."""
    wanted = check_dtype(dtype) if dtype is not None else to_array(fill_value).dtype
    fill_value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    return _made(on(device).full(shape_of((size,)), fill_value, wanted), requires_grad, device)


def zeros(*sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of zeros."""
    return full(
        shape_of(sizes if size is None else (size,)),
        0,
        dtype=dtype or get_default_dtype(),
        device=device,
        requires_grad=requires_grad,
    )


def ones(*sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of ones."""
    return full(
        shape_of(sizes if size is None else (size,)),
        1,
        dtype=dtype or get_default_dtype(),
        device=device,
        requires_grad=requires_grad,
    )


def empty_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of the shape and dtype of another, its entries whatever was in memory."""
    return empty(input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def zeros_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Zeros with the shape and dtype of another tensor."""
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Ones with the shape and dtype of another tensor."""
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad)


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """One number in the shape and dtype of another tensor."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, device=device or input.device,
                requires_grad=requires_grad)  # fmt: skip


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Ones on the diagonal, zeros elsewhere."""
    return _made(np.eye(n, m, dtype=check_dtype(dtype or get_default_dtype())), requires_grad, device)


# -- in sequence -----------------------------------------------------------------------------------------------
def arange(
    *limits: Any, start: Any = None, end: Any = None, step: Any = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """`arange(end)`, `arange(start, end)` or `arange(start, end, step)`: int64 if all are integers, else float32."""
    if len(limits) == 1 and end is None:
        end, limits = limits[0], ()
    start, end, step = (*limits, *(start, end, step)[len(limits) :])
    numbers = [n.item() if isinstance(n, Tensor) else n for n in (0 if start is None else start, end, step or 1)]
    if numbers[1] is None:
        raise InputError("arange: give the end, as in arange(5)")
    if step == 0:
        raise InputError("arange: the step is 0; the end would never be reached")
    if (numbers[1] - numbers[0]) * numbers[2] < 0:
        raise InputError(f"arange: from {numbers[0]} one does not come to {numbers[1]} in steps of {numbers[2]}")
    whole = all(isinstance(n, int | np.integer) for n in numbers)
    made = np.arange(*numbers, dtype=None if whole else np.float64)
    return _made(
        made.astype(check_dtype(dtype or (int64 if whole else get_default_dtype())), copy=False), requires_grad, device
    )


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """`steps` numbers at equal distances from start to end, both included."""
    return _made(np.linspace(start, end, steps, dtype=check_dtype(dtype or get_default_dtype())), requires_grad, device)


def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """`steps` powers of `base`, their exponents at equal distances from start to end."""
    made = np.logspace(start, end, steps, base=base, dtype=check_dtype(dtype or get_default_dtype()))
    return _made(made, requires_grad, device)


# -- random ----------------------------------------------------------------------------------------------------
def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Uniform in [0, 1)."""
    source = generator or default_generator
    made = source.uniform(
        shape_of(sizes if size is None else (size,)), 0.0, 1.0, check_dtype(dtype or get_default_dtype()), device=device
    )
    return _made(made, requires_grad, device)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normal with mean 0 and standard deviation 1."""
    source = generator or default_generator
    return _made(
        source.normal(
            shape_of(sizes if size is None else (size,)),
            0.0,
            1.0,
            check_dtype(dtype or get_default_dtype()),
            device=device,
        ),
        requires_grad,
        device,
    )


def rand_like(input: Any, *, dtype: Any = None, generator: Generator | None = None, requires_grad: bool = False) -> Any:
    """Uniform numbers in the shape and dtype of another tensor."""
    return rand(input.shape, generator=generator, dtype=dtype or input.dtype, device=input.device,
                requires_grad=requires_grad)  # fmt: skip


def randn_like(
    input: Any, *, dtype: Any = None, generator: Generator | None = None, requires_grad: bool = False
) -> Any:
    """Normal numbers in the shape and dtype of another tensor."""
    return randn(input.shape, generator=generator, dtype=dtype or input.dtype, device=input.device,
                 requires_grad=requires_grad)  # fmt: skip


def randint(
    *limits: Any, low: int = 0, high: int | None = None, size: Any = None, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """`randint(high, size)` or `randint(low, high, size)`: whole numbers uniform in [low, high), int64 by default."""
    given = list(limits)
    if given and size is None:
        size = given.pop()
    if given and high is None:
        high = given.pop()
    low = given.pop() if given else low
    if given or size is None or high is None:
        raise KindError("randint: give (high, size) or (low, high, size), as in randint(10, (2, 3))")
    made = (generator or default_generator).integers(int(low), int(high), shape_of((size,)))
    return _made(made.astype(check_dtype(dtype or int64), copy=False), requires_grad, device)


def randint_like(input: Any, low: int, high: int | None = None, *, dtype: Any = None) -> Any:
    """Whole numbers uniform in [low, high), or [0, low), in the shape and dtype of another tensor."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input.shape, dtype=dtype or input.dtype)


def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Any:
    """A random order of 0 … n−1."""
    made = (generator or default_generator).permutation(n)
    return _made(made.astype(check_dtype(dtype or int64), copy=False), device=device)


def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None) -> Any:
    """Normal numbers: of one mean and deviation in shape `size`, or one for each entry of tensors of them."""
    if size is not None:
        return randn(size, generator=generator) * std + mean
    shape = np.broadcast_shapes(*[tuple(t.shape) for t in (mean, std) if isinstance(t, Tensor)])
    like = mean if isinstance(mean, Tensor) else std
    if not isinstance(like, Tensor):
        raise KindError("normal: of two numbers the size is wanted too, as in normal(0.0, 1.0, (2, 3))")
    return (randn(shape, generator=generator, dtype=like.dtype) * std + mean).detach()


def bernoulli(input: Any, *, generator: Generator | None = None) -> Any:
    """1 with the probability that each entry says, else 0; in the dtype of the probabilities."""
    p = input.detach()
    if bool(((p < 0) | (p > 1) | (p != p)).any()):
        raise InputError("bernoulli: probabilities lie in [0, 1]")
    return (rand(p.shape, generator=generator, dtype=float64) < p).to(p.dtype)


def poisson(input: Any, *, generator: Generator | None = None) -> Any:
    """Numbers of events of the rates given, entry by entry, by counting arrivals of unit rate (Knuth)."""
    rates = input.detach().to(float64)
    if bool((rates < 0).any()) or bool((rates != rates).any()):
        raise InputError("poisson: rates are not negative")
    left, count = rates.numpy().copy(), np.zeros(rates.shape)
    going = np.ones(rates.shape, bool)
    while going.any():  # after an exponential waiting time, the next event
        left -= np.where(going, -np.log1p(-rand(rates.shape, generator=generator, dtype=float64).numpy()), 0)
        going &= left >= 0
        count += going
    return _made(count.astype(input.dtype))


def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Any:
    """`num_samples` positions drawn from each row of weights, in proportion to them; int64.

    Without replacement, by the order of u^(1/w) (Efraimidis & Spirakis 2006), so each row needs so many weights > 0.
    """
    weights = input.detach().to(float64)
    if weights.ndim not in (1, 2) or num_samples < 1:
        raise InputError(f"multinomial: one row of weights or several, and at least one sample are wanted; got shape "
                         f"{tuple(input.shape)} and {num_samples}")  # fmt: skip
    w = weights.numpy()
    if not np.isfinite(w).all() or (w < 0).any() or (w.sum(-1) <= 0).any():
        raise InputError("multinomial: weights are finite and not negative, and each row has one above 0")
    if replacement:
        edges = ops.cumsum(weights, -1)
        u = rand(*w.shape[:-1], num_samples, generator=generator, dtype=float64) * edges[..., -1:]
        found = ops.searchsorted(edges, u, right=True)
        last = Tensor._wrap(np.asarray(w.shape[-1] - 1 - (w[..., ::-1] > 0).argmax(-1)))  # rounding stops before it
        return ops.minimum(found, last.unsqueeze(-1) if last.ndim else last)
    if ((w > 0).sum(-1) < num_samples).any():
        raise InputError(f"multinomial: a row has fewer than {num_samples} weights above 0; use replacement=True")
    u = rand(w.shape, generator=generator, dtype=float64).numpy()
    with np.errstate(divide="ignore"):
        keys = np.where(w > 0, -np.log1p(-u) / w, np.inf)
    return Tensor._wrap(np.ascontiguousarray(np.argsort(keys, -1, kind="stable")[..., :num_samples], np.int64))
