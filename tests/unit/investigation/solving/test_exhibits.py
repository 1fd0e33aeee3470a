"""What the words of a case rest on: measured in its own evidence, and kept until it is earned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.domain.bound import parse
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.exhibit import exhibits_in
from lab.domain.ledger import Ledger
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome
from lab.domain.scenario import SpanSeenCheck
from lab.errors import NotEarned, UsageError
from lab.investigation.proof.prove import prove
from lab.investigation.solving import exhibits
from lab.investigation.solving.briefing import briefing
from lab.investigation.solving.exhibits import (
    SHOWN,
    Exhibit,
    exhibit,
    may_be_seen,
    seen,
    told,
    told_so_far,
    with_measure,
)
from tests.support.recorded_cases import RECORDINGS, recorded

CASE = recorded("db-timeout")
OPEN = Ledger(())
CLOSED = type("Closed", (), {"may_see_answers": True})()


def seen_check(bound: str, service: str, sample: Sample = Sample.AFFECTED) -> SpanSeenCheck:
    return SpanSeenCheck("it is there", Predicate(service=service), parse(bound), sample)


def with_exhibit(check: SpanSeenCheck) -> Case:
    return replace(CASE, scenario=replace(CASE.scenario, exhibits={"it": check}))


@pytest.mark.parametrize(
    ("bound", "service", "outcome"),
    [
        (">= 3", "auth", Outcome.HOLDS),
        (">= 3", "checkout", Outcome.FAILS),
        ("== 0", "checkout", Outcome.HOLDS),
        (">= 1000", "auth", Outcome.FAILS),
        (">= 95%", "auth", Outcome.HOLDS),
        (">= 1%", "checkout", Outcome.FAILS),
    ],
)
def test_so_many_traces_have_such_a_span(bound: str, service: str, outcome: Outcome) -> None:
    """It is one of the proof's findings, by its name; where it fails the case is not fair."""
    case = with_exhibit(seen_check(bound, service))
    found = exhibit(case, "it")
    assert found.outcome is outcome
    assert found.count == sum(
        each.service == service
        for trace in case.evidence.whole_traces(Sample.AFFECTED)
        for each in trace.spans
    )
    proof = prove(case.scenario, case.evidence)
    assert [each.outcome for each in proof.findings if each.check == "exhibit it: it is there"] == [
        outcome
    ]


def test_of_no_traces_nothing_is_known() -> None:
    """An empty sample shows neither that it is there nor that it is not."""
    evidence = replace(CASE.evidence, samples={})
    case = replace(with_exhibit(seen_check("== 0", "checkout")), evidence=evidence)
    assert exhibit(case, "it").outcome is Outcome.UNKNOWN


def test_an_open_case_shows_what_its_pager_message_rests_on_and_no_more() -> None:
    """The others would tell where to look."""
    assert may_be_seen(CASE, OPEN) == exhibits_in(CASE.scenario.briefing) == ("all-fail",)
    assert seen(CASE, OPEN, "all-fail").short == "100%"
    for name in (*CASE.scenario.exhibits.keys() - {"all-fail"}, "no-such"):
        with pytest.raises(NotEarned, match="there are: all-fail"):
            seen(CASE, OPEN, name)


def test_a_closed_case_shows_all() -> None:
    """An unknown one is named with those there are."""
    assert may_be_seen(CASE, CLOSED) == tuple(CASE.scenario.exhibits)
    with pytest.raises(UsageError, match="there are: checkout-absent"):
        exhibit(CASE, "no-such")


def test_numbers_are_measured_and_written_short() -> None:
    """A time as a time, a share as a share, a count by what it is of."""
    text = "after [{}](exhibit:warm-limit), [new](exhibit:new-connection), [{}](exhibit:all-fail)"
    written = told(text, CASE, with_measure)
    assert written.startswith("after 1.00s, new (")
    assert written.endswith("of 100 affected traces), 100%")


@pytest.mark.parametrize(
    ("measured", "short", "aside"),
    [
        ("1002.4ms", "1.00s", "1.00s"),
        ("97.0% (97 of 100 affected traces)", "97%", "97 of 100 affected traces"),
        ("100%: 20.8% of 144 requests against 3 ÷ (1.2 s × 12.0/s) = 20.8%", "100%", "100%"),
        ("0.998 over 12 different values in 40 spans (3.1ms + 2ms per 1,000)", "0.998", "0.998"),
        ("3 of 10 values; 100.0% of their spans hit", "3 of 10 values", "3 of 10 values"),
        ("1.46 (146 to 100)", "1.46", "1.46"),
        ("12.6%", "12.6%", "12.6%"),
    ],
)
def test_each_kind_of_measure_has_a_short_form(measured: str, short: str, aside: str) -> None:
    """For the words of a text, and for behind them."""
    found = replace(exhibit(CASE, "all-fail"), measured=measured)
    assert (found.short, found.aside) == (short, aside)


def test_a_claim_on_the_log_shows_its_lines_and_where_to_filter_for_them() -> None:
    """Of a purchase whose spans were never kept, too."""
    case = recorded("hole-in-the-tape")
    found = exhibit(case, "its-lines")
    assert found.outcome is Outcome.HOLDS
    assert found.witnesses == ()
    assert len(found.lines) == min(SHOWN, found.count)
    assert found.place["service"] == "payments"
    assert found.place["window"] == "incident"
    for line in found.lines:
        trace = case.evidence.trace(line.trace_id or "")
        assert trace is not None
        assert trace.span(line.span_id or "") is None
        assert line in case.evidence.lines_of_lost_spans(trace)


def test_a_text_that_is_read_at_any_time_tells_what_may_be_seen_by_then() -> None:
    """Before the case is closed what the debrief rests on is words alone, without a number."""
    text = "[all {}](exhibit:all-fail), cut [after {}](exhibit:warm-limit), [x](exhibit:no-such)"
    assert told_so_far(text, CASE, OPEN, with_measure) == "all 100%, cut after …, x"
    closed = told_so_far(text, CASE, CLOSED, with_measure)
    assert closed == "all 100%, cut after 1.00s, x"


def test_times_are_told_as_everywhere() -> None:
    """Not as the proof has them."""
    found = replace(exhibit(CASE, "warm-limit"), measured="0.998 (3.1ms + 2000ms per 1,000)")
    assert found.told == "0.998 (3.1ms + 2.00s per 1,000)"


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_link_and_no_number_is_left_open_in_any_recorded_case(name: str) -> None:
    """Each exhibit holds, and each text reads as words."""
    case = recorded(name)
    for each in case.scenario.exhibits:
        assert exhibit(case, each).outcome is Outcome.HOLDS, each
    texts = [briefing(case), told(case.scenario.debrief, case, with_measure)]
    assert not [text for text in texts if "exhibit:" in text or "{}" in text]


def test_a_text_that_links_to_one_exhibit_without_end_measures_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A case file's text may be nothing but links, and its case a large one."""
    measured = []

    def counted(case: Case, name: str) -> Exhibit:
        measured.append(name)
        return exhibit(case, name)

    monkeypatch.setattr(exhibits, "exhibit", counted)
    case = with_exhibit(seen_check(">= 3", "auth"))
    text = "[so](exhibit:it)\n" * 3000
    assert told(text, case, with_measure).count("so") == 3000
    assert told_so_far(text, case, CLOSED, with_measure).count("so") == 3000
    assert len(measured) == 2
