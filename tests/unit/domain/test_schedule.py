"""When a schedule says on and off: the same for the same seed, in bounds, never overlapping."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.fault import Fault, Stream, Toxic
from lab.domain.schedule import SHORTEST_S, Schedule

NUMBERS = range(6)


def seconds(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most, allow_nan=False)


@st.composite
def repeating(draw: st.DrawFn) -> Schedule:
    """Any schedule that repeats and can be kept."""
    on_s, jitter_s = draw(seconds(SHORTEST_S, 60)), draw(seconds(0, 30))
    every_s = on_s + jitter_s + SHORTEST_S + draw(seconds(0, 60))
    return Schedule(draw(seconds(0, 100)), on_s, every_s, jitter_s)


seeds = st.integers().map(str)


@given(repeating(), seeds)
def test_intervals_keep_their_length_their_order_and_their_jitter(
    schedule: Schedule, seed: str
) -> None:
    """Each comes when it is due, or up to the jitter later, and is over before the next is due."""
    assert schedule.problems() == ()
    assert schedule.on_s is not None
    assert schedule.every_s is not None
    intervals = [schedule.interval(number, seed) for number in NUMBERS]
    for number, (comes_s, goes_s) in enumerate(intervals):
        due_s = schedule.start_s + number * schedule.every_s
        assert due_s <= comes_s <= due_s + schedule.jitter_s
        assert goes_s - comes_s == pytest.approx(schedule.on_s)
    for (_, goes_s), (comes_s, _) in pairwise(intervals):
        assert comes_s - goes_s >= SHORTEST_S - 1e-9


@given(repeating(), seeds)
def test_it_is_on_inside_its_intervals_and_nowhere_else(schedule: Schedule, seed: str) -> None:
    """Asked at any moment, without a walk through all intervals before it."""
    intervals = [schedule.interval(number, seed) for number in NUMBERS]
    assert not schedule.is_on(intervals[0][0] - 0.01, seed)
    for comes_s, goes_s in intervals:
        assert schedule.is_on(comes_s + 0.01, seed)
        assert schedule.is_on(goes_s - 0.01, seed)
        assert not schedule.is_on(goes_s + 0.01, seed)
    for (_, goes_s), (comes_s, _) in pairwise(intervals):
        assert not schedule.is_on((goes_s + comes_s) / 2, seed)


@given(repeating(), seeds)
def test_when_it_last_turned_is_one_end_of_an_interval(schedule: Schedule, seed: str) -> None:
    """So whoever is late in switching it knows by how much."""
    intervals = [schedule.interval(number, seed) for number in NUMBERS]
    for comes_s, goes_s in intervals:
        assert schedule.turned_s(goes_s - 0.01, seed) == comes_s
        assert schedule.turned_s(goes_s + 0.01, seed) == goes_s
    for (_, goes_s), (comes_s, _) in pairwise(intervals):
        assert schedule.turned_s(comes_s - 0.01, seed) == goes_s


@given(repeating(), seeds)
def test_the_same_seed_gives_the_same_intervals(schedule: Schedule, seed: str) -> None:
    """A run can be repeated."""
    again = Schedule(schedule.start_s, schedule.on_s, schedule.every_s, schedule.jitter_s)
    assert [schedule.interval(n, seed) for n in NUMBERS] == [
        again.interval(n, seed) for n in NUMBERS
    ]


def test_another_seed_another_time_and_another_fault_jitter_differently() -> None:
    """Two faults with one schedule do not come and go in step."""
    schedule = Schedule(0, 10, 60, 40)
    shifts = {schedule.interval(n, seed)[0] - 60 * n for n in NUMBERS for seed in ("1", "2")}
    assert len(shifts) == 12
    one = Fault("gateway-auth", Toxic.LATENCY, {"latency": 700}, schedule=schedule)
    other = Fault("gateway-catalog", Toxic.LATENCY, {"latency": 700}, schedule=schedule)
    moments = [n / 2 for n in range(600)]
    assert [one.is_on(at, 1) for at in moments] != [other.is_on(at, 1) for at in moments]
    assert [one.is_on(at, 1) for at in moments] != [one.is_on(at, 2) for at in moments]


def test_what_has_no_end_stays_and_what_does_not_repeat_comes_once() -> None:
    """Neither ``on_s`` nor ``every_s`` need be given."""
    assert Schedule(5).interval(0, "") == (5, math.inf)
    assert [at for at in (0, 4.9, 5, 9999) if Schedule(5).is_on(at, "")] == [5, 9999]
    once = Schedule(5, on_s=2)
    assert [once.is_on(at, "") for at in (4.9, 5, 6.9, 7, 9999)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_case_ten_is_on_for_15_s_of_every_minute() -> None:
    """Latency 700, on 15 s, off 45 s, for four minutes."""
    fault = Fault(
        "gateway-auth",
        Toxic.LATENCY,
        {"latency": 700},
        schedule=Schedule(start_s=10, on_s=15, every_s=60),
    )
    on = [second for second in range(240) if fault.is_on(second, seed=1)]
    assert on == [second for second in range(240) if second % 60 in range(10, 25)]


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (Schedule(-1), "expected start to be finite and >= 0s, found -1s"),
        (Schedule(math.nan), "expected start to be finite and >= 0s, found nans"),
        (Schedule(on_s=math.inf), "expected on to be finite and >= 0s, found infs"),
        (Schedule(on_s=5, every_s=-6), "expected every to be finite and >= 0s, found -6s"),
        (Schedule(jitter_s=-1), "expected jitter to be finite and >= 0s, found -1s"),
        (Schedule(on_s=0.49), "expected on to be >= 0.5s, found 0.49s"),
        (Schedule(on_s=5, every_s=5.4), "expected every to be >= 5.5s (on, jitter and 0.5s of"),
        (Schedule(on_s=5, every_s=7, jitter_s=2), "expected every to be >= 7.5s (on, jitter and"),
        (Schedule(every_s=60), "expected on where there is every"),
    ],
)
def test_a_schedule_that_nobody_could_keep_says_why(schedule: Schedule, problem: str) -> None:
    """The reason names what is wrong, and the fault that has it passes it on."""
    (found,) = schedule.problems()
    assert found.startswith(problem)
    assert Fault("gateway-auth", None, schedule=schedule).problems() == (found,)


def test_a_schedule_is_no_part_of_what_toxiproxy_shows() -> None:
    """Two faults differ by their schedule; the harm they do is the same."""
    plain = Fault("gateway-auth", Toxic.LATENCY, {"latency": 700})
    scheduled = Fault("gateway-auth", Toxic.LATENCY, {"latency": 700}, schedule=Schedule(5))
    assert scheduled != plain
    assert scheduled.unscheduled == plain
    assert plain.is_on(0, seed=1)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("payments-bank", None), "payments-bank down"),
        (
            Fault("gateway-auth", Toxic.LATENCY, {"latency": 700}, Stream.UPSTREAM, 0.5),
            "gateway-auth latency latency=700 jitter=0 upstream toxicity=0.5",
        ),
        (
            Fault("payments-bank", None, schedule=Schedule(on_s=15, every_s=60, jitter_s=1.5)),
            "payments-bank down {start: 0s, on: 15s, every: 60s, jitter: 1.5s}",
        ),
        (
            Fault("payments-bank", None, schedule=Schedule(5)),
            "payments-bank down {start: 5s, jitter: 0s}",
        ),
    ],
)
def test_a_journal_tells_a_fault_in_words(fault: Fault, told: str) -> None:
    """Edge, harm, and what is out of the ordinary."""
    assert str(fault) == told
