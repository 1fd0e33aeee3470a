"""Whether a run can be trusted: nothing lost, nothing restarted, no stranger at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from lab.domain.fault import Fault
from lab.domain.journal import JournalEntry, Step
from lab.domain.load import LoadReport
from lab.domain.observation import Loss
from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
from lab.frozen import dataclass
from lab.investigation.proof.slowness import Slowness
from lab.ports.injector import EdgeState
from lab.ports.machine import Strain
from lab.ports.stack import StackCounters
from lab.ports.warden import Switch

MAX_LATENESS_MS: Final = 50.0
"""An open loop whose dispatcher is later than this is a closed loop in disguise."""

MAX_SWITCH_LATE_S: Final = 1.0
"""Evidence of when harm came and went is read with two seconds to spare at each end."""

MAX_STALL_S: Final = 0.1
MAX_BUSY: Final = 0.9
"""On two cores a run needs a third of them; what needs nearly all leaves requests waiting."""

RUN_NEEDS: Final = 0.67
"""Processors that shop, load and lab keep busy in a run; while none runs, the next one's."""

MAX_STRETCH: Final = 1.1
"""How many times as long work may take because others are at work too."""

HOPELESS_STRETCH: Final = 2.0
"""Beyond it not only times are off: limits are missed, and searches lag behind."""

LONGEST_NAP_S: Final = 3.0
"""After a longer one a lease has run out, and a window without any is no better witnessed."""

MAX_CLOCK_JUMP_S: Final = 0.5
"""Clocks are kept right in smaller steps; between two readings of them a busy machine may pause."""

STRAINED: Final = "machine kept pace"
RESTARTED: Final = "parts restarted"
RECEIVED: Final = "spans received"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at one end of a run; None where they could not be read."""

    stack: StackCounters | None
    spans_received: int | None


def _finding(step: Step, check: str, expected: str, measured: str, holds: bool | None) -> Finding:
    outcome = {True: Outcome.HOLDS, False: Outcome.FAILS, None: Outcome.UNKNOWN}[holds]
    return Finding(step, check, expected, measured, outcome, integrity=True)


@dataclass(frozen=True, slots=True)
class SpanBalance:
    """Spans ended in the shop and by the actors, against spans Tempo took in."""

    ended: int
    received: int

    @property
    def is_even(self) -> bool:
        """Whether every span that ended has arrived, and nobody else's has."""
        return self.ended == self.received


def span_balance(before: Snapshot, after: Snapshot, report: LoadReport) -> SpanBalance | None:
    """The balance of a run; None where a counter is missing."""
    if before.stack is None or after.stack is None:
        return None
    if before.spans_received is None or after.spans_received is None:
        return None
    ended_before, ended_after = before.stack.spans_ended, after.stack.spans_ended
    ended = sum(ended_after[name] - ended_before.get(name, 0) for name in ended_after)
    return SpanBalance(
        ended=ended + report.spans_ended, received=after.spans_received - before.spans_received
    )


def loss_findings(
    before: Snapshot, after: Snapshot, report: LoadReport, loss: Loss = Loss.NONE
) -> tuple[Finding, ...]:
    """No span lost between the process that ended it and Tempo, but for a sampler's.

    A Collector that was told to sample has built its pipelines anew, and its counters with
    them.
    """
    balance = span_balance(before, after, report)
    if balance is None:
        measured = "a counter could not be read: a process of the stack did not answer"
        return (_finding(Step.EVIDENCE, RECEIVED, "= spans ended", measured, None),)
    assert before.stack is not None
    assert after.stack is not None
    sampled = loss is Loss.SAMPLED
    before_dropped = 0 if sampled else before.stack.collector_dropped
    dropped = after.stack.collector_dropped - before_dropped
    return (
        _finding(
            Step.EVIDENCE,
            RECEIVED,
            f"{'< ' if sampled else '= '}{balance.ended} ended",
            f"{balance.received} ({balance.received - balance.ended:+d})",
            balance.received < balance.ended if sampled else balance.is_even,
        ),
        _finding(
            Step.EVIDENCE,
            "spans dropped",
            "0 by the actors, 0 by the Collector",
            f"{report.spans_failed} by the actors, {dropped} by the Collector",
            report.spans_failed == 0 and dropped == 0,
        ),
    )


def restart_findings(before: Snapshot, after: Snapshot) -> tuple[Finding, ...]:
    """No part started anew without being asked."""
    check, expected = RESTARTED, "none"
    if before.stack is None or after.stack is None:
        return (_finding(Step.EVIDENCE, check, expected, "unknown", None),)
    started, known = after.stack.restarts, before.stack.restarts
    restarted = sorted(name for name in started if started[name] != known.get(name, 0))
    gone = sorted(set(known) - set(started))
    measured = ", ".join([*restarted, *(f"{name} (gone)" for name in gone)]) or "none"
    return (_finding(Step.EVIDENCE, check, expected, measured, not restarted and not gone),)


def lateness_findings(report: LoadReport) -> tuple[Finding, ...]:
    """An open loop kept its plan."""
    if report.lateness_p99_ms is None:
        return ()
    return (
        _finding(
            Step.EVIDENCE,
            "arrivals on time",
            f"<= {MAX_LATENESS_MS:.0f} ms late (p99)",
            f"{report.lateness_p99_ms:.1f} ms",
            report.lateness_p99_ms <= MAX_LATENESS_MS,
        ),
    )


def clock_findings(entries: Sequence[JournalEntry]) -> tuple[Finding, ...]:
    """Nobody set the wall clock, from which spans have their times, and the machine never slept.

    A machine that sleeps stops the one clock and not the other.
    """
    ahead_s = [entry.time_unix_s - entry.monotonic_s for entry in entries]
    apart_s = max(ahead_s) - min(ahead_s)
    return (
        _finding(
            Step.EVIDENCE,
            "clocks agree",
            f"wall clock and steady clock, ± {MAX_CLOCK_JUMP_S} s",
            f"{apart_s:.1f} s apart",
            apart_s <= MAX_CLOCK_JUMP_S,
        ),
    )


def edges_match(edges: Mapping[str, EdgeState], faults: Sequence[Fault]) -> bool:
    """Whether Toxiproxy has exactly ``faults``, and nothing else anywhere."""
    for name, state in edges.items():
        wanted = [fault for fault in faults if fault.edge == name]
        toxics = {fault.toxic_name: fault for fault in wanted if not fault.is_down}
        if state.enabled is any(fault.is_down for fault in wanted):
            return False
        if {fault.toxic_name: fault for fault in state.toxics} != toxics:
            return False
    return True


def watch_findings(looks: int, strays: int, problem: str | None) -> tuple[Finding, ...]:
    """All through the crime the edges had what the lease says, read ``looks`` times."""
    measured = f"{looks - strays} of {looks} looks" + (f"; {problem}" if problem else "")
    holds = None if looks == 0 else strays == 0 and problem is None
    return (
        _finding(Step.CRIME, "edges as leased", "at every look, nothing else", measured, holds),
    )


def schedule_findings(switches: Sequence[Switch]) -> tuple[Finding, ...]:
    """Harm that was to come and go did so in time; of no schedule there is nothing to say."""
    if not switches:
        return ()
    latest_s = max(switch.late_s for switch in switches)
    return (
        _finding(
            Step.CRIME,
            "schedule kept",
            f"<= {MAX_SWITCH_LATE_S:.0f} s late",
            f"{latest_s:.2f} s, the latest of {len(switches)} switches",
            latest_s <= MAX_SWITCH_LATE_S,
        ),
    )


def clean_findings(edges: Mapping[str, EdgeState] | None) -> tuple[Finding, ...]:
    """After the cure no edge is hurt."""
    check, expected = "edges clean", "all"
    if edges is None:
        return (_finding(Step.RECOVERY, check, expected, "Toxiproxy did not answer", None),)
    clean = sum(state.is_clean for state in edges.values())
    return (
        _finding(Step.RECOVERY, check, expected, f"{clean} of {len(edges)}", clean == len(edges)),
    )


def is_strained(strain: Strain) -> bool:
    """Whether a machine under this strain may have made requests late by itself."""
    return _is_overloaded(strain) or _is_stretched(strain)


def _is_overloaded(strain: Strain) -> bool:
    """Whether so little was left that anything may have gone wrong, not only late."""
    return (
        strain.longest_stall_s > MAX_STALL_S
        or strain.busy > MAX_BUSY
        or stretch(strain) > HOPELESS_STRETCH
    )


def _is_stretched(strain: Strain) -> bool:
    return stretch(strain) > MAX_STRETCH


def stretch(strain: Strain) -> float:
    """How many times as long work takes on this machine as without what others do there.

    Before m processors of which a share ρ is busy, work takes 1/(1 - ρ^m) times as long as
    on idle ones, up to `MAX_BUSY`: exact for one and two, and near for more (Gunther, *Analyzing
    Computer System Performance with Perl::PDQ*, of M/M/m queues).
    """
    m = strain.processors
    own = min(max(strain.busy - (strain.others or 0.0), RUN_NEEDS / m), MAX_BUSY)
    together = min(own + (strain.others or 0.0), MAX_BUSY)
    return float((1 - own**m) / (1 - together**m))


def _slept(strain: Strain) -> bool:
    """Whether the machine was away for so long that a window has a hole in it."""
    return strain.longest_stall_s > LONGEST_NAP_S


def excused(
    proof: Proof, strains: Mapping[Step, Strain], slowness: Slowness = MappingProxyType({})
) -> Proof:
    """The proof, distrusted where the machine itself may be why a number is off.

    Whoever measures on a machine that stood still, or had nothing left, measures the
    machine. One that others merely made slower explains no more than slowness: there all
    that fails must be in ``slowness``. What was proven all the same is proven, so its
    strain is not held against such a run, unless a piece of a window is missing; and a
    run that lost a part or a span has a reason of its own, which no calm would mend.
    """
    if _has_lost_something(proof):
        return proof
    if proof.verdict is ProofVerdict.PROVEN and not any(map(_slept, strains.values())):
        return proof
    to_blame = _slowed(proof, strains, slowness)
    return proof.with_findings(
        _strain_finding(step, strain, not (_is_overloaded(strain) or step in to_blame))
        for step, strain in strains.items()
    )


def _slowed(proof: Proof, strains: Mapping[Step, Strain], slowness: Slowness) -> frozenset[Step]:
    """The steps that others made slow, if that is all it takes for what fails to fail."""
    failed = [each for each in proof.findings if each.outcome is Outcome.FAILS]
    steps = {slowness.get((each.step, each.check)) for each in failed}
    slow = {step for step, strain in strains.items() if _is_stretched(strain)}
    return frozenset(step for step in steps if step) if steps <= slow else frozenset()


def _strain_finding(step: Step, strain: Strain, holds: bool) -> Finding:
    expected = f"no stall over {MAX_STALL_S:.1f} s, at most {MAX_BUSY:.0%} of the processors busy"
    measured = f"{strain.longest_stall_s:.2f} s, {strain.busy:.0%}"
    if strain.others is not None:
        expected += f", others make work at most {MAX_STRETCH} times as long"
        measured += f", others took {strain.others:.0%}: {stretch(strain):.1f} times as long"
    return _finding(step, STRAINED, expected, measured, holds)


def strain_data(strain: Strain) -> dict[str, Any]:
    """What the journal keeps of the machine when a window closes; `strains_of` reads it."""
    others = {} if strain.others is None else {"processors_others": round(strain.others, 2)}
    return {
        "longest_stall_s": round(strain.longest_stall_s, 3),
        "processors_busy": round(strain.busy, 2),
        "processors": strain.processors,
        **others,
    }


def strains_of(entries: Sequence[JournalEntry]) -> Mapping[Step, Strain]:
    """What the journal of a run says of the machine in each of its windows."""
    return {
        entry.step: Strain(
            longest_stall_s=entry.data["longest_stall_s"],
            busy=entry.data["processors_busy"],
            others=entry.data.get("processors_others"),
            processors=entry.data.get("processors", 1),
        )
        for entry in entries
        if entry.event == "window closed" and "processors_busy" in entry.data
    }


def _has_lost_something(proof: Proof) -> bool:
    return any(
        finding.check in {RESTARTED, RECEIVED} and finding.outcome is not Outcome.HOLDS
        for finding in proof.findings
    )


def is_excused(proof: Proof) -> bool:
    """Whether the machine was too strained for a verdict, so that another run may give one."""
    return any(
        finding.check == STRAINED and finding.outcome is not Outcome.HOLDS
        for finding in proof.findings
    )
