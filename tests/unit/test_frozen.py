"""Frozen classes are as the standard library makes them, in all that anybody can see."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, field
from functools import cached_property
from typing import Any

import pytest

from lab import frozen
from lab.settings import CHECKOUT


def body(name: str) -> type[Any]:
    """A class with every kind of field, which nothing has made a dataclass yet."""

    class It:
        a: int
        b: str = "x"
        c: Mapping[str, int] = field(default_factory=dict)
        d: str = field(default="secret", repr=False)
        e: object = field(default=None, compare=False)

        def __post_init__(self) -> None:
            """Refuse what no value may be."""
            if self.a < 0:
                raise ValueError("expected none below 0")

    It.__name__ = It.__qualname__ = name  # By which it is pickled.
    return It


Quick: Any = frozen.dataclass(frozen=True, slots=True)(body("Quick"))
Plain: Any = dataclasses.dataclass(frozen=True, slots=True)(body("Plain"))
"""The same, made by the standard library."""


@frozen.dataclass(frozen=True, kw_only=True)
class Named:
    """One whose fields are given by name, and that keeps what it found out."""

    a: int
    b: int = 2

    @cached_property
    def both(self) -> int:
        """Their sum."""
        return self.a + self.b


@frozen.dataclass(frozen=True)
class Heir(Named):
    """One with the fields of another."""

    c: int = 3


@frozen.dataclass(frozen=True, slots=True)
class Empty:
    """One without any."""


def outcome(of: Callable[[Any], Any], kind: Any) -> Any:
    """What came of it: its text, or the error, without the name of the class."""
    try:
        return repr(of(kind)).replace(kind.__name__, "It")
    except (TypeError, ValueError, AttributeError) as error:
        return type(error), str(error).replace(kind.__name__, "It")


@pytest.mark.parametrize(
    "of",
    [
        lambda kind: kind(1),
        lambda kind: kind(1, "y", {"k": 1}, "d", "e"),
        lambda kind: kind(b="y", a=2),
        lambda kind: kind(),
        lambda kind: kind(1, "y", {}, "d", "e", 6),
        lambda kind: kind(1, f=2),
        lambda kind: kind(-1),
        lambda kind: (kind(1) == kind(1), kind(1) == kind(2), kind(1) == (1, "x"), kind(1) != 1),
        lambda kind: kind(1, e=1) == kind(1, e=2),
        lambda kind: setattr(kind(1), "a", 2),
        lambda kind: delattr(kind(1), "a"),
        lambda kind: vars(kind(1)),
        lambda kind: kind.__match_args__,
        lambda kind: dataclasses.asdict(kind(1)),
        lambda kind: dataclasses.astuple(kind(1)),
        lambda kind: dataclasses.replace(kind(1), b="z"),
        lambda kind: dataclasses.replace(kind(1), z=1),
        lambda kind: [each.name for each in dataclasses.fields(kind)],
        lambda kind: (
            copy.copy(kind(1)),
            copy.deepcopy(kind(1)),
            pickle.loads(pickle.dumps(kind(1))),
        ),
        lambda kind: kind(1).c is kind(1).c,
        lambda kind: inspect.getdoc(kind.__post_init__),
        lambda kind: hash(kind(1, c=1)) == hash(kind(1, c=1)),
    ],
)
def test_a_quick_class_does_what_the_standard_one_does(of: Callable[[Any], Any]) -> None:
    assert outcome(of, Quick) == outcome(of, Plain)


def test_fields_by_name_alone_and_of_a_parent() -> None:
    assert repr(Heir(a=1)) == "Heir(a=1, b=2, c=3)"
    assert Named(a=1).both == 3
    assert Heir(a=1) != Named(a=1)
    assert Heir(a=1, c=4) == Heir(4, a=1)
    with pytest.raises(TypeError, match="positional"):
        Named(1)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        Heir(a=1).b = 5  # type: ignore[misc]


def test_no_name_can_be_put_on_a_value() -> None:
    """The standard library's own fails otherwise here: it asks a class that slots replaced."""
    with pytest.raises(FrozenInstanceError, match="'z'"):
        Quick(1).z = 2


def its_own_equal(self: object, other: object) -> bool:
    """Whatever it is compared with."""
    return isinstance(other, type(self))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"a": field(init=False, default=1)}, "a plain field, found a"),
        ({"a": field(hash=False)}, "a plain field, found a"),
        ({"a": dataclasses.InitVar[int]}, "a plain field, found a"),
        ({"self": int}, "a plain field, found self"),
        ({"a": field(default=1), "b": int}, "'b' follows default"),
    ],
)
def test_what_would_be_otherwise_than_the_standard_library_s_is_refused(
    fields: dict[str, Any], problem: str
) -> None:
    """Where the class is defined, and not at its first value."""
    plain = type("It", (), {k: v for k, v in fields.items() if isinstance(v, dataclasses.Field)})
    plain.__annotations__ = {
        k: int if isinstance(v, dataclasses.Field) else v for k, v in fields.items()
    }
    with pytest.raises(TypeError, match=problem):
        frozen.dataclass(frozen=True, slots=True)(plain)


def test_a_class_with_an_equality_of_its_own_is_hashed_by_its_fields() -> None:
    """As the standard library does it."""
    for make in (frozen.dataclass, dataclasses.dataclass):
        kind: Any = body("It")
        kind.__eq__, kind.__hash__ = its_own_equal, None
        made = make(frozen=True)(kind)
        assert hash(made(1, c=1, e=1)) == hash(made(1, c=1))
        assert made(1) == made(2)


def test_what_is_put_in_place_of_a_class_s_own_method_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also before the first value, for which the class's own is compiled."""
    kind: Any = frozen.dataclass(frozen=True, slots=True)(body("Watched"))
    made, told = kind.__init__, []

    def init(self: Any, *args: Any) -> None:
        made(self, *args)
        told.append(self.a)

    monkeypatch.setattr(kind, "__init__", init)
    assert (kind(1).b, kind(2).a) == ("x", 2)
    assert told == [1, 2]


def test_one_without_fields() -> None:
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1


def test_what_holds_itself_is_printed() -> None:
    held: list[object] = []
    value = Quick(1, e=held)
    held.append(value)
    assert repr(value).endswith("e=[...])")


def test_what_is_not_frozen_is_the_standard_library_s() -> None:
    @frozen.dataclass
    class Changing:
        a: int = 1

    it = Changing()
    it.a = 2
    assert it == Changing(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(it)


def test_a_method_of_the_class_itself_stays() -> None:
    @frozen.dataclass(frozen=True)
    class Own:
        a: int

        def __repr__(self) -> str:
            return "mine"

    assert repr(Own(1)) == "mine"


def test_a_heir_that_is_made_in_its_own_way_stays_so() -> None:
    """The method that is compiled later takes the place of its own class's, and of no other's."""

    class Child(Heir):
        def __init__(self, a: int) -> None:
            super().__init__(a=a, c=a)

    assert [Child(4).c, Child(5).c] == [4, 5]
    assert repr(Heir(a=6)) == "Heir(a=6, b=2, c=3)"


def test_frozen_classes_are_made_nowhere_else() -> None:
    """But by what knows nothing of the lab."""
    others = (
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "lab").rglob("*.py")
        if "@dataclass(frozen=True" in (text := path.read_text(encoding="utf-8"))
        and "from lab.frozen import dataclass" not in text
    )
    assert {each.rsplit("/", 1)[0] for each in others} <= {"lab/load", "lab/shop"}
