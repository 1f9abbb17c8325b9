"""A reader of the small part of the pickle language that PyTorch's files are written in. It runs nothing.

The language is that of a stack machine (documented in Python's own `pickletools`). Where a pickle names a class or
function, this reader asks `find`, which answers with one of its own functions or refuses: no name in the file is
ever imported, and nothing but those functions is called.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .container import FileError

CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
EMPTY: dict[bytes, Callable[[], Any]] = {b"}": dict, b"]": list, b")": tuple, b"\x8f": set}
NUMBERS = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}
LENGTHS = {1: "<B", 4: "<I", 8: "<Q"}
TEXTS = {b"X": 4, b"\x8c": 1, b"\x8d": 8}
BYTES = {b"C": 1, b"B": 4, b"\x8e": 8}
OLD_TEXTS = {b"U": 1, b"T": 4}  # strings of Python 2
TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
PUTS, GETS = {b"q": 1, b"r": 4}, {b"h": 1, b"j": 4}
DEPTH = 100
MARK = object()


class Allowed:
    """A name that the file may use: `make(*arguments)` is what calling it gives, `value` what naming it gives."""

    def __init__(self, name: str, make: Callable[..., Any] | None = None, value: Any = None) -> None:
        self.name, self.make, self.value = name, make, value


class Reader:
    """Reads one pickle from `data` at `start`; `end` is then where it stopped.

    `find(module, name)` gives what the file may name, `persistent(id)` what a persistent id stands for.
    """

    def __init__(self, data: bytes, find: Callable[[str, str], Allowed], persistent: Callable[[Any], Any],
                 start: int = 0) -> None:  # fmt: skip
        self.data, self.end, self.find, self.persistent = data, start, find, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def read(self) -> Any:
        """The object. FileError for anything that is not let in or does not make sense."""
        try:
            while (code := self._take(1)) != b".":
                self._do(code)
            result = self._pop()
            _check(result, 0, set(), set())
        except FileError:
            raise
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError, struct.error, MemoryError,
                RecursionError) as error:  # fmt: skip
            raise FileError(f"its pickle is damaged ({type(error).__name__}: {error})") from None
        if self.stack:
            raise FileError("its pickle is damaged (it ends too early)")
        return result

    def _take(self, count: int) -> bytes:
        if count > len(self.data) - self.end:
            raise FileError("its pickle is truncated")
        self.end += count
        return self.data[self.end - count : self.end]

    def _number(self, size: int) -> int:
        return int(struct.unpack(LENGTHS[size], self._take(size))[0])

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise FileError("its pickle is damaged (a mark in the wrong place)")
        return value

    def _since_mark(self) -> list[Any]:
        items = []
        while (value := self.stack.pop()) is not MARK:
            items.append(value)
        return items[::-1]

    def _do(self, code: bytes) -> None:
        push = self.stack.append
        if code in CONSTANTS:
            push(CONSTANTS[code])
        elif code in EMPTY:
            push(EMPTY[code]())
        elif code in NUMBERS:
            push(struct.unpack(NUMBERS[code], self._take(struct.calcsize(NUMBERS[code])))[0])
        elif code in TEXTS:
            push(self._take(self._number(TEXTS[code])).decode("utf-8", "surrogatepass"))
        elif code in BYTES:
            push(self._take(self._number(BYTES[code])))
        elif code in OLD_TEXTS:
            push(self._take(self._number(OLD_TEXTS[code])).decode("latin-1"))
        elif code in TUPLES:
            push(tuple([self._pop() for _ in range(TUPLES[code])][::-1]))
        elif code in PUTS or code == b"\x94":
            self.memo[self._number(PUTS[code]) if code in PUTS else len(self.memo)] = self.stack[-1]
        elif code in GETS:
            push(self.memo[self._number(GETS[code])])
        elif code in OTHERS:
            OTHERS[code](self)
        else:
            raise FileError(f"its pickle has the instruction {code!r}, which has no place in a file of tensors")

    # -- instructions that do more ---------------------------------------------------------------------------
    def _proto(self) -> None:
        if self._number(1) > 5:
            raise FileError("its pickle is of an unknown protocol")

    def _frame(self) -> None:
        self._take(8)

    def _mark(self) -> None:
        self.stack.append(MARK)

    def _drop(self) -> None:
        self.stack.pop()

    def _long(self) -> None:
        self.stack.append(int.from_bytes(self._take(self._number(1)), "little", signed=True))

    def _tuple(self) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self) -> None:
        items = self._since_mark()
        self._top(list).extend(items)

    def _add_items(self) -> None:
        items = self._since_mark()
        self._top(set).update(_key(item) for item in items)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._top(dict)[_key(key)] = value

    def _set_items(self) -> None:
        items = self._since_mark()
        target = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise FileError(f"its pickle is damaged (a {type(self.stack[-1]).__name__} where a {kind.__name__} is due)")
        return self.stack[-1]

    def _global(self) -> None:
        lines = []
        for _ in range(2):
            stop = self.data.index(b"\n", self.end)
            lines.append(self._take(stop - self.end + 1)[:-1].decode("utf-8"))
        self._name(*lines)

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._name(module, name)

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise FileError("its pickle is damaged (a name that is no text)")
        found = self.find(module, name)
        self.stack.append(found if found.value is None else found.value)

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Allowed) or function.make is None or not isinstance(arguments, tuple):
            what = function.name if isinstance(function, Allowed) else f"a {type(function).__name__}"
            raise FileError(f"its pickle calls {what}, which is not let in")
        self.stack.append(function.make(*arguments))

    def _build(self) -> None:
        state = self._pop()  # a state dictionary's _metadata, of no use here
        if not isinstance(self.stack[-1], OrderedDict) or not isinstance(state, dict):
            raise FileError(f"its pickle sets the state of a {type(self.stack[-1]).__name__}, which is not let in")

    def _persistent(self) -> None:
        self.stack.append(self.persistent(self._pop()))


OTHERS: dict[bytes, Callable[[Reader], None]] = {
    b"\x80": Reader._proto, b"\x95": Reader._frame, b"(": Reader._mark, b"0": Reader._drop, b"\x8a": Reader._long,
    b"t": Reader._tuple, b"a": Reader._append, b"e": Reader._appends, b"\x90": Reader._add_items,
    b"s": Reader._set_item, b"u": Reader._set_items, b"c": Reader._global, b"\x93": Reader._stack_global,
    b"R": Reader._reduce, b"b": Reader._build, b"Q": Reader._persistent,
}  # fmt: skip


def _key(value: Any) -> Any:
    """A dictionary's key: plain ones only, since hashing deeply nested tuples recurses without a limit."""
    parts = value if isinstance(value, tuple) else (value,)
    if not all(part is None or isinstance(part, str | bytes | int | float) for part in parts):
        raise FileError(f"its pickle has a {type(value).__name__} as a dictionary's key, which is not let in")
    return value


def _check(value: Any, depth: int, above: set[int], done: set[int]) -> None:
    """Refuse containers that hold themselves, are nested too deeply, or hold names that are no values."""
    if isinstance(value, Allowed):
        raise FileError(f"it holds {value.name} itself, which is no value")
    if not isinstance(value, dict | list | tuple | set) or id(value) in done:
        return
    if depth > DEPTH or id(value) in above:
        raise FileError(f"its containers are nested more than {DEPTH} deep, or hold themselves")
    above.add(id(value))
    for item in value.values() if isinstance(value, dict) else value:
        _check(item, depth + 1, above, done)
    above.remove(id(value))
    done.add(id(value))
