"""What is counted beside spans: lines a request has, finds, how much a counter grew."""

import json
from dataclasses import replace

import pytest

from lab.domain.bound import parse
from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.load import RequestFilter, Window
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome, ProofVerdict
from lab.domain.record import Record
from lab.domain.record_check import (
    Answered,
    LineOf,
    LogCheck,
    RecordCheck,
    RecordCountCheck,
    RecordRatioCheck,
    RecordShareCheck,
    SpanRecordedCheck,
)
from lab.domain.reference import ReferenceStats
from lab.domain.symptom import Harm, Symptom
from lab.investigation.proof.affected import affected_share
from lab.investigation.proof.prove import prove
from lab.investigation.proof.record_checks import growth, record_finding
from tests.support.evidence import DB_TIMEOUT
from tests.support.recorded_cases import recorded
from tests.support.traces import WINDOWS, client, evidence, request, trace

ALL = RequestFilter()
IN_CRIME = WINDOWS[Window.CRIME]


def charged(*times: int, statuses: tuple[int, ...] = ()) -> Evidence:
    """Requests of the crime, the n-th of which was charged so many times."""
    requests = [
        request(f"{n:032x}", Window.CRIME, status=status)
        for n, status in enumerate(statuses or (201,) * len(times))
    ]
    charges = [Record(11.0, f"{n:032x}") for n, many in enumerate(times) for _ in range(many)]
    found = evidence(requests, {})
    return replace(
        found, records={"charges": tuple(charges), "bookings": (Record(11.0, "0" * 32),)}
    )


def judged(check: RecordCheck, found: Evidence) -> Finding:
    return record_finding(check, found, ReferenceStats())


def twice(bound: str, answered: Answered = Answered.ANY) -> RecordShareCheck:
    return RecordShareCheck("c", "charges", parse(">= 2"), parse(bound), ALL, answered)


@pytest.mark.parametrize(
    ("check", "outcome", "measured"),
    [
        (twice("25%..35%"), Outcome.HOLDS, "33.3% (1 of 3 crime requests)"),
        (twice("== 0%"), Outcome.FAILS, "33.3% (1 of 3 crime requests)"),
        (twice(">= 50%", Answered.SUCCESS), Outcome.HOLDS, "50.0% (1 of 2 crime requests)"),
        (twice("== 0%", Answered.ERROR), Outcome.HOLDS, "0.0% (0 of 1 crime requests)"),
        (twice("== 0%", Answered.REJECTION), Outcome.UNKNOWN, "no crime requests"),
        (RecordCountCheck("c", "charges", parse("== 3")), Outcome.HOLDS, "3"),
        (RecordCountCheck("c", "charges", parse("== 0")), Outcome.FAILS, "3"),
        (RecordRatioCheck("c", "charges", parse("== 1"), ALL), Outcome.HOLDS, "1.00 (3 to 3)"),
        (
            RecordRatioCheck("c", "charges", parse("<= 2"), ALL, "bookings"),
            Outcome.FAILS,
            "3.00 (3 to 1)",
        ),
        (
            RecordRatioCheck("c", "charges", parse("<= 2"), ALL, "refunds"),
            Outcome.UNKNOWN,
            "nothing to count",
        ),
        (RecordCountCheck("c", "refunds", parse("== 0")), Outcome.UNKNOWN, "no records"),
    ],
)
def test_records_are_counted_by_request(
    check: RecordCheck, outcome: Outcome, measured: str
) -> None:
    """Of each request its own; what was never looked for is unknown, and never none."""
    finding = judged(check, charged(2, 1, 0, statuses=(201, 201, 502)))
    assert (finding.outcome, finding.measured) == (outcome, measured)


def point(time_s: float, value: float, since_s: float = 0.0) -> Record:
    return Record(time_s, value=value, since_unix_s=since_s)


@pytest.mark.parametrize(
    ("points", "grown"),
    [
        ([point(9, 5), point(15, 40), point(23, 105), point(25, 110)], 100),
        ([point(15, 40, since_s=11), point(23, 90, since_s=11)], 90),
        ([point(9, 5), point(15, 40)], None),
        ([point(23, 90)], None),
        ([point(9, 500), point(23, 90, since_s=11)], None),
        ([point(23, 90, since_s=22.5)], None),
        ([], None),
    ],
    ids=[
        "from the last before to the first after",
        "a series that began in the window began at nothing",
        "no point after the end",
        "an old series without a point before",
        "began anew meanwhile",
        "began after the window",
        "no points",
    ],
)
def test_a_counter_grows_over_a_window_or_nobody_knows(
    points: list[Record], grown: float | None
) -> None:
    assert growth(points, Interval(10.0, 22.0)) == grown
    assert Interval(10.0, 22.0) == IN_CRIME


def test_the_growth_of_a_counter_is_compared_with_the_finds_of_a_search() -> None:
    """Ten calls were counted, and of one request spans were kept."""
    kept = (Record(trace_id=f"{0:032x}"), Record(trace_id="f" * 32))
    counted = replace(charged(1, 1), records={"calls": (point(9, 5), point(23, 15)), "kept": kept})
    finding = judged(RecordRatioCheck("c", "calls", parse("7..13"), ALL, "kept"), counted)
    assert (finding.outcome, finding.measured) == (Outcome.HOLDS, "10.00 (10 to 1)")


@pytest.mark.parametrize(("holder", "outcome"), [(77, Outcome.HOLDS), (78, Outcome.FAILS)])
def test_a_span_is_found_in_somebody_elses_records(holder: int, outcome: Outcome) -> None:
    """By one attribute and one entry; a span without the attribute is found in none."""
    pid = {"db.connection.id": 77}
    spans = [client("auditor", "SELECT", 0, 5, "ledger_db", attributes=each) for each in (pid, {})]
    traces = [trace(f"{n:032x}", span) for n, span in enumerate(spans)]
    waits = (Record(11.0, attributes={"holding": holder}), Record(11.0))
    found = replace(evidence([], {Sample.AFFECTED: traces}), records={"waits": waits})
    check = SpanRecordedCheck(
        "c", Predicate(name="SELECT"), "db.connection.id", "waits", "holding", parse(">= 50%")
    )
    assert judged(check, found).outcome is outcome


def test_who_was_charged_twice_has_suffered_whatever_the_answer_was() -> None:
    """The books decide, for sampling, proof and controls alike."""
    symptom = Symptom(
        "POST /checkout",
        Harm.RECORDED,
        parse(">= 20%"),
        records="charges",
        per_request=parse(">= 2"),
    )
    found = charged(2, 1, 0)
    assert [found.suffered(symptom, each) for each in found.requests] == [True, False, False]
    assert symptom.measured == ">= 2 charges a request"


def test_without_the_books_nobody_knows_who_suffered() -> None:
    """Unknown, also where suffering is to have no entry at all: nobody looked."""
    symptom = Symptom(
        "POST /checkout",
        Harm.RECORDED,
        parse("90%..100%"),
        records="kept",
        per_request=parse("== 0"),
    )
    scenario = replace(DB_TIMEOUT, symptom=symptom)
    found = charged(1, 1)
    share = affected_share(scenario, found, ReferenceStats(), Window.CRIME)
    assert (share.value, str(share)) == (None, "no crime requests")
    looked = replace(found, records={"kept": ()})
    assert affected_share(scenario, looked, ReferenceStats(), Window.CRIME).value == 1.0


# --- log lines ---


def line(body: str, at_s: float, trace_id: str | None = None, **more: str | None) -> str:
    told = {"service": "payments", "severity": "INFO", "span_id": None, **more}
    return json.dumps({"time_unix_s": at_s, "body": body, "trace_id": trace_id, **told})


def logged() -> Evidence:
    """Two affected traces of one span each, and what was written meanwhile."""
    traces = [trace(f"{n:032x}", client("checkout", "POST", 0, 5, "payments")) for n in (1, 2)]
    (kept,) = traces[0]
    lines = (
        line(
            "booked 12 cents of order 9a8b7c6d",
            IN_CRIME.start_s + 1,
            "0" * 31 + "1",
            span_id=kept.span_id,
        ),
        line(
            "booked 7 cents of order 1a2b3c4d",
            IN_CRIME.start_s + 2,
            "0" * 31 + "2",
            span_id="ab" * 8,
        ),
        line("bank failed", IN_CRIME.start_s + 3, severity="WARNING"),
        line("booked 1 cents of order 1a2b3c4d", IN_CRIME.end_s + 1),
        "not json",
    )
    found = evidence(
        [request(each.trace_id, Window.CRIME) for each in traces], {Sample.AFFECTED: traces}
    )
    return replace(found, logs=lines)


def of_lines(bound: str, **asked: object) -> LogCheck:
    return LogCheck("l", parse(bound), **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 3),
        ({"service": "bank"}, 0),
        ({"severity": "WARN"}, 1),
        ({"says": "Booked # cents of order #"}, 2),
        ({"says": "12 cents"}, 1),
        ({"window": Window.RECOVERY}, 0),
        ({"sample": Sample.AFFECTED}, 2),
        ({"sample": Sample.REFERENCE}, 0),
        ({"span": LineOf.KEPT}, 1),
        ({"span": LineOf.LOST}, 1),
    ],
)
def test_log_lines_are_counted_by_what_they_say_and_where(
    asked: dict[str, object], count: int
) -> None:
    """In the window alone; too few and too many are refuted."""
    found = logged()
    assert judged(of_lines(f"== {count}", **asked), found).outcome is Outcome.HOLDS
    assert judged(of_lines(f"> {count}", **asked), found).outcome is Outcome.FAILS


@pytest.mark.parametrize(
    ("bound", "outcome"), [("== 50%", Outcome.HOLDS), (">= 51%", Outcome.FAILS)]
)
def test_of_a_sample_a_share_of_the_traces_may_be_asked(bound: str, outcome: Outcome) -> None:
    """Of those that have such a line."""
    check = of_lines(bound, sample=Sample.AFFECTED, says="12 cents")
    found = judged(check, logged())
    assert (found.outcome, found.measured) == (outcome, "50.0% (1 of 2 affected traces)")


def test_where_nobody_kept_a_line_nothing_is_known_of_lines() -> None:
    """The source may not have been there."""
    assert judged(of_lines("== 0"), replace(logged(), logs=())).outcome is Outcome.UNKNOWN


def test_a_case_without_any_log_line_is_proven_without_its_words_on_them() -> None:
    """A stack of another checkout has none to read; with some, each such exhibit is asked."""
    case = recorded("db-timeout")
    bare = replace(case.evidence, logs=())
    on_lines = {
        f"exhibit {name}: {each.label}"
        for name, each in case.scenario.exhibits.items()
        if isinstance(each, LogCheck)
    }
    assert on_lines
    with_lines, without = (prove(case.scenario, each) for each in (case.evidence, bare))
    assert on_lines <= {each.check for each in with_lines.findings}
    assert not on_lines & {each.check for each in without.findings}
    assert with_lines.verdict is without.verdict is ProofVerdict.PROVEN
    torn = replace(case.evidence, logs=case.evidence.logs[:1])
    assert prove(case.scenario, torn).verdict is ProofVerdict.REFUTED
