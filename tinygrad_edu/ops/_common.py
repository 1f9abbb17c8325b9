"""What all operations share: promotion of their arguments, dimensions, and the un-broadcast rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.collector import use_collector
from ..autograd.engine import arithmetic
from ..autograd.variable import Variable
from ..errors import KindError, RangeError, ShapeError, StateError
from ..kernels import K, beside, device_of, host, moved, on_gpu, reshaped
from ..types import get_default_dtype

Array = np.ndarray[Any, Any]
BOOL, INT64, FLOAT32 = np.dtype(bool), np.dtype(np.int64), np.dtype(np.float32)
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}


_ndarray = np.ndarray
#: What holds the memory of an array that a compiled kernel has made; the reference's arrays have nothing of the kind.
_HOLDER = type(K.full((), 0, FLOAT32).base) if K.name == "native" else _ndarray


def is_own(array: Array) -> bool:
    """Whether the memory of `array` is its alone, and writable."""
    if type(array) is _ndarray and type(array.base) is _HOLDER is not _ndarray:
        return True  # nearly always
    if on_gpu(array):
        return array.base is None
    return bool(array.flags.writeable) and not isinstance(array.base, np.ndarray)


def own(array: Array) -> Array:
    """`array` if its memory is its alone and writable, else a copy."""
    if type(array) is _ndarray and type(array.base) is _HOLDER is not _ndarray:
        return array  # nearly always
    return array if is_own(array) else K.copy(array)


def check_writeable(operation: str, array: Array, one_value: bool = False) -> None:
    """RuntimeError if writing to `array` would change something else, or (but for `one_value`) entries twice."""
    if not on_gpu(array) and not array.flags.writeable:
        raise StateError(f"{operation}: the memory is read-only; use x.clone()")
    if (
        0 in array.strides
        and array.size
        and not one_value
        and any(step == 0 and n > 1 for step, n in zip(array.strides, array.shape, strict=True))
    ):
        raise StateError(f"{operation}: several entries share their memory, as expand() makes it; use x.clone()")


def same_dtype(a: Any, b: Any) -> bool:
    """Whether two dtypes are equal; those of NumPy's own are the same object, which is quickly seen."""
    return a is b or a == b


def constant(array: Array, like: Any) -> Any:
    """A NumPy array as a constant where the tensor `like` is."""
    return Variable.wrap(moved(array, device_of(like._array)) if on_gpu(like._array) else array)


def only_on_cpu(operation: str, *values: Any) -> None:
    """RuntimeError if one of the tensors is on a GPU: the operation is computed by NumPy."""
    if any(isinstance(v, Variable) and on_gpu(v._array) for v in values):
        raise StateError(f"{operation}: there is no GPU kernel for it yet; compute it on the CPU, as in x.cpu()")


def _add_into(held: Array, gradient: Array) -> None:
    K.add(held, gradient, out=held)


_ONE: dict[Any, Array] = {}


def _ones(like: Array) -> Array:
    """Ones. A single one, with which nearly every backward pass begins, is always the same array: nobody changes it."""
    dtype = like.dtype
    if like.ndim or (type(like) is not _ndarray and on_gpu(like)):
        return beside(like).full(like.shape, 1, dtype)
    one = _ONE.get(dtype)
    if one is None:
        one = _ONE[dtype] = np.ones((), dtype)  # of NumPy's memory: `own` makes a copy
        one.flags.writeable = False
    return one


_engine = arithmetic()
_engine.add = lambda a, b: K.add(a, b)
_engine.add_into = _add_into
_engine.own, _engine.is_own = own, is_own
_engine.copy = lambda a: K.copy(a)
_engine.zeros = lambda shape, dtype, like: beside(like).full(shape, 0, dtype)
_engine.ones = _ones
_engine.has_nan = lambda a: bool(host(K.ne(a, a)).any())
_engine.same_shape = getattr(K, "same_shape", lambda array, like: False)
use_collector(getattr(K, "hide_node", None), getattr(K, "show_node", None))


def category(dtype: np.dtype[Any]) -> int:
    """bool 0 < integers 1 < floats 2; TypeError for anything else."""
    try:
        return _CATEGORY[dtype.kind]
    except KeyError:
        raise KindError(f"dtype {dtype} is not supported: use bool, an integer, float32 or float64") from None


def wrap_array(value: Any) -> Any:
    """A tensor around an array."""
    return Variable.wrap(value)


def result_type(*values: Any) -> np.dtype[Any]:
    """PyTorch's promotion: Python numbers and 0-d tensors give way to tensors with dimensions of their own category."""
    best: list[np.dtype[Any] | None] = [None, None, None]  # with dimensions, 0-d, Python numbers
    for value in values:
        if isinstance(value, Variable):
            dtype, place = value._array.dtype, 0 if value._array.ndim else 1
        elif isinstance(value, np.ndarray | np.generic):
            dtype, place = value.dtype, 0 if value.ndim else 1
        else:
            dtype, place = _python_dtype(value), 2
        held = best[place]
        best[place] = dtype if held is None else _join(held, dtype)
    result: np.dtype[Any] | None = None
    for dtype_ in best:
        if dtype_ is None:
            continue
        if result is None or category(dtype_) > category(result):
            result = dtype_
    assert result is not None
    return result


def _python_dtype(value: Any) -> np.dtype[Any]:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT64
    if isinstance(value, float):
        return get_default_dtype()
    raise KindError(f"expected a tensor or a number, got {type(value).__name__}; make it a tensor with tg.tensor(…)")


def _join(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    if a == b:
        return a
    ca, cb = category(a), category(b)
    return np.promote_types(a, b) if ca == cb else (a if ca > cb else b)


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """The dtype of the result of an operation on tensors of two dtypes."""
    return _join(np.dtype(type1), np.dtype(type2))


def as_tensor(value: Any, dtype: np.dtype[Any]) -> Any:
    """`value` (tensor, array or number) as a tensor of `dtype`; a cast of a tensor is recorded."""
    if isinstance(value, Variable):
        return value if value._array.dtype == dtype else value.to(dtype)  # type: ignore[attr-defined]
    return Variable.wrap(np.array(value, dtype))


def promoted(a: Any, b: Any, at_least: int = 0) -> tuple[Any, Any]:
    """Both arguments as tensors of one dtype; `at_least` 2 makes it a float."""
    if isinstance(a, Variable) and isinstance(b, Variable) and same_dtype(a._array.dtype, b._array.dtype):
        dtype = a._array.dtype
        if category(dtype) >= at_least:
            return a, b
    else:
        dtype = result_type(a, b)
    if category(dtype) < at_least:
        dtype = get_default_dtype()
    return as_tensor(a, dtype), as_tensor(b, dtype)


def operands(a: Any, b: Any, at_least: int = 0) -> tuple[Any, Any]:
    """Like `promoted`, but a Python number beside a tensor of floats stays one: the kernels take it as it is."""
    if isinstance(a, Variable):
        x = a
        dtype = x._array.dtype
        if isinstance(b, Variable):
            y = b
            if dtype is y._array.dtype and (not at_least or dtype.kind == "f"):
                return a, b
        elif dtype.kind == "f" and (type(b) is float or type(b) is int):
            return a, b
    elif isinstance(b, Variable) and b._array.dtype.kind == "f" and (type(a) is float or type(a) is int):
        return a, b
    return promoted(a, b, at_least)


def array_of(x: Any) -> Any:
    """The array of a tensor, or the number that `operands` has left."""
    return x._array if isinstance(x, Variable) else x


def floating(x: Any) -> Any:
    """x, or float32 (the default dtype) of it if it holds integers or booleans."""
    if not isinstance(x, Variable):
        raise KindError(f"expected a tensor, got {type(x).__name__}; make it one with tg.tensor(…)")
    return x if x._array.dtype.kind == "f" else as_tensor(x, get_default_dtype())


def broadcast_error(operation: str, a: Any, b: Any) -> ValueError:
    """The error for two shapes that do not broadcast, with the likeliest mend."""
    sa, sb = tuple(a.shape), tuple(b.shape)
    hint = "shapes are aligned from the right; each pair must be equal or contain a 1"
    if len(sa) == 1 and len(sb) == 2 and sa[0] == sb[0]:
        hint = f"did you mean the first as a column, x.reshape({sa[0]}, 1)?"
    elif len(sb) == 1 and len(sa) == 2 and sb[0] == sa[0]:
        hint = f"did you mean the second as a column, x.reshape({sb[0]}, 1)?"
    elif sa[::-1] == sb:
        hint = "did you mean x.T for one of them?"
    return ShapeError(f"{operation}: shapes {sa} and {sb} do not broadcast; {hint}")


def normalized_dim(dim: Any, ndim: int, operation: str) -> int:
    """`dim` as 0 ≤ dim < ndim (a 0-d tensor counts as having one)."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim % ndim  # nearly always
    if isinstance(dim, Variable):
        dim = host(dim._array).item()
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer):
        raise KindError(f"{operation}: dim must be an integer, got {type(dim).__name__}")
    size = max(ndim, 1)
    if not -size <= dim < size:
        raise RangeError(f"{operation}: dim {dim} is out of range for {ndim} dimensions: [{-size}, {size - 1}]")
    return int(dim) % size


def normalized_dims(dim: Any, ndim: int, operation: str) -> tuple[int, ...]:
    """`dim` (None for all, a number, or several) as a sorted tuple of distinct dimensions."""
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        return tuple(range(ndim))
    if type(dim) is int and -ndim <= dim < ndim:
        return (dim % ndim,)
    dims = [normalized_dim(d, ndim, operation) for d in (dim if isinstance(dim, Sequence) else (dim,))]
    if len(set(dims)) != len(dims):
        raise ShapeError(f"{operation}: a dimension appears twice in {tuple(dim)}")
    return tuple(sorted(dims)) if ndim else ()


def own_result(y: Any) -> Any:
    """y, a view of a tensor that nobody else will hold, as a tensor in its own right: what an operation returns."""
    y._view = None
    return y


def broadcast_axes(shape: tuple[int, ...], wide: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of `wide` along which something of `shape` was repeated."""
    lead = len(wide) - len(shape)
    return tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 and wide[i + lead] != 1)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """The one un-broadcast rule: the gradient of a repeated value is the sum over its copies. Arrays or tensors."""
    if g.shape == shape:
        return g
    axes = broadcast_axes(shape, g.shape)
    if isinstance(g, Variable):
        return (g.sum(axes) if axes else g).reshape(shape)  # type: ignore[attr-defined,union-attr]
    return reshaped(K.sum(g, axes, False) if axes else g, shape)


def per_dimension(value: Any, d: int, operation: str, name: str, least: int) -> tuple[int, ...]:
    """`value`, a number or one for each of the d spatial dimensions, as d integers that are at least `least`."""
    entries = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    entries = entries * d if len(entries) == 1 else entries
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) for n in entries):
        raise KindError(f"{operation}: {name} is {value!r}; it must be an integer, or {d} of them")
    if len(entries) != d or min(entries) < least:
        raise ShapeError(f"{operation}: {name} is {value}; it must be one integer ≥ {least}, or {d} of them")
    return tuple([int(n) for n in entries])
