"""A stretch of time as people type it: what is meant, and what is said to whoever means nothing."""

from __future__ import annotations

import pytest

from lab.adapters.cases.stretch import stretch_of
from lab.domain.rows import summary_of
from lab.errors import UsageError
from tests.support.sample_case import healthy_trace

FIRST_S = 1_700_000_000.0
"""2023-11-14T22:13:20Z."""

INDEX = tuple(summary_of(healthy_trace(f"{n:032x}", FIRST_S + n)) for n in range(1, 101))
"""A trace a second, the first at 22:13:21."""


@pytest.mark.parametrize(
    ("text", "start_s", "end_s"),
    [
        ("0s..90s", 1, 91),
        ("0..90", 1, 91),
        ("500ms..1m", 1.5, 61),
        ("..0.5m", 1, 31),
        ("90s..", 91, 100.001),
        (" 10s .. 20s ", 11, 21),
        ("1700000010..1700000020.5", 10, 20.5),
        ("2023-11-14T22:13:30Z..2023-11-14T23:13:40+01:00", 10, 20),
        ("2023-11-14T22:13:30..2023-11-14 22:13:40.250", 10, 20.25),
        ("2020-01-01..30s", 1_577_836_800 - FIRST_S, 31),
    ],
)
def test_each_way_to_say_it_is_the_same_time(text: str, start_s: float, end_s: float) -> None:
    found = stretch_of(text, INDEX)
    assert found.start_s - FIRST_S == pytest.approx(start_s, abs=1e-3)
    assert found.end_s - FIRST_S == pytest.approx(end_s, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("soon", "got 'soon'"),
        ("0s-90s", "got '0s-90s'"),
        ("0s..later", "got '0s..later'"),
        ("-5s..5s", "got '-5s..5s'"),
        ("nan..5s", "got 'nan..5s'"),
        ("..9" * 40, r"got '\.\.9.*…"),
        ("20s..10s", "none of them begins there"),
        ("200s..300s", "none of them begins there"),
        ("2030-01-01..2031-01-01", "none of them begins there"),
        ("..", "all of them begin there"),
        ("0s..1h", "all of them begin there"),
    ],
)
def test_what_cannot_be_meant_is_told_the_time_that_there_is(text: str, why: str) -> None:
    """What was expected, what was found, and from when to when the traces are, twice."""
    with pytest.raises(UsageError, match=why) as refused:
        stretch_of(text, INDEX)
    said = str(refused.value)
    assert said.startswith("expected FROM..TO as RFC 3339, Unix seconds or an offset")
    assert "2023-11-14T22:13:21.000+00:00 to 2023-11-14T22:15:00.000+00:00" in said
    assert said.endswith("which is 0s..99.000s")


def test_traces_without_a_time_have_no_stretch() -> None:
    with pytest.raises(UsageError, match="none says when it began"):
        stretch_of("0s..1s", ())
