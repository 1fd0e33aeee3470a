"""A trace as a tree: readable at 80 columns, truthful about what is missing, safe to print."""

from __future__ import annotations

import dataclasses
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lab.adapters.otlp.traces import assemble
from lab.domain.evidence import Evidence, Sample
from lab.domain.rows import Gap, Missing, rows
from lab.domain.trace import Event, Kind, Span, Status, Trace
from lab.terminal.trace_tree import trace_tree
from tests.support.recorded_cases import recorded
from tests.support.sample_case import (
    broken_trace,
    fatal_trace,
    healthy_trace,
    sample_case,
    span,
    span_id,
)

TRACE_ID = "ab" * 16
NOTHING = Evidence(windows={}, requests=(), samples={}, traces={})


def drawn(
    trace: Trace,
    evidence: Evidence = NOTHING,
    *,
    width: int = 80,
    terminal: bool = True,
    **how: bool,
) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=terminal, color_system=None, highlight=False
    )
    console.print(trace_tree(trace, evidence, **how))
    return out.getvalue()


def line_with(text: str, words: str) -> str:
    return next(line for line in text.splitlines() if words in line)


def test_a_tree_shows_who_called_whom_and_how_it_ended() -> None:
    """Each span stands below its parent with its mark, service, name and peer."""
    case = sample_case()
    text = drawn(case.evidence.traces["01bb" * 8], case.evidence)
    assert "trace " + "01bb" * 8 in text
    assert "POST /checkout: 504 after 1.01s, tenant acme, incident" in text
    assert "    └ ✖ error ▣ auth GET /sessions" in text
    assert "      ├ · auth pool.acquire" in text
    assert "      └ ✖ error → auth SELECT (users_db)" in text
    assert "! TimeoutError: no answer within 1" in text
    assert "6 spans, none missing" in text


def test_durations_self_wire_and_ghost_stand_in_columns() -> None:
    """The client's line holds what it took, its own time, the wire, and times the usual."""
    case = sample_case()
    text = drawn(case.evidence.traces["01bb" * 8], case.evidence)
    assert line_with(text, "gateway GET /sessions (auth)").split()[-4:] == [
        "1.01s",
        "2.0ms",
        "2.0ms",
        "×126",
    ]
    assert line_with(text, "auth SELECT").split()[-3:] == ["1.00s", "1.00s", "×334"]
    assert line_with(text, "pool.acquire").split()[-3:] == ["0.20ms", "0.20ms", "×1.0"]


def test_an_operation_the_reference_never_saw_is_new() -> None:
    """No ghost is invented, and without any reference there is no column for it."""
    case = sample_case()
    known = case.evidence.traces["01bb" * 8].roots[0]
    root = dataclasses.replace(known, trace_id=TRACE_ID, span_id=span_id(TRACE_ID, 9))
    strange = assemble(TRACE_ID, [root, span(TRACE_ID, 1, 9, "auth db.connect", (0, 400))])
    assert line_with(drawn(strange, case.evidence), "db.connect").rstrip().endswith("new")
    assert "usual\n" not in drawn(strange).replace(" ", "")


def test_nothing_is_new_where_no_trace_like_it_tells_of_before() -> None:
    """A trace that begins as none did before has nothing to be compared with."""
    case = sample_case()
    alone = assemble(TRACE_ID, [span(TRACE_ID, 1, None, "auth db.connect", (0, 400))])
    assert "new" not in line_with(drawn(alone, case.evidence), "db.connect")


def test_a_callee_that_usually_sends_spans_and_sent_none_is_told() -> None:
    """None that is named is missing, and yet it is not all."""
    case = sample_case()
    whole = case.evidence.traces["01bb" * 8]
    [call] = [each for each in whole if each.peer == "auth"]
    below = {each.span_id for each in whole if call in whole.ancestors(each)}
    cut = Trace(whole.trace_id, tuple(each for each in whole if each.span_id not in below))
    said = " ".join(drawn(cut, case.evidence).split())
    assert "no span names one that is missing" in said
    assert "But auth, which gateway called, sent none; it usually sends spans." in said
    assert "usually sends spans" not in drawn(whole, case.evidence)
    assert "usually sends spans" not in drawn(cut)


def test_what_is_missing_is_said() -> None:
    """A parent that never came, a gap, a child that outlives, a link, an error's message."""
    text = drawn(broken_trace(TRACE_ID), width=120)
    missing = span_id(TRACE_ID, 5)
    assert f"? parent {missing} never came" in text
    assert f"5 spans, NOT WHOLE: parent {missing} never came" in text
    assert line_with(text, "├ ░ no span").split()[-2] == "495ms"
    assert line_with(text, "└ ░ no span").split()[-2] == "290ms"
    assert "ends 500ms after its parent" in text
    assert "⇢ linked to trace " + "ab" * 16 in text
    assert "! mail refused" in text


def test_clocks_that_are_apart_are_told() -> None:
    """As the desk does; where nothing shows it, nothing is said."""
    caller = span(TRACE_ID, 1, None, "gateway GET /", (100, 400))
    early = span(TRACE_ID, 2, 1, "auth GET /sessions", (60, 90))
    assert "clocks apart by 40.0ms at least" in drawn(assemble(TRACE_ID, [caller, early]))
    late = span(TRACE_ID, 2, 1, "auth GET /sessions", (100, 190))
    assert "clocks apart" not in drawn(assemble(TRACE_ID, [caller, late]))


def test_a_wire_time_below_zero_is_not_shown() -> None:
    """An answer that took longer than its call says nothing about the wire."""
    text = drawn(broken_trace(TRACE_ID))
    assert line_with(text, "gateway POST  ").split()[-2:] == ["200ms", "10.0ms"]


def test_time_on_the_wire_has_rows_of_its_own_where_asked_for() -> None:
    """One a call whose answer came; the column stays as it is."""
    trace = healthy_trace(TRACE_ID)
    assert "on the wire" not in drawn(trace)
    text = drawn(trace, wires=True, width=120)
    assert "⇄ on the wire to gateway and back" in text
    assert "⇄ on the wire to auth and back" in text
    assert "░" in line_with(text, "on the wire to auth")


def test_gaps_below_a_tenth_of_the_root_are_not_drawn() -> None:
    """Small silences are the code between two calls."""
    trace = healthy_trace(TRACE_ID)
    spans = [span(TRACE_ID, 1, None, "a root", (0, 100))]
    spans += [span(TRACE_ID, 2, 1, "a child", (9, 50)), span(TRACE_ID, 3, 1, "a child", (60, 91))]
    gaps = [row.item for row in rows(assemble(TRACE_ID, spans)) if isinstance(row.item, Gap)]
    assert [gap.length_ms for gap in gaps] == [10.0]
    assert [row for row in rows(trace) if isinstance(row.item, Missing)] == []


def test_ids_are_short_in_a_terminal_and_whole_in_a_pipe() -> None:
    """Short ones are unique; whoever pipes or asks for ``full`` gets all digits."""
    trace = fatal_trace(TRACE_ID)
    spans = [each.span_id for each in trace]
    text = drawn(trace)
    assert all(each not in text for each in spans)
    shown = [line.split()[0] for line in text.splitlines() if line.startswith(TRACE_ID[:4])]
    assert len(set(shown)) == len(spans)
    assert all(each in drawn(trace, full=True) for each in spans)
    assert all(each in drawn(trace, terminal=False, width=60) for each in spans)


def test_attributes_are_shown_on_request_only() -> None:
    """The tree stays readable; details are one option away."""
    assert "db.query.text" not in drawn(fatal_trace(TRACE_ID))
    assert "db.query.text = SELECT user_id" in drawn(fatal_trace(TRACE_ID), attributes=True)


@pytest.mark.parametrize("width", [20, 60, 80, 109, 110, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Whatever the width, nothing is cut in the middle and nothing overflows from 60 on."""
    lines = drawn(broken_trace(TRACE_ID), width=width, attributes=True).splitlines()
    assert max(len(line) for line in lines) <= width


def test_a_wide_terminal_has_a_time_axis() -> None:
    """Bars start where the span starts and are as long as it took."""
    line = line_with(drawn(broken_trace(TRACE_ID), width=120), "gateway POST  ")
    assert line.count("━") == round(200 / 1200 * 32)
    assert "━" not in drawn(broken_trace(TRACE_ID), width=80)


def test_what_a_span_carries_cannot_command_the_terminal() -> None:
    """Escape sequences, bells, markup and broken text come out as harmless marks."""
    nasty = "\x1b[2J\x07[red]x[/red]\ud800\u202e"
    trace = assemble(
        TRACE_ID,
        [
            span(
                TRACE_ID,
                1,
                None,
                f"auth {nasty}",
                (0, 1),
                status=Status.ERROR,
                status_message=nasty,
                attributes={nasty: nasty, "service.peer.name": nasty},
                events=(Event("exception", 0, {"exception.type": nasty}),),
            )
        ],
    )
    text = drawn(trace, width=200, attributes=True)
    text.encode()
    assert "[red]x[/red]" in text
    assert not set("\x1b\x07\ud800\u202e") & set(text)


def test_a_cycle_of_parents_is_drawn_once_each() -> None:
    """No parent link can make the walk endless."""
    a, b = (span(TRACE_ID, 1, 2, "a one", (0, 2)), span(TRACE_ID, 2, 1, "a two", (1, 3)))
    text = drawn(Trace(TRACE_ID, (a, b)))
    assert text.count("a one") == text.count("a two") == 1
    assert "NOT WHOLE: 2 spans without a parent instead of one" in text


def test_an_empty_trace_is_drawn() -> None:
    """Nothing is no error."""
    assert "0 spans, NOT WHOLE" in drawn(Trace(TRACE_ID, ()))


@pytest.mark.parametrize("shape", ["chain", "fan", "orphans"])
def test_a_trace_of_absurd_size_is_drawn(shape: str) -> None:
    """What nobody would read is counted instead of drawn; depth and breadth cost no stack."""
    root = span(TRACE_ID, 1, None, "a root", (0, 1000))
    count = 100_000 if shape == "chain" else 10_000
    ids = [f"{n:016x}" for n in range(count)]
    parents = {
        "chain": ids,
        "fan": [root.span_id] * count,
        "orphans": [f"{each[:-1]}z" for each in ids],
    }
    spans = [
        dataclasses.replace(root, span_id=f"{n + 1:016x}", parent_id=parents[shape][n], start_ns=n)
        for n in range(count - 1)
    ]
    trace = Trace(TRACE_ID, (dataclasses.replace(root, span_id=ids[0]), *spans))
    began = time.perf_counter()
    text = drawn(trace, unfolded=True)
    assert time.perf_counter() - began < 60
    assert "--json has them all" in text
    assert len(text.splitlines()) < 1100


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.none() | st.integers(1, 8),
            st.integers(-5, 2**62),
            st.integers(-5, 2**62),
            st.sampled_from(Kind),
            st.text(max_size=20),
        ),
        max_size=8,
    )
)
def test_any_trace_is_drawn(shape: list[tuple[int, int | None, int, int, Kind, str]]) -> None:
    """Duplicates, cycles, absurd and backward times, odd names: each id is drawn exactly once."""
    spans = [
        span(TRACE_ID, n, parent, f"s {name}", (0, 0), kind=kind)
        for n, parent, _, _, kind, name in shape
    ]
    timed = [
        dataclasses.replace(each, start_ns=start, end_ns=end)
        for each, (_, _, start, end, _, _) in zip(spans, shape, strict=True)
    ]
    trace = Trace(TRACE_ID, tuple(timed))
    seen = [row.item.span_id for row in rows(trace) if isinstance(row.item, Span)]
    assert sorted(seen) == sorted(trace.by_id)
    drawn(trace, width=120)


def test_what_was_written_in_spans_that_never_came_stands_below_the_tree() -> None:
    """It is all that is left of them; a trace without such a line says nothing of it."""
    evidence = recorded("hole-in-the-tape").evidence
    holed, *_ = evidence.whole_traces(Sample.AFFECTED)
    whole, *_ = evidence.whole_traces(Sample.UNAFFECTED)
    lines = evidence.lines_of_lost_spans(holed)
    text = drawn(holed, evidence, width=200)
    assert f"{len(lines)} log lines of spans that never came" in text
    for each in lines:
        assert f"{each.service} info: {each.body}  span {each.span_id}" in text
    assert "log line" not in drawn(whole, evidence)


def test_the_head_says_for_how_many_requests_the_trace_stands() -> None:
    """Of twenty that failed alike ten are kept."""
    case = sample_case()
    forgotten = [
        dataclasses.replace(each, trace_id=each.trace_id[::-1] + "f")
        for each in case.evidence.requests
        if each.status == 504
    ]
    twice = dataclasses.replace(case.evidence, requests=(*case.evidence.requests, *forgotten))
    failed = case.evidence.traces["01bb" * 8]
    assert "incident; stands for 2 requests like it" in drawn(failed, twice, width=160)
    assert "incident; stands for itself" in drawn(failed, case.evidence, width=160)


# --- events, sizes, repeats ---------------------------------------------------------------


def test_events_and_what_came_back_stand_in_the_tree() -> None:
    """An exception is told as an error, once; more events than anybody reads are counted."""
    root = span(TRACE_ID, 1, None, "gateway GET /x", (0, 100))
    cancelled = Event("cancelled", root.start_ns + 12_000_000, {"by": "caller"})
    failed = Event("exception", root.start_ns, {"exception.type": "Timeout"})
    sized = dataclasses.replace(
        root,
        events=(failed, cancelled),
        attributes={"http.response.body.size": 153_026},
    )
    text = drawn(Trace(TRACE_ID, (sized,)))
    assert "◆ cancelled at 12.0ms (by=caller)" in text
    assert "◆ exception" not in text
    assert "! Timeout" in text
    assert "153 kB" in text
    many = dataclasses.replace(root, events=(cancelled,) * 12)
    assert "◆ 2 more events; --attributes has them" in drawn(Trace(TRACE_ID, (many,)))
    rows_back = dataclasses.replace(root, attributes={"db.response.returned_rows": 1})
    assert " 1 row" in drawn(Trace(TRACE_ID, (rows_back,)))


def test_repeats_are_one_row_until_all_are_asked_for() -> None:
    """With how many, how long each, and how to see them."""
    case = recorded("one-by-one")
    assert case.support_code is not None
    trace = case.evidence.traces[case.support_code]
    text = drawn(trace, case.evidence, width=140)
    assert "×40 → checkout GET /prices (catalog)" in text
    assert "the slowest of 40: " in text
    assert "× 39 repeats are folded; --all gives each its row" in text
    assert len(text.splitlines()) < 60
    unfolded = drawn(trace, case.evidence, width=140, unfolded=True)
    assert "×40" not in unfolded
    assert len(unfolded.splitlines()) > 200
