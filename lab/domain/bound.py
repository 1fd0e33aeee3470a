"""Bounds on measured numbers, written the way an engineer says them.

The grammar::

    bound     = op level | level ".." level | level "±" tolerance | "unchanged"
    op        = ">=" | "<=" | ">" | "<" | "=="
    level     = quantity | number "x reference" | "reference" [("+" | "-") quantity]
    tolerance = number "%" | quantity
    quantity  = number ["%" | "us" | "ms" | "s"]

``reference`` is the same measurement in the reference window. A tolerance in per
cent is of the whole level before it: ``reference + 800ms ±15%`` lies within 15 % of
*reference plus 800 ms*. ``unchanged`` is ``reference`` within 15 % or 15 ms,
whichever is more.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Final

from lab.domain.proof import Outcome
from lab.frozen import dataclass

GRAMMAR: Final = (
    "'>= 95%', '<= 250ms', '== 0', '400ms..480ms', '1.5s ±5%', '>= 10x reference', "
    "'<= reference + 50ms', 'reference ±15%' or 'unchanged'"
)
"""One example of each form, for error messages and the JSON Schema."""

_UNCHANGED_SHARE: Final = 0.15
_UNCHANGED_MS: Final = 15.0


class BoundError(ValueError):
    """A text is no bound, or one of another unit than is measured here."""


class Unit(StrEnum):
    """What is measured: durations are kept in ms, shares as fractions of 1."""

    DURATION = "duration"
    SHARE = "share"
    NUMBER = "number"


_SUFFIXES: Final = {
    "us": (Unit.DURATION, Decimal("0.001")),
    "ms": (Unit.DURATION, Decimal(1)),
    "s": (Unit.DURATION, Decimal(1000)),
    "%": (Unit.SHARE, Decimal("0.01")),
    "": (Unit.NUMBER, Decimal(1)),
}


class Form(StrEnum):
    """The shape of a bound; the first five are also its operator."""

    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"
    EXACTLY = "=="
    BETWEEN = ".."
    WITHIN = "±"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Level:
    """A number to compare with: ``times_reference`` × reference + ``amount``."""

    amount: float = 0.0
    times_reference: float = 0.0

    def value(self, reference: float | None) -> float | None:
        """The number itself; None where a reference is needed and there is none."""
        if not self.times_reference:
            return self.amount
        return None if reference is None else self.times_reference * reference + self.amount


@dataclass(frozen=True, slots=True)
class Bound:
    """One parsed bound; made by `parse`, written back by ``str``.

    ``unit`` is None where the text names none (``>= 10x reference``, ``unchanged``)
    and the bound therefore fits any measurement that has a reference. ``upper`` is
    the far end of *between*; ``tolerance`` that of *within*, a fraction of the level
    where ``tolerance_is_relative``.
    """

    form: Form
    level: Level
    unit: Unit | None
    upper: Level | None = None
    tolerance: float = 0.0
    tolerance_is_relative: bool = False

    @property
    def needs_reference(self) -> bool:
        """Whether it compares with the reference window."""
        levels = (self.level, self.upper or Level())
        return any(level.times_reference for level in levels)

    def holds(self, value: float | None, reference: float | None = None) -> Outcome:
        """Compare; UNKNOWN without a value, or without a reference that is needed."""
        level = self.level.value(reference)
        upper = self.upper.value(reference) if self.upper else level
        if value is None or level is None or upper is None:
            return Outcome.UNKNOWN
        return Outcome.HOLDS if self._fits(value, level, upper) else Outcome.FAILS

    def is_above(self, value: float | None, reference: float | None = None) -> bool:
        """Whether ``value`` fails, and a smaller one would not have."""
        level = self.level.value(reference)
        if value is None or level is None or self.form in {Form.AT_LEAST, Form.ABOVE}:
            return False
        return self.holds(value, reference) is Outcome.FAILS and value >= level

    def room_above_reference(self, reference: float) -> float | None:
        """How much more than ``reference`` fits; None where no more, or all that is more, does.

        Of a bound that compares with no reference, or with which the reference itself does
        not agree, there is no such room: it says that something changed.
        """
        if not self.needs_reference or self.holds(reference, reference) is not Outcome.HOLDS:
            return None
        level = self.level.value(reference)
        upper = self.upper.value(reference) if self.upper else level
        if level is None or upper is None or self.form in {Form.AT_LEAST, Form.ABOVE}:
            return None
        return upper + self._tolerated(level) - reference

    def _tolerated(self, level: float) -> float:
        """How far from ``level`` a value may be, in whatever is measured."""
        match self.form:
            case Form.WITHIN:
                return self.tolerance * (abs(level) if self.tolerance_is_relative else 1.0)
            case Form.UNCHANGED:
                return max(_UNCHANGED_SHARE * abs(level), _UNCHANGED_MS)
            case _:
                return 0.0

    def _fits(self, value: float, level: float, upper: float) -> bool:
        match self.form:
            case Form.AT_LEAST:
                return value >= level
            case Form.AT_MOST:
                return value <= level
            case Form.ABOVE:
                return value > level
            case Form.BELOW:
                return value < level
            case Form.EXACTLY:
                return value == level
            case Form.BETWEEN:
                return level <= value <= upper
            case Form.WITHIN | Form.UNCHANGED:
                return abs(value - level) <= self._tolerated(level)

    def __str__(self) -> str:
        """The bound as `parse` reads it."""
        if self.form is Form.UNCHANGED:
            return "unchanged"
        level = _level_text(self.level, self.unit)
        if self.form is Form.BETWEEN and self.upper:
            return f"{level}..{_level_text(self.upper, self.unit)}"
        if self.form is Form.WITHIN:
            unit = Unit.SHARE if self.tolerance_is_relative else self.unit
            return f"{level} ±{quantity_text(self.tolerance, unit)}"
        return f"{self.form} {level}"


_NUMBER: Final = r"\d{1,9}(?:\.\d{1,6})?"
_QUANTITY: Final = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<suffix>us|ms|s|%|)")
_MULTIPLE: Final = re.compile(rf"(?P<times>{_NUMBER})x\s+reference")
_OFFSET: Final = re.compile(r"reference(?:\s*(?P<sign>[+-])\s*(?P<quantity>\S.*))?")
_OPERATOR: Final = re.compile(r"(?P<operator>>=|<=|==|>|<)\s*(?P<level>\S.*)")


def parse(text: str, unit: Unit | None = None) -> Bound:
    """The bound that ``text`` writes; `BoundError` says what was expected.

    With ``unit`` given, a bound that names another one is refused, and so is one
    that needs a reference where only shares or numbers of one window are compared.
    """
    bound = _parse(text.strip())
    if bound is None:
        raise BoundError(f"expected a bound such as {GRAMMAR}, got {text!r}")
    if unit is not None and bound.unit not in {None, unit}:
        raise BoundError(f"expected a bound on a {unit}, got a {bound.unit} in {text!r}")
    return bound


def quantity(text: str) -> tuple[float, Unit] | None:
    """A number with its unit (ms, fraction or plain), or None where it is none."""
    found = _QUANTITY.fullmatch(text.strip())
    if not found:
        return None
    unit, factor = _SUFFIXES[found["suffix"]]
    return float(Decimal(found["number"]) * factor), unit


def _parse(text: str) -> Bound | None:
    if text == Form.UNCHANGED:
        return Bound(Form.UNCHANGED, Level(times_reference=1.0), None)
    if found := _OPERATOR.fullmatch(text):
        return _bound(Form(found["operator"]), found["level"])
    if Form.BETWEEN in text:
        low, _, high = text.partition(Form.BETWEEN)
        return _between(low, high)
    if Form.WITHIN in text:
        level, _, tolerance = text.partition(Form.WITHIN)
        return _within(level, tolerance)
    return None


def _bound(form: Form, text: str) -> Bound | None:
    parsed = _level(text.strip())
    return None if parsed is None else Bound(form, *parsed)


def _between(low_text: str, high_text: str) -> Bound | None:
    low, high = _level(low_text.strip()), _level(high_text.strip())
    if low is None or high is None:
        return None
    units = {unit for _, unit in (low, high) if unit is not None}
    if len(units) > 1:
        return None
    return Bound(Form.BETWEEN, low[0], next(iter(units), None), upper=high[0])


def _within(level_text: str, tolerance_text: str) -> Bound | None:
    parsed, tolerance = _level(level_text.strip()), quantity(tolerance_text)
    if parsed is None or tolerance is None:
        return None
    level, unit = parsed
    amount, tolerance_unit = tolerance
    if tolerance_unit is Unit.SHARE:
        return Bound(Form.WITHIN, level, unit, tolerance=amount, tolerance_is_relative=True)
    if unit not in {None, tolerance_unit}:
        return None
    return Bound(Form.WITHIN, level, tolerance_unit, tolerance=amount)


def _level(text: str) -> tuple[Level, Unit | None] | None:
    if found := _MULTIPLE.fullmatch(text):
        times = float(found["times"])
        return (Level(times_reference=times), None) if times else None
    if found := _OFFSET.fullmatch(text):
        if found["quantity"] is None:
            return Level(times_reference=1.0), None
        offset = quantity(found["quantity"])
        if offset is None:
            return None
        sign = -1.0 if found["sign"] == "-" else 1.0
        return Level(sign * offset[0], 1.0), offset[1]
    amount = quantity(text)
    return None if amount is None else (Level(amount[0]), amount[1])


def _level_text(level: Level, unit: Unit | None) -> str:
    if not level.times_reference:
        return quantity_text(level.amount, unit)
    if level.times_reference != 1.0:
        return f"{_plain(Decimal(repr(level.times_reference)))}x reference"
    if unit is None:
        return "reference"
    sign = "-" if level.amount < 0 else "+"
    return f"reference {sign} {quantity_text(abs(level.amount), unit)}"


def quantity_text(amount: float, unit: Unit | None) -> str:
    """An amount with its unit, as `quantity` reads it."""
    exact = Decimal(repr(amount))
    if unit is Unit.SHARE:
        return f"{_plain(exact * 100)}%"
    if unit is not Unit.DURATION:
        return _plain(exact)
    return f"{_plain(exact / 1000)}s" if exact >= 1000 else f"{_plain(exact)}ms"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
