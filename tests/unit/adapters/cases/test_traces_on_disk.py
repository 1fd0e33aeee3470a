"""A line of traces is read as a whole document is, and a long one in far less memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lab.adapters.cases.traces_on_disk import traces_of_line
from lab.adapters.otlp.traces import DEEPEST_TRACE, MOST_SPANS, read_traces, trace_to_otlp
from lab.domain.trace import Span, Trace
from lab.errors import CaseDamaged
from tests.support.sample_case import span, span_id

TRACE_ID = "beef" * 8
LIKE_THE_NEXT = ', {"resource": {"attributes": [}]}]}, {"resource": {'


def spans_of(number: int, *, below_each_other: int = 100) -> Sequence[Span]:
    """So many spans, of two services in turns, and so that each is a group of its own."""
    return [
        span(
            TRACE_ID,
            n,
            None if n == 0 else n - 1 if n % below_each_other else 0,
            f"svc{n % 2} step é{n}",
            (n, n + 40),
            attributes={"note": LIKE_THE_NEXT, "n": n},
        )
        for n in range(number)
    ]


def line_of(spans: Sequence[Span]) -> str:
    """A line as a case has it."""
    return json.dumps(trace_to_otlp(Trace(TRACE_ID, tuple(spans))))


def read(line: str) -> dict[str, Trace]:
    return traces_of_line(Path("traces.jsonl"), 1, line)


@pytest.mark.parametrize("number", [1, 700, 3_000])
def test_a_line_is_read_as_it_was_written_however_long(number: int) -> None:
    """Whatever its strings hold."""
    spans = spans_of(number)
    found = read(line_of(spans))
    assert found == read_traces(json.loads(line_of(spans)))
    assert found[TRACE_ID].spans == tuple(spans)


def test_of_a_span_that_is_there_twice_the_first_counts() -> None:
    """Also where a long way lies between the two."""
    spans = [*spans_of(3_000), span(TRACE_ID, 7, 0, "svc0 again", (9, 10))]
    found = read(line_of(spans))
    assert found == read_traces(json.loads(line_of(spans)))
    assert len(found[TRACE_ID].spans) == 3_000


def test_a_long_line_is_not_held_as_json_as_well() -> None:
    """The objects of JSON take more than the spans that are made of them."""
    line = line_of(spans_of(5_000))

    def peak(work: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(lambda: read(line)) < 0.6 * peak(lambda: read_traces(json.loads(line)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (line_of(spans_of(MOST_SPANS + 1)), f"at most {MOST_SPANS}"),
        (line_of(spans_of(3_000, below_each_other=DEEPEST_TRACE + 1)), "below each other"),
        (line_of(spans_of(3_000))[:-1], "JSON"),
        (
            line_of(spans_of(3_000)).replace(f'"{span_id(TRACE_ID, 2_999)}"', '"bb7"'),
            r"resourceSpans\[2999\]",
        ),
        (
            json.dumps(
                {"resourceSpans": [{"resource": {"attributes": []}, "x": "x" * 30}] * 10_001}
            ),
            "at most 10000",
        ),
    ],
    ids=["too many", "too deep", "torn", "no id", "too many groups"],
)
def test_what_is_wrong_with_a_long_line_is_said_as_of_a_short_one(line: str, expected: str) -> None:
    """Wherever in it that is."""
    assert len(line) > 2**19
    with pytest.raises(CaseDamaged, match=expected):
        read(line)
