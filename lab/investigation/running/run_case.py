"""Run one case: preflight → settle → reference → crime → recovery → evidence → proof → opened."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import anyio

from lab.domain.case import Case
from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.fault import Conditions, Fault
from lab.domain.instrumentation import Instrumentation
from lab.domain.journal import Ending, Step
from lab.domain.load import LoadPlan, LoadProgress, LoadReport, Request, Window
from lab.domain.proof import Finding
from lab.domain.record import Records, count_by_trace
from lab.domain.scenario import Scenario
from lab.errors import HarmStopped, LabError
from lab.frozen import dataclass
from lab.investigation.proof.prove import pick_support_code, prove, prove_at_the_edge
from lab.investigation.proof.slowness import by_slowness_alone
from lab.investigation.running import fair_dice, integrity, joining, sampling
from lab.investigation.running.collect import Collected, collect
from lab.investigation.running.lease import HeldLease, harm
from lab.investigation.running.preflight import preflight, settle
from lab.investigation.running.records import Gathered, gather_records
from lab.investigation.running.span_counts import at_rest, balanced
from lab.ports.case_archive import CaseArchive, Journal
from lab.ports.clock import Clock
from lab.ports.injector import EdgeState
from lab.ports.load import LoadGenerator, LoadRun
from lab.ports.machine import Machine, Strain
from lab.ports.observer import Observer
from lab.ports.records import RecordStore
from lab.ports.stack import Stack
from lab.ports.trace_store import TraceStore
from lab.ports.warden import Warden

TICK_S: Final = 0.5
STEP_OF: Final[Mapping[Window, Step]] = {
    Window.REFERENCE: Step.REFERENCE,
    Window.CRIME: Step.CRIME,
    Window.RECOVERY: Step.RECOVERY,
}


@dataclass(frozen=True, slots=True)
class Lab:
    """What a run needs of the world."""

    stack: Stack
    warden: Warden
    store: TraceStore
    load: LoadGenerator
    archive: CaseArchive
    clock: Clock
    machine: Machine
    records: RecordStore


class CaseRun:
    """One run of one scenario; `run` is all there is to call."""

    def __init__(
        self,
        lab: Lab,
        scenario: Scenario,
        *,
        case_id: str,
        seed: int,
        observer: Observer,
        instrumentation: Instrumentation = Instrumentation.FULL,
    ) -> None:
        self._lab = lab
        self._scenario = scenario
        self._case_id = case_id
        self._seed = seed
        self._observer = observer
        self._instrumentation = instrumentation
        self._folder = lab.archive.working_folder(case_id)
        self._journal: Journal = lab.archive.journal(case_id)
        self._windows: dict[Window, Interval] = {}
        self._strains: dict[Step, Strain] = {}
        self._findings: list[Finding] = []

    async def run(self) -> Case:
        """Go through all steps; the case is in the archive when this returns."""
        self._journal.record(
            Step.PREFLIGHT,
            "started",
            scenario=self._scenario.id,
            seed=self._seed,
            instrumentation=self._instrumentation.value,
        )
        if self._scenario.plan:
            self._journal.record(
                Step.PREFLIGHT, "plan drawn", spoiler=True, plan=dict(self._scenario.plan)
            )
        try:
            async with self._instrumented():
                return await self._run()
        except BaseException as error:
            failed = isinstance(error, LabError) and not isinstance(error, HarmStopped)
            ending = Ending.DEVIATED if failed else Ending.INTERRUPTED
            with contextlib.suppress(LabError):  # A full disk must not hide why the run ended.
                # The lab's own words are shown to everybody; a bug's might give the case away.
                because = str(error) if isinstance(error, LabError) else type(error).__name__
                self._journal.record(Step.OPENED, "ended", ending=ending.value, because=because)
            raise

    async def _run(self) -> Case:
        await self._preflight()
        before = await at_rest(self._lab.stack, self._lab.store, self._lab.clock)
        report = await self._load_windows()
        self._observer.phase(Step.EVIDENCE, "collecting traces")
        requests = self._lab.archive.requests(self._case_id)
        gathered = await self._gathered()
        samples = {
            **self._chosen(requests, gathered.records),
            Sample.JOINED: await self._joined(),
        }
        self._journal.record(Step.EVIDENCE, "requests sampled", requests=len(requests))
        collected = await self._collect(samples)
        after = await balanced(before, report, self._lab.stack, self._lab.store, self._lab.clock)
        self._findings += [
            *integrity.clock_findings(self._journal.entries()),
            *integrity.lateness_findings(report),
            *integrity.restart_findings(before, after),
            *integrity.loss_findings(before, after, report, self._scenario.observation.loss),
        ]
        return self._open(requests, samples, collected, gathered.records)

    @contextlib.asynccontextmanager
    async def _instrumented(self) -> AsyncIterator[None]:
        """Let the shop write down as much as this run wants, and everything again afterwards."""
        level, stack = self._instrumentation, self._lab.stack
        try:
            yield
        finally:
            if level is not Instrumentation.FULL:
                # Where that fails, the next run does it; why this one ended matters more.
                with anyio.CancelScope(shield=True), contextlib.suppress(LabError):
                    await stack.instrument(Instrumentation.FULL)

    async def _preflight(self) -> None:
        self._observer.phase(Step.PREFLIGHT, "checking the lab")
        await preflight(self._lab.stack, self._lab.warden, self._lab.clock, self._scenario)
        # Whatever an earlier run that was killed may have left.
        await self._lab.stack.instrument(self._instrumentation)
        self._journal.record(Step.PREFLIGHT, "clean")

    async def _load_windows(self) -> LoadReport:
        scenario = self._scenario
        plan = LoadPlan(seed=self._seed, shapes=scenario.load)
        request_log = self._folder / "requests.jsonl"
        async with self._lab.load.start(plan, request_log) as load:
            async with self._harmed(Step.REFERENCE, scenario.ambient, {}):
                await settle(
                    load,
                    scenario.symptom,
                    machine=self._lab.machine,
                    clock=self._lab.clock,
                    observer=self._observer,
                    journal=self._journal,
                )
                await self._window(load, Window.REFERENCE)
            faults = (*scenario.ambient, *scenario.faults)
            async with self._harmed(Step.CRIME, faults, scenario.conditions) as lease:
                await self._prepare(load, lease)
                await self._window(load, Window.CRIME)
            self._findings += [
                *integrity.watch_findings(lease.looks, lease.strays, lease.problem),
                *integrity.schedule_findings(lease.removal.switches if lease.removal else ()),
            ]
            async with self._harmed(Step.RECOVERY, scenario.ambient, {}):
                await self._window(load, Window.RECOVERY)
            report = await load.finish()
        self._findings += integrity.clean_findings(await self._edges())
        self._journal.record(Step.RECOVERY, "load finished", spans_ended=report.spans_ended)
        return report

    @contextlib.asynccontextmanager
    async def _harmed(
        self, step: Step, faults: tuple[Fault, ...], conditions: Conditions
    ) -> AsyncIterator[HeldLease]:
        async with harm(
            self._lab.warden, self._lab.clock, self._case_id, faults, conditions, self._seed
        ) as lease:
            if faults or conditions:
                self._journal.record(
                    step,
                    "lease taken",
                    spoiler=True,
                    faults=[str(fault) for fault in faults],
                    conditions=dict(conditions),
                )
            yield lease
        if lease.removal is not None:
            removal = lease.removal
            for switch in removal.switches:
                self._journal.record(
                    step,
                    "fault switched",
                    spoiler=True,
                    fault=str(switch.fault),
                    is_on=switch.is_on,
                    switched_unix_s=switch.unix_s,
                    late_s=round(switch.late_s, 3),
                )
            self._journal.record(
                step, "lease released", removed=removal.count, method=removal.method
            )

    async def _prepare(self, load: LoadRun, lease: HeldLease) -> None:
        """Warm the shop up, where it needs that, until what is left to chance fell fairly."""
        lab, dice, warm_up = self._lab, self._scenario.dice, partial(self._warm_up, load)
        if dice is not None:
            self._findings.append(
                await fair_dice.throw(
                    dice, lease, warm_up, store=lab.store, clock=lab.clock, journal=self._journal
                )
            )
        elif self._scenario.warmup_s:
            await warm_up()

    async def _warm_up(self, load: LoadRun) -> tuple[str, ...]:
        """Load that counts for nothing; returns the ids of its traces on the symptom's route."""
        began_s = await load.enter(Window.TRANSITION)
        await self._wait(Step.CRIME, load, self._scenario.warmup_s)
        if self._scenario.pauses:
            await load.pause()
        meant = self._scenario.symptom.of
        return tuple(
            request.trace_id
            for request in self._lab.archive.requests(self._case_id)
            if request.start_s >= began_s and meant.covers(request)
        )

    async def _window(self, load: LoadRun, window: Window) -> None:
        step = STEP_OF[window]
        with self._lab.machine.watch() as strain:
            start_s = await load.enter(window)
            self._journal.record(step, "window opened", start_unix_s=start_s)
            await self._wait(step, load, self._scenario.durations_s[window])
            # The window is over before anything is removed: a cure can be loud.
            self._windows[window] = Interval(start_s, self._lab.clock.unix())
            drained_s = await load.pause()
            self._strains[step] = strain()
        self._journal.record(
            step,
            "window closed",
            end_unix_s=self._windows[window].end_s,
            drained_unix_s=drained_s,
            **integrity.strain_data(self._strains[step]),
        )

    async def _wait(self, step: Step, load: LoadRun, seconds: float) -> None:
        clock = self._lab.clock
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0:
            self._observer.phase(step, "under load", left)
            self._show(load.progress())
            await clock.sleep(min(TICK_S, left))

    def _show(self, seen: LoadProgress | None) -> None:
        if seen is not None:
            self._observer.progress(seen)

    async def _edges(self) -> Mapping[str, EdgeState] | None:
        try:
            return await self._lab.warden.edges()
        except LabError:
            return None

    @property
    def _whole_run(self) -> Interval:
        return Interval(
            self._windows[Window.REFERENCE].start_s, self._windows[Window.RECOVERY].end_s
        )

    async def _gathered(self) -> Gathered:
        """What the scenario has kept beside traces."""
        lab, queries = self._lab, self._scenario.observation.records
        gathered = await gather_records(queries, lab.records, lab.store, lab.clock, self._whole_run)
        self._findings += gathered.findings
        if queries:
            counts = {name: len(found) for name, found in gathered.records.items()}
            self._journal.record(Step.EVIDENCE, "records gathered", counts=counts)
        return gathered

    def _chosen(
        self, requests: tuple[Request, ...], records: Records
    ) -> Mapping[Sample, tuple[str, ...]]:
        counts = {name: count_by_trace(found) for name, found in records.items()}
        scenario = self._scenario
        return sampling.choose(requests, scenario.symptom, counts, scenario.observation)

    async def _joined(self) -> tuple[str, ...]:
        """The ids of the traces that the scenario's joins look for."""
        joins = self._scenario.truth.joins
        if not joins:
            return ()
        found = await joining.find(self._lab.store, self._lab.clock, joins, self._whole_run)
        self._findings.append(found.finding)
        self._journal.record(Step.EVIDENCE, "joined traces searched", found=len(found.trace_ids))
        return found.trace_ids

    async def _collect(self, samples: Mapping[Sample, tuple[str, ...]]) -> Collected:
        collected = await collect(
            self._lab.store,
            self._lab.clock,
            samples,
            deadline_s=self._scenario.observation.within_s,
        )
        self._journal.record(
            Step.EVIDENCE,
            "traces collected",
            settled=len(collected.settled),
            unsettled=len(collected.unsettled),
            problem=collected.problem,
        )
        return collected

    def _open(
        self,
        requests: tuple[Request, ...],
        samples: Mapping[Sample, tuple[str, ...]],
        collected: Collected,
        records: Records,
    ) -> Case:
        self._observer.phase(Step.PROOF, "weighing the evidence")
        evidence = Evidence(
            self._windows,
            requests,
            samples,
            collected.settled,
            self._scenario.truth.joins,
            records,
        ).without_strangers()
        evidence = replace(evidence, logs=self._lab.archive.logs_of(evidence))
        everything = self._instrumentation is Instrumentation.FULL
        judge = prove if everything else prove_at_the_edge
        proof = integrity.excused(
            judge(self._scenario, evidence, tuple(self._findings)),
            self._strains,
            by_slowness_alone(self._scenario, evidence),
        )
        self._journal.record(Step.PROOF, "judged", verdict=proof.verdict.value)
        self._journal.record(Step.OPENED, "ended", ending=Ending.COMPLETED.value)
        case = Case(
            case_id=self._case_id,
            scenario=self._scenario,
            seed=self._seed,
            opened_unix_s=self._lab.clock.unix(),
            ending=Ending.COMPLETED,
            versions=self._lab.stack.versions(),
            evidence=evidence,
            journal=self._journal.entries(),
            proof=proof,
            support_code=pick_support_code(self._scenario, evidence),
            instrumentation=self._instrumentation,
        )
        self._lab.archive.seal(case)
        self._observer.phase(Step.OPENED, self._case_id)
        return case
