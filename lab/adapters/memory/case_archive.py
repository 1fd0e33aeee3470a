"""An archive in memory, for tests of what uses one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

from lab.adapters.cases.reference_file import refuse_same
from lab.adapters.cases.stretch import stretch_of
from lab.domain import ids
from lab.domain.case import Case, CaseFile, CaseSummary
from lab.domain.evidence import Evidence, Healthy, Sight, Telemetry, lines_of, stranger_evidence
from lab.domain.journal import JournalEntry, Step
from lab.domain.ledger import Ledger
from lab.domain.load import Request
from lab.domain.replay import Replay
from lab.errors import CaseError, UnknownCase, UsageError
from lab.ports.clock import Clock


class MemoryJournal:
    """`Journal` as a list."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[JournalEntry] = []

    def record(self, step: Step, event: str, *, spoiler: bool = False, **data: object) -> None:
        """Keep one entry."""
        now_s, monotonic_s = self._clock.unix(), self._clock.monotonic()
        self._entries.append(JournalEntry(now_s, monotonic_s, step, event, data, spoiler))

    def entries(self) -> tuple[JournalEntry, ...]:
        """All that was recorded, in order."""
        return tuple(self._entries)


class MemoryArchive:
    """`CaseArchive` for tests.

    ``folder`` is where working folders would be; nothing is written there. `give`
    says what the load generator would have written, ``written`` is what services did.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._working: set[str] = set()
        self._journals: dict[str, MemoryJournal] = {}
        self._requests: dict[str, tuple[Request, ...]] = {}
        self._cases: dict[str, Case] = {}
        self._brought: dict[str, Telemetry] = {}
        self._logs: dict[str, tuple[str, ...]] = {}
        self._records: dict[str, list[Mapping[str, object]]] = {}
        self.written: tuple[str, ...] = ()

    def give(self, case_id: str, requests: tuple[Request, ...]) -> None:
        """Be the load generator's log of a run."""
        self._requests[case_id] = requests

    def next_case_id(self, scenario_id: str) -> str:
        """The next free id, ``<scenario-id>-<n>``."""
        split = (each.rpartition("-") for each in self._working | self._cases.keys())
        numbers = [int(number) for scenario, _, number in split if scenario == scenario_id]
        return f"{scenario_id}-{max(numbers, default=0) + 1}"

    def working_folder(self, case_id: str) -> Path:
        """A path for a run's files."""
        self._working.add(case_id)
        return self._folder / case_id

    def journal(self, case_id: str) -> MemoryJournal:
        """The diary of that run."""
        return self._journals.setdefault(case_id, MemoryJournal(self._clock))

    def requests(self, case_id: str) -> tuple[Request, ...]:
        """What `give` was given."""
        return self._requests.get(case_id, ())

    def seal(self, case: Case) -> Path:
        """Keep the case; once."""
        if case.case_id in self._cases:
            raise CaseError(f"expected no case {case.case_id} yet, found one")
        self._cases[case.case_id] = case
        return self._folder / case.case_id

    def cases(self) -> tuple[CaseSummary, ...]:
        """All sealed cases, newest first."""
        newest = sorted(self._cases.values(), key=lambda case: case.opened_unix_s, reverse=True)
        return tuple(self._summary(case) for case in newest)

    def load(self, case_id: str | None) -> Case:
        """One case, None for the newest."""
        known = self.cases()
        if case_id is None and known:
            case_id = known[0].case_id
        if case_id is None or case_id not in self._cases:
            raise UnknownCase(f"expected a case, got {case_id!r}; there are {len(known)}")
        return self._cases[case_id]

    def sight(self, case_id: str | None) -> Sight | Telemetry:
        """The same, without the scenario and its joins."""
        found = self.open(case_id)
        if isinstance(found, Telemetry):
            return found
        return Sight(found.case_id, replace(found.evidence, joins=()))

    def open(self, case_id: str | None) -> CaseFile:
        """The same, or what `bring` was given."""
        return self._brought.get(case_id or "") or self.load(case_id)

    def bring(self, telemetry: Telemetry) -> None:
        """Keep a stranger's telemetry; it is listed nowhere."""
        self._brought[telemetry.case_id] = telemetry

    def refer(self, case_id: str, *, stretch: str | None = None, other: str | None = None) -> None:
        """Say what of what `bring` was given was healthy."""
        found = self._telemetry(case_id)
        healthy = Healthy(stretch_of(stretch, found.index)) if stretch is not None else None
        if other is not None:
            against = self._telemetry(other)
            refuse_same(found.index, against.index)
            healthy = Healthy(source=against.source, index=against.index)
        own = {each.trace_id: each for each in found.own_traces()}
        traces = {**self._telemetry(other).evidence.traces, **own} if other else own
        said = stranger_evidence(traces, found.index, healthy)
        evidence = said if healthy else Evidence({}, (), {}, traces)
        self._brought[case_id] = replace(found, healthy=healthy, evidence=evidence)

    def _telemetry(self, case_id: str) -> Telemetry:
        found = self.open(case_id)
        if not isinstance(found, Telemetry):
            raise UsageError(f"expected telemetry that somebody brought, found a case ({case_id})")
        return found

    def fingerprint(self, case_id: str) -> str:
        """What tells the case from another of the same id; here there is none."""
        return self.open(case_id).case_id

    def holding(self, trace_id: str) -> tuple[str, ...]:
        """The ids of the cases with a trace whose id is, or begins with, that; newest first."""
        return tuple(
            each.case_id
            for each in self.cases()
            if ids.meant(trace_id, chain(*self.load(each.case_id).evidence.samples.values()))
        )

    def logs_of(self, evidence: Evidence) -> tuple[str, ...]:
        """Those of ``written`` that belong to its traces or to none."""
        return lines_of(self.written, evidence.traces)

    def logs(self, case_id: str) -> tuple[str, ...]:
        """The case's own, or what `give_logs` was given instead."""
        case = self.load(case_id)
        return self._logs.get(case.case_id, case.evidence.logs)

    def give_logs(self, case_id: str, lines: tuple[str, ...]) -> None:
        """Be the Collector's copy of the logs, cut out for that case."""
        self._logs[case_id] = lines

    def delete(self, case_id: str) -> None:
        """Forget the case."""
        self.open(case_id)
        for kept in (self._cases, self._brought, self._records, self._logs):
            kept.pop(case_id, None)

    def level(self, case_id: str) -> int | None:
        """How difficult the case is; None of a stranger's telemetry."""
        found = self.open(case_id)
        return None if isinstance(found, Telemetry) else found.scenario.difficulty

    def records(self, case_id: str) -> tuple[Mapping[str, object], ...]:
        """All that `record_verdict` kept, in order."""
        return tuple(self._records.get(self.load(case_id).case_id, ()))

    def replays(self, case_id: str) -> tuple[Replay, ...]:
        """None: nobody replays from here."""
        self.load(case_id)
        return ()

    def record_verdict(self, case_id: str, entry: Mapping[str, object]) -> None:
        """Keep one judged accusation."""
        self._records.setdefault(self.load(case_id).case_id, []).append(entry)

    def _summary(self, case: Case) -> CaseSummary:
        records = self._records.get(case.case_id, ())
        ledger = Ledger.of(records, case.scenario.difficulty)
        return CaseSummary(
            case_id=case.case_id,
            scenario_id=case.scenario.id,
            title=case.scenario.title,
            difficulty=case.scenario.difficulty,
            opened_unix_s=case.opened_unix_s,
            verdict=case.proof.verdict,
            accusations=len(ledger.accusations),
            solved=ledger.solved is not None,
            points=ledger.points,
        )
