"""What a verdict says of the accused: numbers that argue, and reasons that clear."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.mechanism import Mechanism
from lab.domain.trace import Span, Trace
from lab.domain.verdict import Judgement, VerdictClass
from lab.investigation.proof.affected import affected_traces
from lab.investigation.solving.arguments import Accused, alibi, argument, numbers
from lab.investigation.solving.judge import judge
from lab.terminal.trace_tree import trace_tree
from tests.support.recorded_cases import RECORDINGS, recorded


def telling(case: Case) -> Trace:
    """The first affected trace that shows the truth."""
    reference = case.evidence.reference_stats
    affected = affected_traces(case.scenario, case.evidence, reference)
    return next(each for each in affected if case.scenario.truth.matches(each, reference))


def accused(case: Case, service: str, name: str, **wanted: object) -> Accused:
    """The first such span of that trace, or of what is joined to it."""
    for trace in telling(case).story:
        for span in trace:
            fits = all(getattr(span, key) == value for key, value in wanted.items())
            if (span.service, span.name) == (service, name) and fits:
                return Accused(span, trace, case.evidence)
    raise AssertionError(f"{service} {name}: not there")


def test_the_time_of_many_calls_is_that_of_one_in_the_middle() -> None:
    """Whichever of forty is accused: the slowest of them says nothing of how long each takes."""
    first = accused(recorded("one-by-one"), "checkout", "GET", peer="catalog")
    calls = [
        Accused(each, first.trace, first.evidence)
        for each in first.trace
        if (each.service, each.name, each.peer) == ("checkout", "GET", "catalog")
        if first.trace.repeats(each) > 10
    ]
    said = {argument(Mechanism.N_PLUS_ONE, each) for each in calls}
    assert len(calls) > 10
    assert len(said) == 1
    (told,) = said
    assert re.search(r"each of about \d+\.\dms \(usually", told)


@pytest.mark.parametrize(
    ("name", "service", "span", "peer", "says"),
    [
        (
            "burned-files",
            "catalog",
            "SELECT",
            "catalog_db",
            r"took \d\d\dms \(usually [\d.]+ms, ×\d+\)",
        ),
        (
            "cut-thread",
            "payments",
            "POST /charges",
            None,
            "names no parent; it begins a trace of its",
        ),
        ("cut-thread", "checkout", "POST", "payments", "no span hangs below it; somebody's work"),
        (
            "hole-in-the-tape",
            "checkout",
            "POST",
            "payments",
            r"before, (\d+) of \1 such calls had one",
        ),
        ("dead-line", "payments", "POST", "bank", "`http.connection.reused` is True"),
        ("database-down", "checkout", "db.connect", "orders_db", "ended in ConnectionRefusedError"),
        (
            "hasty-caller",
            "gateway",
            "POST",
            "checkout",
            r"gave up after 8\d\dms; what it had asked",
        ),
        ("late-email", "notifier", "process outbox", None, r"\d+\.\ds old \(usually [\d.]+m?s\)"),
        (
            "locked-drawer",
            "auditor",
            "audit_accounts",
            None,
            r"of 4\.\d\ds; \d+ requests that wanted",
        ),
        ("new-acquaintances", "auth", "db.connect", "users_db", "1 time in this trace"),
        (
            "one-by-one",
            "checkout",
            "price_cart",
            None,
            "makes 40 calls one after another, where it",
        ),
        ("one-tenant-only", "catalog", "SELECT", "catalog_db", r"for (700|1,?000|1,?500) rows"),
        (
            "pool-starvation",
            "checkout",
            "pool.acquire",
            "orders_db",
            r"one of 2 connections, with \d",
        ),
        (
            "cold-rush",
            "catalog",
            "cache.lookup",
            None,
            r"product:7 at the same moment as \d+ others",
        ),
        ("half-a-page", "gateway", "fetch_page", None, "the call had been answered with 200"),
        ("every-other-minute", "gateway", "GET", "auth", r"7\d\dms of it on the wire"),
        ("slow-drip", "gateway", "GET", "catalog", r"whose \d+ bytes took another \d\.\d\ds"),
        ("green-corpse", "checkout", "db.connect", "orders_db", "was cut short after"),
        ("silent-bank", "payments", "POST", "bank", "ended in ReadTimeout after"),
    ],
)
def test_the_numbers_are_those_that_argue(
    name: str, service: str, span: str, peer: str | None, says: str
) -> None:
    """Not *0.9× its usual* for a propagation that is broken."""
    case = recorded(name)
    told = argument(case.scenario.truth.mechanism, accused(case, service, span, peer=peer))
    assert re.search(says, told), told


def test_a_repeat_is_told_from_the_first_attempt() -> None:
    case = recorded("charged-twice")
    reference = case.evidence.reference_stats
    trace = telling(case)
    [repeat] = case.scenario.truth.accomplices_in(trace, reference)
    told = argument(Mechanism.RETRY_AMPLIFICATION, Accused(repeat, trace, case.evidence))
    assert "one of 2 calls to one place, one after another, where it was 1 before" in told
    assert told.endswith("this one is repeat 1.")


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_argument_can_be_made_of_every_span(name: str) -> None:
    """Whatever a span lacks: who is accused rightly by an equal answer may be of any kind."""
    case = recorded(name)
    for trace in telling(case).story[:2]:
        for span in trace:
            for mechanism in Mechanism:
                told = argument(mechanism, Accused(span, trace, case.evidence))
                assert told.startswith(f"{span.service} {span.name} "), told


@pytest.mark.parametrize(
    ("name", "service", "span", "wanted", "says"),
    [
        ("db-timeout", "gateway", "POST /checkout", {}, "failed with what had failed inside it"),
        ("gray-line", "gateway", "fetch_page", {}, r"Of its \d\.\d\ds only [\d.]+ms are its own"),
        (
            "hasty-caller",
            "payments",
            "POST",
            {},
            r"It took 9\d\dms, and takes 9\d\dms on a healthy day",
        ),
        (
            "red-herring",
            "checkout",
            "GET",
            {"peer": "catalog"},
            "takes|just so before the incident",
        ),
        ("card-declined", "payments", "POST", {"peer": "bank"}, "an answer, a 402, that came in"),
        ("locked-drawer", "payments", "UPDATE", {}, "because something else did"),
    ],
)
def test_who_is_cleared_is_cleared_by_the_evidence(
    name: str, service: str, span: str, wanted: dict[str, object], says: str
) -> None:
    assert re.search(says, alibi(accused(recorded(name), service, span, **wanted)))


@pytest.mark.parametrize("name", ["db-timeout", "cold-rush", "hang-up"])
def test_the_verdict_and_the_tree_print_one_usual(name: str) -> None:
    """The same number for the same span, to the digit."""
    case = recorded(name)
    trace = telling(case)
    out = io.StringIO()
    Console(file=out, width=160).print(trace_tree(trace, case.evidence))
    tree = {line.split()[0]: line for line in out.getvalue().splitlines() if line.strip()}
    compared = 0
    for span in trace:
        told = re.search(r"×[\d.]+", numbers(Accused(span, trace, case.evidence)))
        assert (told[0] if told else "×") in tree[span.span_id] or told is None
        compared += told is not None
    assert compared > 2


def test_a_cleared_span_names_no_other() -> None:
    """Of the culprit nothing is said, in whatever trace."""
    case = recorded("dead-line")
    trace = telling(case)
    for span in trace:
        judged = accuse(case, span)
        if judged.verdict in {VerdictClass.MESSENGER, VerdictClass.BYSTANDER}:
            assert span.service == "bank" or "bank" not in judged.text


def accuse(case: Case, span: Span) -> Judgement:
    charge = ((span.trace_id, span.span_id),)
    return judge(case.scenario, case.evidence, Accusation(charge, (Mechanism.STALE_CONNECTION,)))
