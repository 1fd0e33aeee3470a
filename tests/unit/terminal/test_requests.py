"""Choosing requests, showing them, and finding the trace or span somebody meant."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from lab.domain.wording import duration, short_ids
from lab.errors import UsageError
from lab.investigation.reading.ids import resolve_span, resolve_trace
from lab.investigation.reading.requests import RequestQuery, find_requests
from lab.investigation.solving.briefing import briefing
from lab.terminal.requests import request_rows, request_table
from tests.support.recorded_cases import recorded
from tests.support.sample_case import sample_case

CASE = sample_case()
EVIDENCE = CASE.evidence


def printed(renderable: RenderableType, *, width: int = 80, terminal: bool = True) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=terminal, color_system=None).print(renderable)
    return out.getvalue()


# --- choosing ----------------------------------------------------------------------------


def test_only_requests_whose_trace_is_in_the_case_are_listed() -> None:
    """What cannot be opened is not offered."""
    chosen = find_requests(EVIDENCE, RequestQuery())
    assert len(chosen) == len(EVIDENCE.traces) == 23
    assert [each.start_s for each in chosen] == sorted(each.start_s for each in chosen)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"outcome": "error"}, 10),
        ({"outcome": "ok"}, 12),
        ({"outcome": "rejected"}, 1),
        ({"window": "before"}, 10),
        ({"window": "incident"}, 10),
        ({"window": "after", "outcome": "ok"}, 2),
        ({"route": "POST /checkout"}, 22),
        ({"route": "/CHECKOUT"}, 22),
        ({"route": "/products"}, 1),
        ({"outcome": "ok", "window": "incident"}, 0),
    ],
)
def test_filters_narrow_the_list(filters: dict[str, str], count: int) -> None:
    """Each filter takes away what does not fit, and they add up."""
    assert len(find_requests(EVIDENCE, RequestQuery(**filters))) == count  # type: ignore[arg-type]


def test_what_a_list_calls_slow_can_be_asked_for() -> None:
    """Those and no others; a failed one is red before it is slow."""
    evidence = recorded("one-by-one").evidence
    slow = find_requests(evidence, RequestQuery(outcome="slow"))
    everything = find_requests(evidence, RequestQuery())
    listed = printed(request_table(evidence, everything), width=160)
    assert 0 < len(slow) == listed.count("◆ slow") < len(everything)
    assert printed(request_table(evidence, slow), width=160).count("◆ slow") == len(slow)


def test_slowest_come_first_on_request() -> None:
    """The slowest of all, then the limit."""
    slowest = find_requests(EVIDENCE, RequestQuery(), sort="latency", descending=True)[:2]
    assert [each.latency_ms for each in slowest] == [1019.0, 1018.0]


@pytest.mark.parametrize(
    ("filters", "complaint"),
    [
        ({"outcome": "red"}, "expected --outcome to be one of ok, error, rejected, slow, got"),
        ({"tenant": "nobody"}, "expected --tenant to be one of [a-z]"),
        ({"service": "gatewya"}, "expected --service to be one of auth, .*got 'gatewya'"),
        ({"window": "crime"}, "expected --window to be one of before, incident, after"),
        ({"route": "/home"}, "expected --route to be one of GET /products, POST /checkout"),
    ],
)
def test_a_word_nobody_knows_is_refused(filters: dict[str, str], complaint: str) -> None:
    """An empty list would say that all is well."""
    with pytest.raises(UsageError, match=complaint):
        find_requests(EVIDENCE, RequestQuery(**filters))  # type: ignore[arg-type]


# --- showing -----------------------------------------------------------------------------


def test_the_table_shows_short_ids_that_can_be_typed() -> None:
    """Eight digits, the outcome by shape and word, and how to go on."""
    text = printed(request_table(EVIDENCE, find_requests(EVIDENCE, RequestQuery("error"))[:2]))
    assert "01bb01bb  incident" in text
    assert "✖ error" in text
    assert "2 of 2 requests that fit, of 23 with a trace" in " ".join(text.split())
    assert "crime" not in text


def test_a_pipe_gets_whole_ids() -> None:
    """Whoever pipes the list wants to use the ids, at any width."""
    chosen = find_requests(EVIDENCE, RequestQuery())
    for width in (80, 160):
        text = printed(request_table(EVIDENCE, chosen), terminal=False, width=width)
        assert all(each.trace_id in text for each in chosen)
        assert "POST /checkout" in text


def test_an_empty_list_says_what_to_do() -> None:
    """No table without rows."""
    assert "leave a filter out" in printed(request_table(EVIDENCE, ()))


def test_rows_for_programs_hold_the_numbers() -> None:
    """Whole ids, milliseconds, the learner's words for windows."""
    (row,) = request_rows(EVIDENCE, find_requests(EVIDENCE, RequestQuery(window="incident"))[:1])
    assert row == {
        "trace_id": "01bb" * 8,
        "window": "incident",
        "into_window_s": 0.0,
        "route": "POST /checkout",
        "status": 504,
        "outcome": "error",
        "latency_ms": 1010.0,
        "tenant": "acme",
        "whole": True,
        "stands_for": 1.0,
    }


def test_the_briefing_ends_with_the_support_code() -> None:
    """The one id a learner starts from; left out where there is none."""
    assert briefing(CASE).rstrip().endswith(f"`{CASE.support_code}`")
    assert "Support code" not in briefing(type(CASE)(**{**vars(CASE), "support_code": None}))


# --- resolving ---------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["01bb", "01BB01bb", " 01bb01bb… ", "01bb" * 8])
def test_the_first_digits_of_a_trace_are_enough(typed: str) -> None:
    """Case, blanks and a copied ellipsis do not matter."""
    assert resolve_trace(EVIDENCE, typed).trace_id == "01bb" * 8


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("0", "expected one trace, got '0', and 22 begin so .*give more digits"),
        ("ffff", "none begins so; `lab traces` lists them"),
        ("eeee", "a case keeps only a sample of traces"),
        ("", "hex digits only"),
        ("POST", "hex digits only"),
        ("01bb" * 9, "none begins so"),
    ],
)
def test_no_trace_or_several_are_refused(typed: str, complaint: str) -> None:
    """The message says how many were meant and where to look."""
    with pytest.raises(UsageError, match=complaint):
        resolve_trace(EVIDENCE, typed)


def test_spans_are_resolved_inside_their_trace() -> None:
    """One, several, none."""
    trace = EVIDENCE.traces["01bb" * 8]
    assert resolve_span(trace, "01bb0006").name == "SELECT"
    with pytest.raises(UsageError, match="expected one span, got '01bb', and 6 begin so"):
        resolve_span(trace, "01bb")
    with pytest.raises(UsageError, match=r"expected a span of trace 01bb01bb…, got 'ffff'"):
        resolve_span(trace, "ffff")


# --- words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0.00ms"),
        (0.45, "0.45ms"),
        (0.9996, "1.0ms"),
        (12.34, "12.3ms"),
        (99.96, "100ms"),
        (480, "480ms"),
        (999.6, "1.00s"),
        (9999, "10.0s"),
        (65_000, "65.0s"),
        (125_000, "2m05s"),
        (-3, "-3.0ms"),
    ],
)
def test_durations_have_three_digits(ms: float, words: str) -> None:
    """Never four digits, never a unit that hides the size."""
    assert duration(ms) == words


def test_short_ids_are_unique_and_no_shorter_than_asked() -> None:
    """As long as it takes to tell them apart."""
    assert short_ids(["abcd11", "abcd12", "ff0000"], 2) == {
        "abcd11": "abcd11",
        "abcd12": "abcd12",
        "ff0000": "ff",
    }
    assert short_ids(["abcd"], 8) == {"abcd": "abcd"}
    assert short_ids([], 4) == {}
