"""A case made small enough to be kept beside its scenario, and that proves it all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from typing import Final

from lab.domain.case import Case
from lab.domain.evidence import Evidence, Sample, lines_of
from lab.domain.proof import Finding, ProofVerdict
from lab.domain.scenario import Scenario
from lab.errors import RecordingTooLarge, UsageError
from lab.investigation.proof.prove import pick_support_code, prove
from lab.investigation.running.looking_round import looked_round
from lab.investigation.running.sampling import ONSET, evenly

MOST_BYTES: Final = 500_000
"""A recording is committed: thirty of them should weigh less than one picture book."""

TRACES_KEPT: Final = (100, 80, 65, 50, 42, 35, 30, 25, 20, 15)
"""How many traces of each sample are kept, at most: the first that fits is taken."""


def recorded(case: Case, pack: Callable[[Case], bytes], *, at_most: int = MOST_BYTES) -> bytes:
    """``case`` as ``pack`` writes it, with as many traces as fit into ``at_most`` bytes.

    Whole traces are left out, never parts of one, and what is left still proves the
    case; RecordingTooLarge where nothing that fits does.
    """
    sizes: list[str] = []
    for most in TRACES_KEPT:
        thin = reproven(thinned(case, most))
        packed = pack(thin)
        proves = thin.proof.verdict is ProofVerdict.PROVEN
        if len(packed) <= at_most and proves:
            return packed
        doubt = "" if proves else ", not proven"
        sizes.append(f"{most} traces a sample: {len(packed) / 1000:.0f} kB{doubt}")
    raise RecordingTooLarge(
        f"expected a recording of {case.case_id} that proves its case in at most "
        f"{at_most / 1000:.0f} kB, found {'; '.join(sizes)}; let the scenario have fewer users "
        "or shorter windows"
    )


def reproven(case: Case) -> Case:
    """The case with its proof as its own evidence shows it now.

    What only the run itself could see, such as lost spans or a part that started anew, is
    kept as it was found: no trace tells of it.
    """
    return replace(case, proof=prove(case.scenario, case.evidence, of_the_run(case)))


def of_todays(scenario: Scenario, case: Case) -> Case:
    """An older case of ``scenario`` as one of its present files, proven again by its evidence.

    Its support code is picked anew too: the old one may lead to a trace that no longer shows
    the truth.

    UsageError where the scenario no longer makes such a run: other load, windows or harm
    would leave other evidence.
    """
    then = case.scenario
    changed = [
        what
        for what, now, before in (
            ("load", scenario.load, then.load),
            ("windows", scenario.durations_s, then.durations_s),
            ("conditions", scenario.conditions, then.conditions),
            ("ambient", scenario.ambient, then.ambient),
            ("faults", scenario.faults, then.faults),
            ("joins", scenario.truth.joins, then.truth.joins),
            ("records", scenario.observation.records, then.observation.records),
        )
        if now != before
    ]
    if changed:
        raise UsageError(
            f"expected the {scenario.id} that {case.case_id} was a run of, found other "
            f"{', '.join(changed)}; `lab record {scenario.id}` runs it anew"
        )
    support_code = pick_support_code(scenario, case.evidence)
    return reproven(replace(case, scenario=scenario, support_code=support_code))


def of_the_run(case: Case) -> tuple[Finding, ...]:
    """The findings on the run's integrity that cannot be made from traces."""
    made = {(each.step, each.check) for each in prove(case.scenario, case.evidence).findings}
    return tuple(
        each
        for each in case.proof.findings
        if each.integrity and (each.step, each.check) not in made
    )


def thinned(case: Case, most: int) -> Case:
    """The case with at most ``most`` traces of each sample, and those traces and log lines alone.

    The first affected ones stay, as `lab.investigation.running.sampling` has it, and so does the
    support code's. Of the recovery half as many are enough; what one can look round by is chosen
    anew of what the case has. What is joined to them stays, and every request, because shares
    and percentiles are made of them.
    """
    evidence = case.evidence
    samples: dict[Sample, tuple[str, ...]] = {
        sample: _thinned(evidence.samples.get(sample, ()), count, sample, case.support_code)
        for sample, count in (
            (Sample.AFFECTED, most),
            (Sample.UNAFFECTED, most),
            (Sample.REFERENCE, most),
            (Sample.RECOVERY, most // 2),
        )
    }
    if Sample.OTHERS in evidence.samples:
        here = [each for each in evidence.requests if each.trace_id in evidence.traces]
        samples |= looked_round(here, evidence.counts, samples, most)
    samples[Sample.JOINED] = _joined_to(evidence, chain.from_iterable(samples.values()))
    kept = frozenset(chain.from_iterable(samples.values()))
    traces = {key: trace for key, trace in evidence.traces.items() if key in kept}
    had = {sample: len(ids) for sample, ids in evidence.samples.items()}
    left_out = any(len(samples[sample]) < count for sample, count in had.items())
    return replace(
        case,
        evidence=replace(
            evidence, samples=samples, traces=traces, logs=lines_of(evidence.logs, kept)
        ),
        sampled_from=case.sampled_from or (had if left_out else None),
    )


def _joined_to(evidence: Evidence, trace_ids: Iterable[str]) -> tuple[str, ...]:
    """The ids of what belongs to the traces that are kept."""
    owners = filter(None, map(evidence.trace, trace_ids))
    wanted = {each.trace_id for owner in owners for each in owner.joined}
    return tuple(each for each in evidence.samples.get(Sample.JOINED, ()) if each in wanted)


def _thinned(
    ids: tuple[str, ...], most: int, sample: Sample, support_code: str | None
) -> tuple[str, ...]:
    # Of few the last third is of the rest: one who saw the onset alone would take it for all.
    onset = ids[: min(ONSET, most * 2 // 3) if sample is Sample.AFFECTED else 0]
    chosen = {*onset, *evenly(ids[len(onset) :], most - len(onset))}
    return tuple(each for each in ids if each in chosen or each == support_code)
