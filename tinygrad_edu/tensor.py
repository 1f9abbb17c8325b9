"""The tensor that a user holds: every method in one list, each a line that names the operation behind it.

Names, arguments and defaults are PyTorch's. What a method computes, and its derivative, is in `ops/`.
"""

from __future__ import annotations

import copy
import itertools
from collections import namedtuple
from typing import Any

import numpy as np

from . import ops
from .autograd import Variable, backward, inplace, is_grad_enabled, refresh
from .errors import InputError, KindError, StateError
from .kernels import K

float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
int8, int16, int32, int64 = (np.dtype(t) for t in (np.int8, np.int16, np.int32, np.int64))
uint8, bool_ = np.dtype(np.uint8), np.dtype(np.bool_)
SUPPORTED = (float32, float64, int8, int16, int32, int64, uint8, bool_)

values_and_indices = namedtuple("values_and_indices", ["values", "indices"])


class Tensor(Variable):
    """An n-dimensional array that can remember how it was computed.

    `Tensor(data, dtype=None, device=None, requires_grad=False)` copies `data`: nested lists, numbers, an array or a
    tensor. Python floats become float32 and integers int64; arrays keep their dtype. The device is the CPU.
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> None:
        check_device(device)
        self._adopt(to_array(data, dtype))
        if requires_grad:
            self.requires_grad_()

    @classmethod
    def _wrap(cls, array: Any, version: Any = None) -> Any:
        """A tensor around `array` itself, without a copy; with `version`, a view sharing that counter."""
        self = cls.__new__(cls)
        self._adopt(array, version)
        return self

    # -- what it is ------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return self._array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The NumPy dtype of the entries."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim  # type: ignore[no-any-return]

    @property
    def device(self) -> str:
        """Where the memory is: "cpu"."""
        return "cpu"

    def dim(self) -> int: return self.ndim
    def numel(self) -> int: return int(self._array.size)
    def nelement(self) -> int: return int(self._array.size)
    def element_size(self) -> int: return int(self._array.itemsize)
    def size(self, dim: Any = None) -> Any: return self.shape if dim is None else self.shape[dim]
    def stride(self) -> Any: return tuple([s // self._array.itemsize for s in self._array.strides])
    def is_contiguous(self) -> bool: return bool(self._array.flags.c_contiguous)
    def is_floating_point(self) -> bool: return self._array.dtype.kind == "f"
    def data_ptr(self) -> int: return int(self._array.__array_interface__["data"][0])

    # -- the graph -------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether gradients are recorded for it; it can be set on leaves of a float dtype."""
        refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._array.dtype.kind != "f":
            raise StateError(f"requires_grad: only floats have gradients, this tensor is {self.dtype}; use x.float()")
        if self._node is not None and not value:
            raise StateError("requires_grad: it can be switched off on leaves only; use y = x.detach()")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Any:
        """The gradient that backward() has accumulated in this leaf, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and (not isinstance(value, Tensor) or value.shape != self.shape):
            raise KindError(f"grad: it must be None or a tensor of shape {self.shape}")
        self._grad = value

    @property
    def grad_fn(self) -> Any:
        """The node that computed it; None for a leaf."""
        refresh(self)
        return self._node

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than computed from tensors that require grad."""
        return self.grad_fn is None

    @property
    def data(self) -> Any:
        """The same memory as a leaf that is not recorded and does not count as a change."""
        return Tensor._wrap(self._array[...])

    @data.setter
    def data(self, value: Any) -> None:
        self._array = value._array[...]

    def detach(self) -> Any:
        """The same memory outside the graph; changes through it are noticed."""
        return Tensor._wrap(self._array[...], self._version)

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Accumulate d self / d leaf into `.grad` of every leaf it depends on."""
        backward([self], [gradient], retain_graph, create_graph, inputs)

    def register_hook(self, hook: Any) -> Any:
        """Call `hook(grad)` when this tensor's gradient is computed; what it returns (if anything) replaces it."""
        if not self.requires_grad:
            raise StateError("register_hook: the tensor does not require grad, so no gradient will come")
        if self._node is None:
            self._hooks = {} if self._hooks is None else self._hooks
            return HookHandle(self._hooks, hook)
        if self._node.hooks is None:
            self._node.hooks = {}
        return HookHandle(self._node.hooks.setdefault(self._index, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> Any:
        """Call `hook(self)` after backward() has added to this leaf's `.grad`."""
        if not self.requires_grad or self._node is not None:
            raise StateError("register_post_accumulate_grad_hook: only a leaf that requires grad accumulates one")
        self._post_hooks = {} if self._post_hooks is None else self._post_hooks
        return HookHandle(self._post_hooks, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in `.grad`, though it is not a leaf."""
        import weakref

        if not self.requires_grad:
            raise StateError("retain_grad: the tensor does not require grad")
        if self._node is not None:
            self._node.retained = self._node.retained or {}
            self._node.retained[self._index] = weakref.ref(self)

    def _bump(self) -> None:
        """Count a change of the memory made outside the operations."""
        self._version.changes += 1

    def _before_change(self, operation: str, *others: Any) -> Any:
        """The tensor as it is before an in-place operation: what the operation gets as its input."""
        if not inplace.is_recorded(self, others):
            return self
        inplace.check_change(operation, self)
        before = Tensor._wrap(K.copy(self._array))
        before._node, before._index, before._requires_grad = self._node, self._index, self._requires_grad
        return before

    def _replace(self, operation: str, result: Any) -> Any:
        """In-place form of an operation: put `result`, computed from self, into self's memory and history."""
        if result.shape != self.shape:
            raise ops.ShapeError(f"{operation}: the result has shape {result.shape}, the tensor {self.shape}")
        if ops.result_type(result) != self.dtype and ops.result_type(self, result).kind != self.dtype.kind:
            raise KindError(f"{operation}: a result of {result.dtype} cannot be put into a tensor of {self.dtype}")
        ops.check_writeable(operation, self._array)
        if result.dtype != self.dtype:
            result = ops.cast(result, self.dtype)
        K.copy(result._array, out=self._array)
        self._version.changes += 1
        if is_grad_enabled() and (result._requires_grad or self._requires_grad):
            inplace.record_change(self, result, True)
        return self

    # -- to and from Python and NumPy ------------------------------------------------------------------------
    def numpy(self, *, force: Any = False) -> Any:
        """The array itself, sharing memory; of a tensor that requires grad only with `force`."""
        if self.requires_grad and not force:
            raise StateError("numpy: the tensor requires grad; use x.detach().numpy()")
        return self._array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.requires_grad:
            raise StateError("numpy.asarray: the tensor requires grad; use x.detach()")
        return np.array(self._array, dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("__dlpack__: the tensor requires grad; use x.detach()")
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any: return self._array.__dlpack_device__()

    def item(self) -> Any:
        """The one entry as a Python number."""
        if self._array.size != 1:
            raise ops.ShapeError(f"item: a tensor of shape {self.shape} holds {self.numel()} numbers, not one")
        return self._array.item()

    def tolist(self) -> Any: return self._array.tolist()
    def __float__(self) -> float: return float(self.item())
    def __int__(self) -> int: return int(self.item())
    def __index__(self) -> int: return self._array.__index__()  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise StateError(f"a tensor of shape {self.shape} is neither true nor false; use .any() or .all()")
        return bool(self._array.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise KindError("a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.ndim:
            raise KindError("a 0-d tensor cannot be iterated; use x.item()")
        return iter(ops.unbind(self))

    def __contains__(self, value: Any) -> bool: return bool((self == value).any())
    __hash__ = object.__hash__

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self._array.size == 1 else repr(self)

    def __repr__(self) -> str:
        text = np.array2string(self._array, separator=", ", precision=4, prefix="tensor(", threshold=1000)
        if self._array.size == 0:
            text = f"[], size={self.shape}"
        if self.dtype not in (float32, int64, bool_):
            text += f", dtype={self.dtype}"
        if self.grad_fn is not None:
            return f"tensor({text}, grad_fn=<{self.grad_fn.name}>)"
        return f"tensor({text}, requires_grad=True)" if self._requires_grad else f"tensor({text})"

    def __deepcopy__(self, memo: Any) -> Any:
        if self._node is not None:
            raise StateError("deepcopy: only leaves can be copied deeply; use x.detach().clone()")
        memory, *layout = _layout(self._array)
        array = _viewed(copy.deepcopy(memory, memo), *layout)  # tensors that shared memory share its one copy
        twin = type(self)._wrap(array, memo.get(id(self._version)))
        memo[id(self)], memo[id(self._version)] = twin, twin._version
        twin._requires_grad = self._requires_grad
        twin._grad = None if self._grad is None else self._grad.detach().clone()
        return twin

    def __reduce__(self) -> Any:
        if self._node is not None:
            raise StateError("pickle: only leaves can be pickled; use x.detach()")
        return _rebuild, (type(self), self._requires_grad, *_layout(self._array))

    # -- dtype and device ------------------------------------------------------------------------------------
    def to(self, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False) -> Any:
        """The tensor in another dtype (or another tensor's); itself if it is there already."""
        for a in args:
            if isinstance(a, Variable):
                dtype = a._array.dtype
            elif isinstance(a, str) and a.split(":")[0] in ("cpu", "cuda"):
                device = a
            else:
                dtype = a
        check_device(device)
        wanted = self.dtype if dtype is None else check_dtype(dtype)
        if wanted == self.dtype:
            return self.clone() if copy else self
        return ops.cast(self, wanted)

    def type(self, dtype: Any = None) -> Any: return str(self.dtype) if dtype is None else self.to(dtype)
    def type_as(self, other: Any) -> Any: return self.to(other.dtype)
    def float(self) -> Any: return self.to(float32)
    def double(self) -> Any: return self.to(float64)
    def long(self) -> Any: return self.to(int64)
    def int(self) -> Any: return self.to(int32)
    def bool(self) -> Any: return self.to(bool_)
    def cpu(self) -> Any: return self

    # -- arithmetic ------------------------------------------------------------------------------------------
    def __add__(self, other: Any) -> Any: return ops.add(self, other)
    def __radd__(self, other: Any) -> Any: return ops.add(other, self)
    def __sub__(self, other: Any) -> Any: return ops.sub(self, other)
    def __rsub__(self, other: Any) -> Any: return ops.sub(other, self)
    def __mul__(self, other: Any) -> Any: return ops.mul(self, other)
    def __rmul__(self, other: Any) -> Any: return ops.mul(other, self)
    def __truediv__(self, other: Any) -> Any: return ops.div(self, other)
    def __rtruediv__(self, other: Any) -> Any: return ops.div(other, self)
    def __pow__(self, other: Any) -> Any: return ops.pow(self, other)
    def __rpow__(self, other: Any) -> Any: return ops.pow(other, self)
    def __matmul__(self, other: Any) -> Any: return ops.matmul(self, other)
    def __rmatmul__(self, other: Any) -> Any: return ops.matmul(other, self)
    def __neg__(self) -> Any: return ops.neg(self)
    def __abs__(self) -> Any: return ops.abs(self)
    def __eq__(self, other: Any) -> Any: return ops.compare("eq", self, other)
    def __ne__(self, other: Any) -> Any: return ops.compare("ne", self, other)
    def __lt__(self, other: Any) -> Any: return ops.compare("lt", self, other)
    def __le__(self, other: Any) -> Any: return ops.compare("le", self, other)
    def __gt__(self, other: Any) -> Any: return ops.compare("gt", self, other)
    def __ge__(self, other: Any) -> Any: return ops.compare("ge", self, other)
    def __and__(self, other: Any) -> Any: return ops.logical("and", self, other)
    def __or__(self, other: Any) -> Any: return ops.logical("or", self, other)
    def __xor__(self, other: Any) -> Any: return ops.logical("xor", self, other)
    def __invert__(self) -> Any: return Tensor._wrap(np.asarray(~self._array))
    def add(self, other: Any, *, alpha: Any = 1) -> Any: return ops.add(self, other, alpha=alpha)
    def sub(self, other: Any, *, alpha: Any = 1) -> Any: return ops.sub(self, other, alpha=alpha)
    def mul(self, other: Any) -> Any: return ops.mul(self, other)
    def div(self, other: Any) -> Any: return ops.div(self, other)
    def pow(self, exponent: Any) -> Any: return ops.pow(self, exponent)
    def eq(self, other: Any) -> Any: return ops.compare("eq", self, other)
    def neg(self) -> Any: return ops.neg(self)
    def abs(self) -> Any: return ops.abs(self)
    def sign(self) -> Any: return ops.sign(self)
    def exp(self) -> Any: return ops.exp(self)
    def log(self) -> Any: return ops.log(self)
    def log1p(self) -> Any: return ops.log1p(self)
    def sqrt(self) -> Any: return ops.sqrt(self)
    def sin(self) -> Any: return ops.sin(self)
    def cos(self) -> Any: return ops.cos(self)
    def erf(self) -> Any: return ops.erf(self)
    def square(self) -> Any: return ops.mul(self, self)
    def clamp(self, min: Any = None, max: Any = None) -> Any: return ops.clamp(self, min, max)
    def where(self, condition: Any, other: Any) -> Any: return ops.where(condition, self, other)
    def masked_fill(self, mask: Any, value: Any) -> Any: return ops.where(mask, value, self)
    def isnan(self) -> Any: return ops.compare("ne", self, self)
    def logical_not(self) -> Any: return ops.compare("eq", self, 0)
    def clone(self) -> Any: return ops.clone(self)
    def contiguous(self) -> Any: return self if self.is_contiguous() else ops.clone(self)

    # -- activations -----------------------------------------------------------------------------------------
    def relu(self) -> Any: return ops.relu(self)
    def sigmoid(self) -> Any: return ops.sigmoid(self)
    def tanh(self) -> Any: return ops.tanh(self)
    def softmax(self, dim: Any) -> Any: return ops.softmax(self, dim)
    def log_softmax(self, dim: Any) -> Any: return ops.log_softmax(self, dim)

    # -- reductions ------------------------------------------------------------------------------------------
    def sum(self, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Any:
        """Sum over `dim`: one, several, or all."""
        return ops.sum(self, dim, keepdim, dtype=dtype)

    def max(self, dim: Any = None, keepdim: Any = False) -> Any:
        """The maximum of all entries; with `dim`, (values, indices) along it; with a tensor, the larger of both."""
        if isinstance(dim, Variable):
            return ops.maximum(self, dim)
        return ops.amax(self) if dim is None else self._pick(ops.argmax(self, dim, True), dim, keepdim)

    def min(self, dim: Any = None, keepdim: Any = False) -> Any:
        """The minimum of all entries; with `dim`, (values, indices) along it; with a tensor, the smaller of both."""
        if isinstance(dim, Variable):
            return ops.minimum(self, dim)
        return ops.amin(self) if dim is None else self._pick(ops.argmin(self, dim, True), dim, keepdim)

    def _pick(self, indices: Any, dim: Any, keepdim: Any) -> Any:
        if self.ndim == 0:
            return values_and_indices(self.clone(), indices)
        values = ops.gather(self, dim, indices)
        return values_and_indices(*[t if keepdim else t.squeeze(dim) for t in (values, indices)])

    def all(self, dim: Any = None, keepdim: Any = False) -> Any:
        """Whether all entries (along `dim`) are true."""
        return ops.compare("eq", (self == 0).sum(dim, keepdim), 0)

    def any(self, dim: Any = None, keepdim: Any = False) -> Any:
        """Whether an entry (along `dim`) is true."""
        return ops.compare("gt", (self != 0).sum(dim, keepdim), 0)

    def var(self, dim: Any = None, correction: Any = 1, keepdim: Any = False) -> Any:
        """Variance over `dim`, divided by n − correction."""
        return ops.var(self, dim, correction, keepdim)

    def std(self, dim: Any = None, correction: Any = 1, keepdim: Any = False) -> Any:
        """Standard deviation over `dim`."""
        return ops.std(self, dim, correction, keepdim)

    def mean(self, dim: Any = None, keepdim: Any = False) -> Any: return ops.mean(self, dim, keepdim)
    def amax(self, dim: Any = None, keepdim: Any = False) -> Any: return ops.amax(self, dim, keepdim)
    def amin(self, dim: Any = None, keepdim: Any = False) -> Any: return ops.amin(self, dim, keepdim)
    def argmax(self, dim: Any = None, keepdim: Any = False) -> Any: return ops.argmax(self, dim, keepdim)
    def argmin(self, dim: Any = None, keepdim: Any = False) -> Any: return ops.argmin(self, dim, keepdim)
    def logsumexp(self, dim: Any, keepdim: Any = False) -> Any: return ops.logsumexp(self, dim, keepdim)
    def norm(self, p: Any = 2, dim: Any = None, keepdim: Any = False) -> Any: return ops.norm(self, p, dim, keepdim)

    # -- shape -----------------------------------------------------------------------------------------------
    @property
    def T(self) -> Any:
        """The dimensions in reverse order; a view."""
        return ops.permute(self, *reversed(range(self.ndim)))

    @property
    def mT(self) -> Any:
        """The last two dimensions exchanged; a view."""
        return ops.transpose(self, -1, -2)

    def t(self) -> Any:
        """A matrix transposed; vectors and numbers as they are."""
        if self.ndim > 2:
            raise ops.ShapeError(f"t: a tensor of shape {self.shape} is no matrix; use .mT, or permute its dimensions")
        return ops.permute(self, *reversed(range(self.ndim)))

    def view(self, *shape: Any) -> Any:
        """Like reshape, but never a copy: an error where the memory does not allow a view."""
        result = ops.reshape(self, *shape)
        if self.numel() and not np.may_share_memory(result._array, self._array):
            raise ops.ShapeError(f"view: shape {self.shape} with strides {self.stride()} needs a copy; use reshape")
        return result

    def view_as(self, other: Any) -> Any: return self.view(*other.shape)
    def reshape(self, *shape: Any) -> Any: return ops.reshape(self, *shape)
    def flatten(self, start_dim: Any = 0, end_dim: Any = -1) -> Any: return ops.flatten(self, start_dim, end_dim)
    def unflatten(self, dim: Any, sizes: Any) -> Any: return ops.unflatten(self, dim, sizes)
    def permute(self, *dims: Any) -> Any: return ops.permute(self, *dims)
    def transpose(self, dim0: Any, dim1: Any) -> Any: return ops.transpose(self, dim0, dim1)
    def squeeze(self, dim: Any = None) -> Any: return ops.squeeze(self, dim)
    def unsqueeze(self, dim: Any) -> Any: return ops.unsqueeze(self, dim)
    def expand(self, *sizes: Any) -> Any: return ops.expand(self, *sizes)
    def expand_as(self, other: Any) -> Any: return ops.expand(self, *other.shape)
    def flip(self, *dims: Any) -> Any: return ops.flip(self, dims[0] if len(dims) == 1 else dims)
    def split(self, split_size: Any, dim: Any = 0) -> Any: return ops.split(self, split_size, dim)
    def gather(self, dim: Any, index: Any) -> Any: return ops.gather(self, dim, index)
    def matmul(self, other: Any) -> Any: return ops.matmul(self, other)
    def mm(self, mat2: Any) -> Any: return ops.matmul(self, mat2)
    def __getitem__(self, index: Any) -> Any: return ops.getitem(self, index)

    # -- in place --------------------------------------------------------------------------------------------
    def __setitem__(self, index: Any, value: Any) -> None:
        ops.setitem(self, index, value)

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        """self += alpha·other."""
        return self._replace("add_", ops.add(self._before_change("add_", other), other, alpha=alpha))

    def sub_(self, other: Any, *, alpha: Any = 1) -> Any:
        """self −= alpha·other."""
        return self._replace("sub_", ops.sub(self._before_change("sub_", other), other, alpha=alpha))

    def mul_(self, other: Any) -> Any:
        """self ·= other."""
        return self._replace("mul_", ops.mul(self._before_change("mul_", other), other))

    def div_(self, other: Any) -> Any:
        """self /= other."""
        return self._replace("div_", ops.div(self._before_change("div_", other), other))

    def clamp_(self, min: Any = None, max: Any = None) -> Any:
        """Limit self to [min, max]."""
        return self._replace("clamp_", ops.clamp(self._before_change("clamp_"), min, max))

    def copy_(self, other: Any) -> Any:
        """Overwrite self with `other`, broadcast and converted."""
        if not isinstance(other, Variable):
            raise KindError(f"copy_: expected a tensor, got {type(other).__name__}; use fill_ or tg.tensor(…)")
        ops.setitem(self, ..., other, "copy_")
        return self

    def fill_(self, value: Any) -> Any:
        """Overwrite every entry with `value`."""
        ops.setitem(self, ..., value, "fill_")
        return self

    def zero_(self) -> Any: return self.fill_(0)
    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_


class HookHandle:
    """Removes a hook when asked to, or at the end of a `with` block."""

    count = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.hooks, self.key = hooks, next(HookHandle.count)  # not id(self): a forgotten handle's comes again
        hooks[self.key] = hook

    def remove(self) -> None:
        """Take the hook away; doing it twice is harmless."""
        self.hooks.pop(self.key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _layout(array: Any) -> tuple[Any, ...]:
    """(memory, dtype, shape, offset, strides) of an array: where it lies in the flat memory it is a view of."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not (root.flags.c_contiguous or root.flags.f_contiguous) or root.dtype.hasobject:
        root = array = array.copy()
    start = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return root, array.dtype, array.shape, start, array.strides


def _viewed(memory: Any, dtype: Any, shape: Any, offset: int, strides: Any) -> Any:
    """The array that `_layout` described, in (a copy of) that memory."""
    return np.ndarray(shape, dtype, memory.ravel(order="K"), offset, strides)


def _rebuild(cls: Any, requires_grad: bool, *layout: Any) -> Any:
    tensor = cls._wrap(_viewed(*layout))
    tensor._requires_grad = requires_grad
    return tensor


def check_device(device: Any) -> None:
    """RuntimeError unless `device` is None or the CPU."""
    if device is not None and str(device).split(":")[0] != "cpu":
        raise StateError(f'device "{device}" is not available: this version computes on the CPU, device="cpu"')


def check_dtype(dtype: Any) -> Any:
    """`dtype` (a NumPy dtype, a name, or float, int, bool) as a supported NumPy dtype."""
    if dtype is float:
        return float32
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in SUPPORTED:
        raise KindError(f"dtype {dtype!r} is not supported: choose one of {', '.join(str(t) for t in SUPPORTED)}")
    return found


def to_array(data: Any, dtype: Any = None) -> Any:
    """A new array of `data`, in `dtype` or in the one a tensor of it has."""
    if isinstance(data, Variable):
        data = data._array
    wanted = None if dtype is None else check_dtype(dtype)
    if isinstance(data, np.ndarray | np.generic):
        return np.array(data, wanted or check_dtype(data.dtype), order="C")
    try:
        array = np.array(_plain(data))
    except ValueError as error:
        raise InputError(f"tensor: the nested lists are ragged or hold something else than numbers ({error})") from None
    if array.dtype.kind not in "biuf":
        raise KindError(f"tensor: cannot make numbers of {type(data).__name__} ({array.dtype})")
    if wanted is None and array.dtype.kind == "f":
        wanted = float32 if not _has_arrays(data) else array.dtype
    return array.astype(wanted or array.dtype)


def _plain(data: Any) -> Any:
    if isinstance(data, list | tuple):
        return [_plain(x) for x in data]
    return data._array if isinstance(data, Variable) else data


def _has_arrays(data: Any) -> bool:
    return isinstance(data, np.ndarray | np.generic | Variable) or (
        isinstance(data, list | tuple) and len(data) > 0 and _has_arrays(data[0])
    )


Variable.wrap = staticmethod(Tensor._wrap)  # type: ignore[method-assign]
