from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.bound import Bound, BoundError, Unit, parse
from lab.domain.proof import Outcome

numbers = st.decimals(0, 99999, places=3, allow_nan=False, allow_infinity=False).map(str)
suffixes = st.sampled_from(["%", "us", "ms", "s", ""])
quantities = st.builds("{}{}".format, numbers, suffixes)
offsets = st.builds("reference {} {}".format, st.sampled_from("+-"), quantities)
multiples = st.builds("{}x reference".format, numbers.filter(float))
levels = st.one_of(quantities, offsets, multiples, st.just("reference"))
tolerances = st.builds("{}%".format, numbers)
bounds = st.one_of(
    st.builds("{} {}".format, st.sampled_from([">=", "<=", ">", "<", "=="]), levels),
    st.builds(lambda low, high, unit: f"{low}{unit}..{high}{unit}", numbers, numbers, suffixes),
    st.builds("{} ±{}".format, levels, tolerances),
    st.just("unchanged"),
)


@given(bounds)
def test_a_bound_written_back_is_the_same_bound(text: str) -> None:
    bound = parse(text)
    assert parse(str(bound)) == bound
    assert str(parse(str(bound))) == str(bound)


@given(bounds, st.floats(0, 1e6), st.one_of(st.none(), st.floats(0, 1e6)))
def test_every_comparison_has_an_outcome(text: str, value: float, reference: float | None) -> None:
    bound = parse(text)
    outcome = bound.holds(value, reference)
    assert (outcome is Outcome.UNKNOWN) is (bound.needs_reference and reference is None)


@given(st.text(max_size=40))
def test_any_text_is_a_bound_or_refused(text: str) -> None:
    with suppress(BoundError):
        assert isinstance(parse(text), Bound)


@pytest.mark.parametrize(
    ("text", "value", "reference"),
    [
        (">= 95%", 0.95, None),
        ("<= 1%", 0.01, None),
        ("== 0", 0, None),
        ("> 3", 4, None),
        ("< 3", 2, None),
        ("400ms..480ms", 480, None),
        ("1.5s ±5%", 1575, None),
        ("1.5s ±20ms", 1480, None),
        (">= 10x reference", 50, 5),
        ("<= reference + 50ms", 60, 10),
        (">= reference - 5ms", 5, 10),
        ("reference ±15%", 115, 100),
        ("reference + 800ms ±15%", 935, 20),
        ("unchanged", 17, 3),
        ("unchanged", 460, 400),
    ],
)
def test_a_value_on_the_edge_is_inside(text: str, value: float, reference: float | None) -> None:
    assert parse(text).holds(value, reference) is Outcome.HOLDS


@pytest.mark.parametrize(
    ("text", "value", "reference"),
    [
        (">= 95%", 0.949, None),
        ("<= 1%", 0.011, None),
        ("== 0", 1, None),
        ("> 3", 3, None),
        ("< 3", 3, None),
        ("400ms..480ms", 399.9, None),
        ("400ms..480ms", 480.1, None),
        ("1.5s ±5%", 1576, None),
        ("1.5s ±20ms", 1521, None),
        (">= 10x reference", 49, 5),
        ("<= reference + 50ms", 61, 10),
        ("reference ±15%", 84, 100),
        ("reference + 800ms ±15%", 690, 20),
        ("unchanged", 19, 3),
        ("unchanged", 461, 400),
    ],
)
def test_a_value_outside_fails(text: str, value: float, reference: float | None) -> None:
    assert parse(text).holds(value, reference) is Outcome.FAILS


def test_without_a_value_nothing_is_known() -> None:
    assert parse("<= 1%").holds(None) is Outcome.UNKNOWN
    assert parse("unchanged").holds(4.0) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "95%",
        ">= ",
        ">= 5 parsecs",
        "1s..",
        "1s..5%",
        "reference * 2",
        "-5ms",
        ">= -5",
        "1s ±",
        ">= 0x reference",
    ],
)
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(BoundError, match="expected a bound such as"):
        parse(text)


def test_a_tolerance_in_another_unit_than_its_level_is_refused() -> None:
    with pytest.raises(BoundError):
        parse("1s ±5")


def test_a_bound_on_another_unit_than_is_measured_is_refused() -> None:
    with pytest.raises(BoundError, match="expected a bound on a share, got a duration"):
        parse(">= 95ms", Unit.SHARE)


def test_a_bound_that_names_no_unit_fits_any() -> None:
    assert isinstance(parse(">= 10x reference", Unit.SHARE), Bound)


@pytest.mark.parametrize(
    ("text", "value", "above"),
    [
        ("<= reference + 50ms", 151, True),
        ("<= reference + 50ms", 150, False),
        ("unchanged", 116, True),
        ("unchanged", 84, False),
        ("reference + 20ms ±10%", 140, True),
        ("reference + 20ms ±10%", 100, False),
        ("reference + 10ms..reference + 20ms", 121, True),
        ("reference + 10ms..reference + 20ms", 109, False),
        (">= 10x reference", 900, False),
        ("<= reference", None, False),
    ],
)
def test_what_fails_by_being_more_is_told_from_what_is_less(
    text: str, value: float | None, above: bool
) -> None:
    """Of a reference of 100 ms; what holds is neither."""
    assert parse(text).is_above(value, 100.0) is above


@pytest.mark.parametrize(
    ("text", "room_ms"),
    [
        ("<= reference + 50ms", 50),
        ("< reference + 50ms", 50),
        ("unchanged", 15),
        ("reference ±30%", 30),
        ("reference ±30ms", 30),
        ("reference - 5ms..reference + 7ms", 7),
        ("<= 1.5x reference", 50),
        ("reference + 400ms ±10%", None),
        (">= 10x reference", None),
        (">= reference - 5ms", None),
        ("<= 250ms", None),
    ],
)
def test_a_bound_that_the_reference_obeys_says_how_much_more_it_lets_pass(
    text: str, room_ms: float | None
) -> None:
    """A bound on a change, or on a number of its own, lets the reference grow by nothing."""
    room = parse(text).room_above_reference(100.0)
    assert room == (room_ms if room_ms is None else pytest.approx(room_ms))
