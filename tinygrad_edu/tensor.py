"""The tensor that a user holds: its memory, its place in the graph, Python's operators.

The methods that are operations are listed in `methods`; what they compute, and the derivatives, is in `ops/`. Names,
arguments and defaults are PyTorch's.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import ops
from .autograd import backward, inplace, is_grad_enabled, refresh
from .autograd.collector import reveal, reveal_held
from .autograd.variable import Variable, set_tensor_class
from .errors import InputError, KindError, StateError
from .kernels import K, device_of, host, moved, on, on_gpu
from .methods import OperationMethods
from .random import Generator, default_generator
from .types import (
    CPU,
    CUDA,
    Size,
    bool_,
    check_dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    uint8,
)

LEGACY = {"float16": "Half", "float32": "Float", "float64": "Double", "int8": "Char", "int16": "Short", "int32": "Int",
          "int64": "Long", "uint8": "Byte", "bool": "Bool"}  # fmt: skip

#: How tensors are printed; `set_printoptions` changes it.
PRINTING: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 75, "sci_mode": None}


class Tensor(OperationMethods):
    """An n-dimensional array that can remember how it was computed.

    `Tensor(data, dtype=None, device=None, requires_grad=False)` copies `data`: nested lists, numbers, an array or a
    tensor. Python floats become float32 and integers int64; arrays keep their dtype. The device is "cpu" or "cuda";
    without one, the CPU, or where the tensor is that is copied.
    `Tensor(2, 3)`, whole numbers alone, is PyTorch's old form of `empty(2, 3)`.
    """

    __slots__ = ()

    def __init__(self, *data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> None:
        if all(type(n) is int for n in data) and dtype is None:
            self._adopt(on(device).empty(data or (0,), get_default_dtype()))
            return
        rest = [dtype, device, requires_grad][len(data) - 1 :]
        values = (*data, *rest)
        given, dtype, device, requires_grad = values
        self._adopt(to_array(given, dtype, device))
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
    def device(self) -> Any:
        """Where the memory is: "cpu" or "cuda:0"."""
        return CUDA if on_gpu(self._array) else CPU

    def dim(self) -> int: return self.ndim
    def numel(self) -> int: return int(self._array.size)
    def nelement(self) -> int: return int(self._array.size)
    def element_size(self) -> int: return int(self._array.itemsize)
    def size(self, dim: Any = None) -> Any: return Size(self.shape) if dim is None else self.shape[dim]
    def stride(self, dim: Any = None) -> Any:
        """How many entries further in memory the next one along each dimension lies."""
        steps = tuple([s // self._array.itemsize for s in self._array.strides])
        return steps if dim is None else steps[dim]

    def is_contiguous(self) -> bool: return bool(self._array.flags.c_contiguous)
    def is_floating_point(self) -> bool: return self._array.dtype.kind == "f"
    def is_complex(self) -> bool: return False
    def is_pinned(self) -> bool: return False
    def is_same_size(self, other: Any) -> bool: return bool(self.shape == other.shape)
    def storage_offset(self) -> int: return int(_layout(self._array)[3]) // int(self._array.itemsize)
    def get_device(self) -> int: return 0 if on_gpu(self._array) else -1
    is_cuda = property(lambda self: on_gpu(self._array))
    itemsize = property(element_size)
    nbytes = property(lambda self: int(self._array.nbytes))
    def data_ptr(self) -> int:
        """The address of the first entry."""
        array = self._array
        return int(array.data.ptr if on_gpu(array) else array.__array_interface__["data"][0])

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
        if value is not None:
            reveal(value)
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
        backward(self, None if gradient is None else [gradient], retain_graph, create_graph, inputs)

    def register_hook(self, hook: Any) -> Any:
        """Call `hook(grad)` when this tensor's gradient is computed; what it returns (if anything) replaces it."""
        if not self.requires_grad:
            raise StateError("register_hook: the tensor does not require grad, so no gradient will come")
        reveal_held(hook)
        if self._node is None:
            self._hooks = {} if self._hooks is None else self._hooks
            return HookHandle(self._hooks, hook)
        reveal(self)
        if self._node._hooks is None:
            self._node._hooks = {}
        return HookHandle(self._node._hooks.setdefault(self._index, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> Any:
        """Call `hook(self)` after backward() has added to this leaf's `.grad`."""
        if not self.requires_grad or self._node is not None:
            raise StateError("register_post_accumulate_grad_hook: only a leaf that requires grad accumulates one")
        reveal_held(hook)
        self._post_hooks = {} if self._post_hooks is None else self._post_hooks
        return HookHandle(self._post_hooks, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in `.grad`, though it is not a leaf."""
        import weakref

        if not self.requires_grad:
            raise StateError("retain_grad: the tensor does not require grad")
        if self._node is not None:
            self._node._retained = self._node._retained or {}
            self._node._retained[self._index] = weakref.ref(self)

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
        return host(self._array) if force else _on_cpu("numpy", self._array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.requires_grad:
            raise StateError("numpy.asarray: the tensor requires grad; use x.detach()")
        return np.array(_on_cpu("numpy.asarray", self._array), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("__dlpack__: the tensor requires grad; use x.detach()")
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any: return self._array.__dlpack_device__()

    def item(self) -> Any:
        """The one entry as a Python number."""
        if self._array.size != 1:
            raise ops.ShapeError(f"item: a tensor of shape {self.shape} holds {self.numel()} numbers, not one")
        return host(self._array).item()

    def tolist(self) -> Any: return host(self._array).tolist()
    def __float__(self) -> float: return float(self.item())
    def __int__(self) -> int: return int(self.item())
    def __index__(self) -> int: return host(self._array).__index__()

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise StateError(f"a tensor of shape {self.shape} is neither true nor false; use .any() or .all()")
        return bool(host(self._array).item())

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
        options: dict[str, Any] = {**PRINTING, "suppress_small": PRINTING["sci_mode"] is False}
        if options.pop("sci_mode") and self.dtype.kind == "f":
            options["formatter"] = {"float_kind": lambda x: f"{x:.{PRINTING['precision']}e}"}
        options["max_line_width"] = options.pop("linewidth")
        text = np.array2string(host(self._array), separator=", ", prefix="tensor(", **options)
        if self._array.size == 0:
            text = f"[], size={self.shape}"
        if self.dtype not in (float32, int64, bool_):
            text += f", dtype={self.dtype}"
        if on_gpu(self._array):
            text += f", device='{CUDA}'"
        if self.grad_fn is not None:
            return f"tensor({text}, grad_fn=<{self.grad_fn.name()}>)"
        return f"tensor({text}, requires_grad=True)" if self._requires_grad else f"tensor({text})"

    def __deepcopy__(self, memo: Any) -> Any:
        if self._node is not None:
            raise StateError("deepcopy: only leaves can be copied deeply; use x.detach().clone()")
        if on_gpu(self._array):
            array = K.copy(self._array)
        else:
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
        return _rebuild, (type(self), self._requires_grad, str(self.device), *_layout(host(self._array)))

    # -- dtype and device ------------------------------------------------------------------------------------
    def to(
        self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: Any = False, copy: Any = False
    ) -> Any:
        """The tensor in another dtype, on a device, or as another tensor is; itself if it is so already."""
        for a in args[:2]:
            if isinstance(a, Variable):
                dtype, device = a._array.dtype, device_of(a._array)
            elif isinstance(a, str) and a.split(":")[0] in ("cpu", "cuda"):
                device = a
            elif a is not None:
                dtype = a
        on(device)
        wanted = self.dtype if dtype is None else check_dtype(dtype)
        there = self if device is None else ops.to_device(self, device)
        if wanted == self.dtype:
            return self.clone() if copy and there is self else there
        return ops.cast(there, wanted)

    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """The old name of the dtype, such as "torch.FloatTensor"; with `dtype`, the tensor in it."""
        return f"torch.{LEGACY[str(self.dtype)]}Tensor" if dtype is None else self.to(_legacy_dtype(dtype))

    def type_as(self, other: Any) -> Any: return self.to(other.dtype)
    def float(self) -> Any: return self.to(float32)
    def double(self) -> Any: return self.to(float64)
    def half(self) -> Any: return self.to(float16)
    def long(self) -> Any: return self.to(int64)
    def int(self) -> Any: return self.to(int32)
    def short(self) -> Any: return self.to(int16)
    def char(self) -> Any: return self.to(int8)
    def byte(self) -> Any: return self.to(uint8)
    def bool(self) -> Any: return self.to(bool_)
    def cpu(self) -> Any: return self.to("cpu")
    def cuda(self, device: Any = None, non_blocking: Any = False) -> Any: return self.to("cuda")

    def pin_memory(self) -> Any:
        """The tensor itself: there is no device for which memory would be held in place."""
        return self

    # -- new tensors like this one -----------------------------------------------------------------------------
    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Any:
        """A tensor with a copy of `data`, by default in this one's dtype."""
        return Tensor(data, dtype or self.dtype, device or self.device, requires_grad)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Any:
        """A tensor of one number, by default in this one's dtype."""
        there = on(device or self.device)
        result = Tensor._wrap(there.full(shape_of((size,)), fill_value, check_dtype(dtype or self.dtype)))
        return result.requires_grad_(requires_grad)

    def new_empty(self, *size: Any, **options: Any) -> Any: return self.new_full(shape_of(size), 0, **options)
    def new_zeros(self, *size: Any, **options: Any) -> Any: return self.new_full(shape_of(size), 0, **options)
    def new_ones(self, *size: Any, **options: Any) -> Any: return self.new_full(shape_of(size), 1, **options)

    # -- Python's operators ------------------------------------------------------------------------------------
    __add__, __sub__, __mul__, __truediv__ = ops.add, ops.sub, ops.mul, ops.true_divide
    __pow__, __floordiv__, __mod__, __matmul__ = ops.pow, ops.floor_divide, ops.remainder, ops.matmul
    __neg__, __abs__, __invert__, __pos__ = ops.neg, ops.abs, ops.bitwise_not, ops.positive
    __eq__, __ne__, __lt__, __le__, __gt__, __ge__ = ops.eq, ops.ne, ops.lt, ops.le, ops.gt, ops.ge
    __and__, __or__, __xor__ = ops.bitwise_and, ops.bitwise_or, ops.bitwise_xor
    __rand__, __ror__, __rxor__ = ops.bitwise_and, ops.bitwise_or, ops.bitwise_xor
    __lshift__, __rshift__ = ops.bitwise_left_shift, ops.bitwise_right_shift
    __radd__, __rmul__ = ops.add, ops.mul
    def __rsub__(self, other: Any) -> Any: return ops.sub(other, self)
    def __rtruediv__(self, other: Any) -> Any: return ops.div(other, self)
    def __rpow__(self, other: Any) -> Any: return ops.pow(other, self)
    def __rfloordiv__(self, other: Any) -> Any: return ops.floor_divide(other, self)
    def __rmod__(self, other: Any) -> Any: return ops.remainder(other, self)
    def __rmatmul__(self, other: Any) -> Any: return ops.matmul(other, self)
    def where(self, condition: Any, other: Any) -> Any: return ops.where(condition, self, other)
    def clone(self, *, memory_format: Any = None) -> Any: return ops.clone(self)
    def contiguous(self, memory_format: Any = None) -> Any: return self if self.is_contiguous() else ops.clone(self)

    # -- shape -----------------------------------------------------------------------------------------------
    @property
    def T(self) -> Any:
        """The dimensions in reverse order; a view."""
        return ops.reversed_dims(self)

    @property
    def mT(self) -> Any:
        """The last two dimensions exchanged; a view."""
        return ops.transpose(self, -1, -2)

    H = mH = mT

    def t(self) -> Any:
        """A matrix transposed; vectors and numbers as they are."""
        if self.ndim > 2:
            raise ops.ShapeError(f"t: a tensor of shape {self.shape} is no matrix; use .mT, or permute its dimensions")
        return ops.reversed_dims(self)

    def view(self, *shape: Any) -> Any:
        """Like reshape, but never a copy: an error where the memory does not allow a view."""
        result = ops.reshape(self, *shape)
        if self.numel() and not _share_memory(result._array, self._array):
            raise ops.ShapeError(f"view: shape {self.shape} with strides {self.stride()} needs a copy; use reshape")
        return result

    def view_as(self, other: Any) -> Any: return self.view(*other.shape)
    def reshape_as(self, other: Any) -> Any: return ops.reshape(self, other.shape)
    def split(self, split_size: Any, dim: Any = 0) -> Any: return ops.split(self, split_size, dim)
    def sum_to_size(self, *size: Any) -> Any: return ops.unbroadcast(self, shape_of(size))
    def __getitem__(self, index: Any) -> Any: return ops.getitem(self, index)

    # -- in place --------------------------------------------------------------------------------------------
    def __setitem__(self, index: Any, value: Any) -> None:
        ops.setitem(self, index, value)

    def copy_(self, other: Any) -> Any:
        """Overwrite self with `other` (a tensor or a number), broadcast and converted."""
        if not isinstance(other, Variable | bool | int | float):
            raise KindError(f"copy_: expected a tensor, got {type(other).__name__}; use fill_ or tg.tensor(…)")
        ops.setitem(self, ..., other, "copy_")
        return self

    def fill_(self, value: Any) -> Any:
        """Overwrite every entry with `value`."""
        ops.setitem(self, ..., value, "fill_")
        return self

    def zero_(self) -> Any: return self.fill_(0)
    def detach_(self) -> Any: return _detached(self)

    def squeeze_(self, dim: Any = None) -> Any:
        """`squeeze` of self."""
        return self._turned("squeeze_", lambda x: x.squeeze() if dim is None else x.squeeze(dim))

    def unsqueeze_(self, dim: Any) -> Any: return self._turned("unsqueeze_", lambda x: x.unsqueeze(dim))
    def t_(self) -> Any: return self._turned("t_", lambda x: x.t())
    def transpose_(self, dim0: Any, dim1: Any) -> Any:
        """`transpose` of self."""
        return self._turned("transpose_", lambda x: x.transpose(dim0, dim1))

    swapaxes_ = swapdims_ = transpose_

    def _turned(self, operation: str, view: Any) -> Any:
        """In-place form of a view: self becomes the view of what it was; other views of that stay as they are."""
        recorded = inplace.is_recorded(self)
        if recorded:
            inplace.check_change(operation, self)
        before = Tensor._wrap(self._array, self._version)
        before._node, before._index = self._node, self._index
        before._requires_grad, before._view = self._requires_grad, self._view
        after = view(before)
        self._array = after._array
        if recorded:
            self._node, self._index = after._node, after._index
        if recorded or self._view is not None:
            self._view = after._view
        return self

    def uniform_(self, from_: Any = 0.0, to: Any = 1.0, *, generator: Generator | None = None) -> Any:
        """Overwrite every entry with a number uniform in [from, to)."""
        return self._draw("uniform_", (generator or default_generator).uniform, from_, to)

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Generator | None = None) -> Any:
        """Overwrite every entry with a normal number."""
        return self._draw("normal_", (generator or default_generator).normal, mean, std)

    def exponential_(self, lambd: Any = 1.0, *, generator: Generator | None = None) -> Any:
        """Overwrite every entry with a number of the exponential distribution, mean 1/lambd."""
        return self.uniform_(generator=generator).neg_().log1p_().div_(-lambd)

    def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
        """Overwrite every entry with 1 with probability p, else 0."""
        chance = (generator or default_generator).uniform(self.shape, 0.0, 1.0, float64)
        return self.copy_(Tensor._wrap(chance < (host(p._array) if isinstance(p, Variable) else p)))

    def random_(self, from_: Any = 0, to: Any = None, *, generator: Generator | None = None) -> Any:
        """Overwrite every entry with a whole number in [from, to); one number alone is `to`."""
        if to is None and from_ != 0:
            from_, to = 0, from_
        if to is None:  # all that the dtype can hold exactly
            kind, exact = self.dtype.kind, None if self.dtype.kind != "f" else np.finfo(self.dtype).nmant + 1
            to = 2**exact if exact else 2 if kind == "b" else np.iinfo(self.dtype).max
        return self.copy_(Tensor._wrap((generator or default_generator).integers(int(from_), int(to), self.shape)))

    def _draw(self, operation: str, draw: Any, *parameters: Any) -> Any:
        if self.dtype.kind != "f":
            raise KindError(f"{operation}: a tensor of {self.dtype} cannot hold real numbers; use a float dtype")
        numbers = [float(p) for p in parameters]
        return self.copy_(Tensor._wrap(draw(self.shape, *numbers, self.dtype, device=self.device)))


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Any) -> bool:
    """Whether a tensor holds floats."""
    return bool(input.is_floating_point())


def numel(input: Any) -> int:
    """The number of entries."""
    return int(input.numel())


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


def _rebuild(cls: Any, requires_grad: bool, device: str, *layout: Any) -> Any:
    tensor = cls._wrap(moved(_viewed(*layout), device))
    tensor._requires_grad = requires_grad
    return tensor


def _detached(tensor: Any) -> Any:
    """The tensor, cut off from its history; a view is not, because its base goes on."""
    if tensor._view is not None:
        raise StateError("detach_: a view follows its base; use y = x.detach()")
    tensor._node, tensor._index, tensor._requires_grad = None, 0, False
    return tensor


def _legacy_dtype(dtype: Any) -> Any:
    """A dtype from PyTorch's old names: "torch.FloatTensor" is float32."""
    names = {f"torch.{old}Tensor": new for new, old in LEGACY.items()}
    return names.get(dtype, dtype) if isinstance(dtype, str) else dtype


def shape_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes, given one by one or as one sequence, as a shape; an error if one is negative."""
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    shape = tuple([n.__index__() for n in size])
    if shape and min(shape) < 0:
        raise ops.ShapeError(f"a tensor cannot have the shape {shape}: sizes are not negative")
    return shape


def _on_cpu(operation: str, array: Any) -> Any:
    """The array, if it is on the CPU."""
    if on_gpu(array):
        raise KindError(f"{operation}: the tensor is on the GPU; copy it first, as in x.cpu().numpy()")
    return array


def _share_memory(a: Any, b: Any) -> bool:
    """Whether the second array can be a view of the first one's memory, or both of a third's."""
    if on_gpu(a):
        return bool(a.data.mem is b.data.mem)
    return bool(np.may_share_memory(a, b))


def to_array(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """A new array of `data`, in `dtype` or in the one a tensor of it has, on a device or where `data` is."""
    there = on(device)  # it is there, or this is an error
    if isinstance(data, Variable) and on_gpu(data._array):
        array = K.copy(data._array) if dtype is None else K.cast(data._array, check_dtype(dtype))
        return array if device is None else moved(array, device)
    array = _numbers(data, dtype)
    return array if there is K else moved(array, device)


def _numbers(data: Any, dtype: Any) -> Any:
    """A new NumPy array of `data`."""
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
        wanted = get_default_dtype() if not _has_arrays(data) else array.dtype
    return array.astype(wanted or array.dtype)


def _plain(data: Any) -> Any:
    if isinstance(data, list | tuple):
        return [_plain(x) for x in data]
    if isinstance(data, Variable):
        return host(data._array)
    return np.asarray(data) if hasattr(data, "__array__") else data  # of others' tensors NumPy must not ask for a copy


def _has_arrays(data: Any) -> bool:
    return isinstance(data, np.ndarray | np.generic | Variable) or (
        isinstance(data, list | tuple) and len(data) > 0 and _has_arrays(data[0])
    )


set_tensor_class(Tensor)
