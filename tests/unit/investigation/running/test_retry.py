"""A second run for a machine that stood still, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.machine import MemoryMachine
from lab.domain.case import Case
from lab.domain.journal import JournalEntry, Step
from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
from lab.errors import LabError, MachineStrained, WaitTimeout
from lab.investigation.proof.slowness import Slowness
from lab.investigation.running import integrity, retry
from lab.ports.machine import Strain
from tests.support.sample_case import sample_case

AT_REST = Strain(longest_stall_s=0.02, busy=0.3)
STALLED = Strain(longest_stall_s=0.4, busy=0.3)
ASLEEP = Strain(longest_stall_s=30.0, busy=0.3)
SATURATED = Strain(longest_stall_s=0.02, busy=0.97)
BESIDE_OTHERS = Strain(longest_stall_s=0.02, busy=0.6, others=0.27, processors=2)
HALF_TAKEN = Strain(longest_stall_s=0.02, busy=0.85, others=0.5, processors=2)
ALONE = Strain(longest_stall_s=0.02, busy=0.6, others=0.02, processors=2)
BESIDE_MANY_IDLE = Strain(longest_stall_s=0.02, busy=0.4, others=0.27, processors=16)


def proof(outcome: Outcome, strain: Strain) -> Proof:
    """A run whose one check came to ``outcome`` while its crime saw ``strain``."""
    bare = Proof((Finding(Step.CRIME, "latency", "< 5 ms", "9 ms", outcome),))
    return integrity.excused(bare, {Step.REFERENCE: AT_REST, Step.CRIME: strain})


@pytest.mark.parametrize(
    ("outcome", "strain", "verdict"),
    [
        (Outcome.FAILS, STALLED, ProofVerdict.INCOMPLETE),
        (Outcome.FAILS, SATURATED, ProofVerdict.INCOMPLETE),
        (Outcome.FAILS, HALF_TAKEN, ProofVerdict.INCOMPLETE),
        (Outcome.HOLDS, HALF_TAKEN, ProofVerdict.PROVEN),
        (Outcome.FAILS, BESIDE_OTHERS, ProofVerdict.REFUTED),
        (Outcome.FAILS, AT_REST, ProofVerdict.REFUTED),
        (Outcome.HOLDS, STALLED, ProofVerdict.PROVEN),
        (Outcome.HOLDS, ASLEEP, ProofVerdict.INCOMPLETE),
        (Outcome.HOLDS, AT_REST, ProofVerdict.PROVEN),
    ],
)
def test_a_strained_machine_excuses_a_failure_and_spoils_no_proof(
    outcome: Outcome, strain: Strain, verdict: ProofVerdict
) -> None:
    """A number that is off says nothing where the machine stood still, and all where it did not.

    Only of a machine that slept through a part of the window no proof is believed either.
    """
    judged = proof(outcome, strain)
    assert judged.verdict is verdict
    assert integrity.is_excused(judged) is (verdict is ProofVerdict.INCOMPLETE)


SLOW_CRIME: Slowness = {(Step.CRIME, "latency"): Step.CRIME}
SLOW_REFERENCE: Slowness = {(Step.CRIME, "latency"): Step.REFERENCE}


@pytest.mark.parametrize(
    ("strain", "slowness", "verdict"),
    [
        (BESIDE_OTHERS, SLOW_CRIME, ProofVerdict.INCOMPLETE),
        (BESIDE_OTHERS, {}, ProofVerdict.REFUTED),
        (BESIDE_OTHERS, SLOW_REFERENCE, ProofVerdict.REFUTED),
        (ALONE, SLOW_CRIME, ProofVerdict.REFUTED),
        (BESIDE_MANY_IDLE, SLOW_CRIME, ProofVerdict.REFUTED),
        (AT_REST, SLOW_CRIME, ProofVerdict.REFUTED),
    ],
)
def test_others_at_work_excuse_what_slowness_explains_and_only_in_its_window(
    strain: Strain, slowness: Slowness, verdict: ProofVerdict
) -> None:
    """Who refuted on a machine that others left alone, or had plenty of, is believed.

    So is whoever refuted by more than times, however busy others were.
    """
    bare = Proof((Finding(Step.CRIME, "latency", "< 5 ms", "9 ms", Outcome.FAILS),))
    strains = {Step.REFERENCE: AT_REST, Step.CRIME: strain}
    judged = integrity.excused(bare, strains, slowness)
    assert judged.verdict is verdict
    assert integrity.is_excused(judged) is (verdict is ProofVerdict.INCOMPLETE)
    error = Finding(Step.CRIME, "errors", "== 0%", "8%", Outcome.FAILS)
    more = integrity.excused(bare.with_findings((error,)), strains, slowness)
    assert more.verdict is ProofVerdict.REFUTED


def test_what_others_took_is_told_with_its_number() -> None:
    """And how much longer that makes work, which is what a reader can judge a bound by."""
    bare = Proof((Finding(Step.CRIME, "latency", "< 5 ms", "9 ms", Outcome.FAILS),))
    finding = integrity.excused(bare, {Step.CRIME: BESIDE_OTHERS}, SLOW_CRIME).findings[-1]
    assert finding.measured == "0.02 s, 60%, others took 27%: 1.4 times as long"
    assert "others make work at most 1.1 times as long" in finding.expected


@pytest.mark.parametrize(
    ("others", "processors", "slower"), [(0.05, 2, False), (0.15, 2, True), (0.5, 2, True)]
)
def test_a_machine_that_others_fill_is_no_calm_one_even_while_no_run_is_on(
    others: float, processors: int, slower: bool
) -> None:
    """The next run needs its own share beside them."""
    idle = Strain(0.01, busy=others + 0.01, others=others, processors=processors)
    assert integrity.is_strained(idle) is slower


def test_the_journal_of_a_run_tells_what_the_machine_was_like() -> None:
    """Also that of an older lab, which knew nothing of others, and of a lab in containers."""
    older = {"longest_stall_s": 0.02, "processors_busy": 0.6}
    entries = (
        JournalEntry(1.0, 1.0, Step.CRIME, "window opened", {}),
        JournalEntry(2.0, 2.0, Step.REFERENCE, "window closed", older),
        JournalEntry(3.0, 3.0, Step.CRIME, "window closed", integrity.strain_data(BESIDE_OTHERS)),
        JournalEntry(4.0, 4.0, Step.RECOVERY, "window closed", integrity.strain_data(STALLED)),
    )
    assert integrity.strains_of(entries) == {
        Step.REFERENCE: Strain(0.02, 0.6),
        Step.CRIME: BESIDE_OTHERS,
        Step.RECOVERY: STALLED,
    }


@pytest.mark.parametrize("check", [integrity.RESTARTED, integrity.RECEIVED])
@pytest.mark.parametrize("outcome", [Outcome.FAILS, Outcome.UNKNOWN])
def test_a_run_that_lost_something_is_not_the_machines_fault(check: str, outcome: Outcome) -> None:
    """A part or a span that is gone is told as that, and no calmer machine would bring it back."""
    lost = Finding(Step.EVIDENCE, check, "none", "tempo", outcome, integrity=True)
    judged = integrity.excused(Proof((lost,)), {Step.CRIME: STALLED})
    assert judged.verdict is ProofVerdict.INCOMPLETE
    assert not integrity.is_excused(judged)


def test_what_strained_the_machine_is_told_with_its_numbers() -> None:
    """The finding names the window, the stall and the share in use."""
    finding = proof(Outcome.FAILS, STALLED).findings[-1]
    assert (finding.step, finding.measured) == (Step.CRIME, "0.40 s, 30%")


class Runs:
    """Runs that come to the given proofs, or fail to begin, one after the other."""

    def __init__(self, *proofs: Proof | LabError) -> None:
        self._proofs = iter(proofs)
        self.clock = FakeClock()
        self.machine = MemoryMachine(AT_REST)
        self.count = 0
        self.said: list[str] = []

    async def _run(self) -> Case:
        self.count += 1
        if isinstance(proof := next(self._proofs), LabError):
            raise proof
        return replace(sample_case(), proof=proof)

    def decided(self) -> ProofVerdict:
        """The verdict that is left when all is over."""

        async def main() -> Case:
            return await retry.decided(
                self._run, machine=self.machine, clock=self.clock, say=self.said.append
            )

        return anyio.run(main).proof.verdict


def test_a_run_on_a_strained_machine_is_tried_again() -> None:
    """The first verdict that is the case's own counts, and each further run is announced."""
    runs = Runs(proof(Outcome.FAILS, STALLED), proof(Outcome.HOLDS, AT_REST))
    assert runs.decided() is ProofVerdict.PROVEN
    assert (runs.count, len(runs.said)) == (2, 1)
    assert "2 of 3" in runs.said[0]


def no_calm(kind: type[WaitTimeout] = MachineStrained) -> WaitTimeout:
    """What a run ends with that found no calm shop."""
    return kind("calm", waited_s=40, tries=80, last_seen="91% errors")


def test_a_run_that_never_began_on_a_strained_machine_is_tried_again() -> None:
    """As one without a verdict, and what was last seen is told."""
    runs = Runs(no_calm(), proof(Outcome.FAILS, STALLED), proof(Outcome.HOLDS, AT_REST))
    assert runs.decided() is ProofVerdict.PROVEN
    assert (runs.count, len(runs.said)) == (3, 2)
    assert "91% errors" in runs.said[0]


@pytest.mark.parametrize(
    ("failures", "tries"),
    [([no_calm(WaitTimeout)], 1), ([no_calm()] * retry.TRIES, retry.TRIES)],
)
def test_a_run_that_never_begins_is_an_error(failures: list[WaitTimeout], tries: int) -> None:
    """At once where the machine is not to blame, and after as many tries as any where it is."""
    runs = Runs(*failures)
    with pytest.raises(WaitTimeout):
        runs.decided()
    assert runs.count == tries


def test_a_refuted_case_stays_refuted() -> None:
    """What a calm machine refuted is not tried until it pleases."""
    runs = Runs(proof(Outcome.FAILS, AT_REST), proof(Outcome.HOLDS, AT_REST))
    assert runs.decided() is ProofVerdict.REFUTED
    assert (runs.count, runs.said) == (1, [])


def test_what_is_asked_decides_whether_a_run_is_tried_again() -> None:
    """Whoever asks for less than the whole proof is content with the first run that has it."""
    runs = Runs(proof(Outcome.FAILS, STALLED), proof(Outcome.HOLDS, AT_REST))

    async def main() -> Case:
        return await retry.decided(
            runs._run,
            machine=runs.machine,
            clock=runs.clock,
            say=runs.said.append,
            is_open=lambda _: False,
        )

    assert anyio.run(main).proof.verdict is ProofVerdict.INCOMPLETE
    assert (runs.count, runs.said) == (1, [])


def test_no_verdict_is_an_answer_after_three_tries() -> None:
    """A machine that never rests gets no verdict out of the lab, and the lab gives up."""
    runs = Runs(*[proof(Outcome.FAILS, SATURATED)] * 4)
    runs.machine.strain = SATURATED
    assert runs.decided() is ProofVerdict.INCOMPLETE
    assert runs.count == retry.TRIES
    assert runs.clock.monotonic() >= 2 * retry.CALM_WITHIN_S
