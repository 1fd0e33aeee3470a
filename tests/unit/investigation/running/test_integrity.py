from dataclasses import replace

import pytest

from lab.domain.fault import Fault, Toxic
from lab.domain.journal import JournalEntry, Step
from lab.domain.load import LoadReport
from lab.domain.observation import Loss
from lab.domain.proof import Outcome, Proof, ProofVerdict
from lab.investigation.running import integrity
from lab.ports.injector import EdgeState
from lab.ports.stack import StackCounters
from lab.ports.warden import Switch

COUNTERS = StackCounters(
    spans_ended={"gateway": 100, "auth": 50}, restarts={"tempo": 0}, collector_dropped=0
)
BEFORE = integrity.Snapshot(COUNTERS, spans_received=1000)
AFTER = integrity.Snapshot(
    replace(COUNTERS, spans_ended={"gateway": 160, "auth": 80}), spans_received=1110
)
REPORT = LoadReport(spans_ended=20, spans_failed=0, lateness_p99_ms=None)
LATENCY = Fault("auth-users_db", Toxic.LATENCY, {"latency": 100})


def test_a_run_that_lost_nothing_is_trusted() -> None:
    """60 + 30 spans of services and 20 of actors ended, and 110 came."""
    findings = integrity.loss_findings(BEFORE, AFTER, REPORT)
    assert {finding.outcome for finding in findings} == {Outcome.HOLDS}
    assert all(finding.integrity for finding in findings)


@pytest.mark.parametrize(("received", "dropped", "outcomes"), [
    (1050, 0, [Outcome.HOLDS, Outcome.HOLDS]),
    (1110, 0, [Outcome.FAILS, Outcome.HOLDS]),
    (1050, 3, [Outcome.HOLDS, Outcome.FAILS]),
])  # fmt: skip
def test_a_sampler_drops_some_and_a_run_in_which_it_drops_none_is_not_trusted(
    received: int, dropped: int, outcomes: list[Outcome]
) -> None:
    """What exporters failed to send is lost all the same; that count begins anew with it."""
    assert AFTER.stack is not None
    stack = replace(AFTER.stack, collector_dropped=dropped)
    before = replace(BEFORE, stack=replace(COUNTERS, collector_dropped=7))
    after = replace(AFTER, stack=stack, spans_received=received)
    findings = integrity.loss_findings(before, after, REPORT, Loss.SAMPLED)
    assert [finding.outcome for finding in findings] == outcomes


def entries(*ahead_s: float) -> list[JournalEntry]:
    """A second apart each, with a wall clock that is so much ahead of where it began."""
    return [
        JournalEntry(1000.0 + n + ahead, 5.0 + n, Step.CRIME, "", {})
        for n, ahead in enumerate(ahead_s)
    ]


@pytest.mark.parametrize(
    ("ahead_s", "outcome"),
    [
        ((0.0,), Outcome.HOLDS),
        ((0.0, 0.4, 0.1), Outcome.HOLDS),
        ((0.0, 0.0, 3600.0), Outcome.FAILS),
        ((0.0, -3600.0), Outcome.FAILS),
        ((0.0, 30.0, 0.0), Outcome.FAILS),  # set there and back
    ],
)
def test_a_clock_that_was_set_makes_the_run_untrusted(
    ahead_s: tuple[float, ...], outcome: Outcome
) -> None:
    """Forwards, backwards, or there and back: spans have their times from it."""
    (finding,) = integrity.clock_findings(entries(*ahead_s))
    assert finding.outcome is outcome
    assert finding.integrity


@pytest.mark.parametrize("received", [1109, 1111])
def test_one_span_too_few_or_too_many_makes_the_run_untrusted(received: int) -> None:
    """A lost span and a stranger's span are both reasons for distrust."""
    after = replace(AFTER, spans_received=received)
    findings = integrity.loss_findings(BEFORE, after, REPORT)
    assert findings[0].outcome is Outcome.FAILS
    assert Proof(findings).verdict is ProofVerdict.INCOMPLETE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (replace(BEFORE, stack=None), AFTER),
        (BEFORE, replace(AFTER, stack=None)),
        (replace(BEFORE, spans_received=None), AFTER),
        (BEFORE, replace(AFTER, spans_received=None)),
    ],
)
def test_a_counter_that_cannot_be_read_is_unknown_not_guessed(
    before: integrity.Snapshot, after: integrity.Snapshot
) -> None:
    """Tempo or a service that does not answer leaves the balance open."""
    (finding,) = integrity.loss_findings(before, after, REPORT)
    assert finding.outcome is Outcome.UNKNOWN


def test_spans_an_exporter_dropped_are_told() -> None:
    """Drops count even where the sums happen to agree."""
    findings = integrity.loss_findings(BEFORE, AFTER, replace(REPORT, spans_failed=3))
    assert findings[1].outcome is Outcome.FAILS
    assert "3 by the actors" in findings[1].measured


def test_a_part_that_restarted_is_named() -> None:
    """A restart nobody asked for makes the run untrusted."""
    assert AFTER.stack is not None
    after = replace(AFTER, stack=replace(AFTER.stack, restarts={"tempo": 1}))
    (finding,) = integrity.restart_findings(BEFORE, after)
    assert finding.outcome is Outcome.FAILS
    assert "tempo" in finding.measured
    (calm,) = integrity.restart_findings(BEFORE, AFTER)
    assert calm.outcome is Outcome.HOLDS


def test_a_part_that_is_gone_is_named() -> None:
    """A part that nobody counts any more did not survive the run."""
    assert AFTER.stack is not None
    after = replace(AFTER, stack=replace(AFTER.stack, restarts={}))
    (finding,) = integrity.restart_findings(BEFORE, after)
    assert finding.outcome is Outcome.FAILS
    assert "gone" in finding.measured


def test_a_late_dispatcher_is_no_open_loop() -> None:
    """Arrivals more than 50 ms late (p99) make the run untrusted; a closed loop has none."""
    assert integrity.lateness_findings(REPORT) == ()
    (late,) = integrity.lateness_findings(replace(REPORT, lateness_p99_ms=50.1))
    (good,) = integrity.lateness_findings(replace(REPORT, lateness_p99_ms=50.0))
    assert (late.outcome, good.outcome) == (Outcome.FAILS, Outcome.HOLDS)


def _edge(*toxics: Fault, enabled: bool = True) -> dict[str, EdgeState]:
    return {
        "auth-users_db": EdgeState("auth-users_db", enabled, toxics),
        "payments-bank": EdgeState("payments-bank", True, ()),
    }


def test_edges_match_only_what_was_leased() -> None:
    """A missing, a changed, a strange toxic, and a disabled edge are all seen."""
    assert integrity.edges_match(_edge(LATENCY), [LATENCY])
    assert not integrity.edges_match(_edge(), [LATENCY])
    assert not integrity.edges_match(_edge(LATENCY), [])
    assert not integrity.edges_match(_edge(LATENCY), [replace(LATENCY, attributes={"latency": 9})])
    assert not integrity.edges_match(_edge(enabled=False), [])
    down = Fault("auth-users_db", None)
    assert integrity.edges_match(_edge(enabled=False), [down])
    assert not integrity.edges_match(_edge(), [down])


def test_a_watch_that_never_looked_knows_nothing() -> None:
    """No look is unknown, one stray look fails, a lease that was lost fails."""
    outcomes = [
        integrity.watch_findings(*seen)[0].outcome
        for seen in [(0, 0, None), (5, 1, None), (5, 0, "lease gone"), (5, 0, None)]
    ]
    assert outcomes == [Outcome.UNKNOWN, Outcome.FAILS, Outcome.FAILS, Outcome.HOLDS]


def test_a_schedule_is_kept_where_no_switch_is_late() -> None:
    """A second is in time, more is not; without a schedule nothing is said."""

    def outcomes(*late_s: float) -> list[Outcome]:
        switches = [Switch(LATENCY, is_on=True, unix_s=0.0, late_s=each) for each in late_s]
        return [finding.outcome for finding in integrity.schedule_findings(switches)]

    assert outcomes() == []
    assert outcomes(0.1, 1.0) == [Outcome.HOLDS]
    assert outcomes(1.01, 0.1) == [Outcome.FAILS]


def test_a_hurt_edge_after_the_cure_is_found() -> None:
    """Clean means every edge; no answer means unknown."""
    assert integrity.clean_findings(_edge())[0].outcome is Outcome.HOLDS
    assert integrity.clean_findings(_edge(LATENCY))[0].outcome is Outcome.FAILS
    assert integrity.clean_findings(None)[0].outcome is Outcome.UNKNOWN
