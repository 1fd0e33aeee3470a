"""`dataclass` for frozen values, made at a fifth of what the standard one costs.

The standard one compiles six methods a class while a module is imported, and a command that reads
one case imports a hundred and fifty such classes, of most of which it makes no value. Here frozen
classes share their methods, and the only one that cannot be shared, how a value is made, is
compiled for the first value. All else is the standard library's: `fields`, `replace`, `asdict`,
slots and `match`. What the lab has no use for is refused where a class is defined: fields that are
no argument, or are hashed otherwise than compared. For a type checker it is the standard one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final

_QUICK: Final = frozenset({"slots", "kw_only"})
_NOT_GIVEN: Final = object()
"""In place of what a factory makes anew for each value."""


class _Frozen:
    """The methods of all frozen classes; each gets them as its own, as if they were generated."""

    __slots__ = ()
    _parts: Callable[[object], object]

    @recursive_repr()
    def __repr__(self) -> str:
        told = (each.name for each in _fields(self) if each.repr)
        parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in told)
        return f"{type(self).__qualname__}({parts})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._parts(self) == self._parts(other)

    def __hash__(self) -> int:
        return hash(self._parts(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in _fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


_SHARED: Final = {
    name: method
    for name, method in vars(_Frozen).items()
    if callable(method) and name.startswith("__")
}


def _dataclass(plain: type[Any] | None = None, /, *, frozen: bool = False, **how: bool) -> Any:
    """As `dataclasses.dataclass`; quick where it is frozen, and has slots or keywords at most."""
    if plain is None:
        return lambda given: _dataclass(given, frozen=frozen, **how)
    if not frozen or not how.keys() <= _QUICK:
        return dataclasses.dataclass(frozen=frozen, **how)(plain)
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, **how)(plain)
    _refuse(made)
    for name, method in {**_SHARED, "__init__": _compiled_later(made)}.items():
        # A class with an `__eq__` of its own has None for `__hash__`, which is no method either.
        setattr(made, name, vars(plain).get(name) or method)
    names = [each.name for each in _fields(made) if each.compare]
    made._parts = attrgetter(*names) if names else staticmethod(lambda _value: ())
    return made


def _refuse(made: type[Any]) -> None:
    """TypeError for what the methods here do not do as the standard library's would."""
    given = {each.name for each in _fields(made)}
    is_optional = False
    for name, each in made.__dataclass_fields__.items():
        is_plain = each.init and each.hash is None and name != "self"
        if not (is_plain if name in given else _is_of_the_class(each)):
            raise TypeError(f"expected a plain field, found {name} of {made.__qualname__}")
        if name in given and not each.kw_only:
            needed = each.default is MISSING and each.default_factory is MISSING
            if is_optional and needed:
                raise TypeError(f"non-default argument {name!r} follows default argument")
            is_optional = not needed


def _is_of_the_class(each: Field[Any]) -> bool:
    told = each.type if isinstance(each.type, str) else repr(each.type)
    return "ClassVar" in told


def _fields(value: Any) -> tuple[Field[Any], ...]:
    return fields(value)


def _compiled_later(kind: Any) -> Callable[..., None]:
    def init(self: Any, *args: Any, **named: Any) -> None:
        made = _maker(kind)
        # In its place from here on, unless somebody has put a method of his own there.
        if kind.__init__ is init:
            kind.__init__ = made
        made(self, *args, **named)

    return init


@cache
def _maker(kind: type[Any]) -> Callable[..., None]:
    """``__init__`` for a frozen class, line by line what the standard library would write."""
    known: dict[str, Any] = {"_put": object.__setattr__, "_not_given": _NOT_GIVEN}
    by_place, by_name, body = ["self"], ["*"], []
    for number, each in enumerate(_fields(kind)):
        asked, value = each.name, each.name
        if each.default is not MISSING:
            known[f"_default_{number}"] = each.default
            asked = f"{each.name}=_default_{number}"
        elif each.default_factory is not MISSING:
            known[f"_made_{number}"] = each.default_factory
            asked = f"{each.name}=_not_given"
            value = f"_made_{number}() if {each.name} is _not_given else {each.name}"
        (by_name if each.kw_only else by_place).append(asked)
        body.append(f" _put(self, {each.name!r}, {value})")
    if hasattr(kind, "__post_init__"):
        body.append(" self.__post_init__()")
    head = ", ".join(by_place + (by_name if len(by_name) > 1 else []))
    # Nothing in it but the names that a class of ours gives its fields.
    exec("\n".join((f"def __init__({head}):", *body, " return None")), known)  # noqa: S102
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{kind.__qualname__}.__init__"
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass
