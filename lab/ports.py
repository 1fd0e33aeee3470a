"""What the lab needs of the world; `adapters` holds the real things and a fake of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.domain.case import Case, CaseFile, CaseSummary
from lab.domain.evidence import Interval
from lab.domain.fault import Conditions, Fault
from lab.domain.instrumentation import Instrumentation
from lab.domain.journal import JournalEntry, Step
from lab.domain.load import LoadPlan, LoadProgress, LoadReport, Request, Window
from lab.domain.record import Record, RecordQuery
from lab.domain.replay import Replay
from lab.domain.trace import Trace


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...

    def unix(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


@dataclass(frozen=True, slots=True)
class EdgeState:
    """What Toxiproxy really has on an edge right now."""

    edge: str
    enabled: bool
    toxics: tuple[Fault, ...]

    @property
    def is_clean(self) -> bool:
        """Whether traffic passes it unharmed."""
        return self.enabled and not self.toxics

    def shows(self, fault: Fault) -> bool:
        """Whether ``fault`` is here, be it with other attributes than were asked for."""
        if fault.is_down:
            return not self.enabled
        return any(toxic.toxic_name == fault.toxic_name for toxic in self.toxics)


class Injector(Protocol):
    """Harm on edges; used by the warden alone. Every call is bounded in time."""

    async def edges(self) -> Mapping[str, EdgeState]:
        """Read every edge as it is."""
        ...

    async def apply(self, fault: Fault) -> None:
        """Put ``fault`` on its edge and read it back; InjectorError if it is not there."""
        ...

    async def remove(self, fault: Fault) -> None:
        """Take ``fault`` off, if it is there, and read that back."""
        ...

    async def reset(self) -> None:
        """Take every toxic off and enable every edge."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """A lease as the warden tells it; ``expires_in_s`` counts down between heartbeats."""

    lease_id: str
    holder: str
    state: str
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class LeasedEdges:
    """Every edge at one moment between two switches; ``on`` holds the lease's faults due then."""

    edges: Mapping[str, EdgeState]
    on: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """A scheduled fault came or went.

    ``unix_s`` is when that had been read back, ``late_s`` by how much that was later
    than the schedule says, on the monotonic clock.
    """

    fault: Fault
    is_on: bool
    unix_s: float
    late_s: float


@dataclass(frozen=True, slots=True)
class Removal:
    """What a release, an expiry or a heal took away, and how it was proven gone.

    ``method`` is how Toxiproxy was brought to it: ``api``, ``reset`` or ``restart``.
    ``switches`` tells in order what the lease's schedules did before that.
    """

    faults: tuple[Fault, ...]
    conditions: tuple[str, ...]
    method: str
    proven_clean: bool
    switches: tuple[Switch, ...] = ()

    @property
    def count(self) -> int:
        """How many things were removed."""
        return len(self.faults) + len(self.conditions)


class Warden(Protocol):
    """Leases on harm. One at a time; harm never outlives its lease."""

    async def take(
        self,
        *,
        holder: str,
        faults: Sequence[Fault],
        conditions: Conditions,
        ttl_s: float,
        seed: int = 0,
    ) -> LeaseStatus:
        """Apply settings, then faults, under a lease; returns once both were read back.

        Of scheduled faults only those that are due at once; the others come and go
        while the lease is held, with jitter as ``seed`` decides.
        """
        ...

    async def heartbeat(self, lease_id: str) -> LeaseStatus:
        """Start the lease's time to live anew; LeaseError if it is gone."""
        ...

    async def roll_again(self, lease_id: str, edge: str) -> LeaseStatus:
        """Take the fractional fault of ``edge`` off and put it on, so that its dice fall anew."""
        ...

    async def release(self, lease_id: str) -> Removal:
        """Take everything away and prove it gone."""
        ...

    async def current(self) -> LeaseStatus | None:
        """The lease that is held, if any."""
        ...

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as Toxiproxy has it."""
        ...

    async def leased_edges(self, lease_id: str) -> LeasedEdges:
        """The edges and what they are to have, of one moment; LeaseGone if the lease is."""
        ...

    async def heal(self) -> Removal:
        """Return from any state to a clean shop; idempotent."""
        ...

    async def shop(self) -> ShopState:
        """Every service as whoever keeps it tells it."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service of the shop as its keeper tells it.

    ``restarts`` counts the starts nobody asked for; ``overlay`` holds the
    variables laid over its defaults; ``spans_ended`` outlives a restart.
    """

    name: str
    pid: int | None
    healthy: bool
    restarts: int
    spans_ended: int
    overlay: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShopState:
    """Every service by name, and whether their settings can be changed from here at all."""

    services: Mapping[str, ServiceState]
    can_configure: bool


class Services(Protocol):
    """The shop's processes, one by one: how deployment settings change."""

    @property
    def can_configure(self) -> bool:
        """Whether `configure` can do anything; where not, a case with conditions cannot run."""
        ...

    async def states(self) -> Mapping[str, ServiceState]:
        """Every service by name."""
        ...

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        """Run ``service`` with these variables over its defaults; returns once it is ready.

        Restarts it only where the overlay differs from the one it runs with.
        """
        ...


class TraceStore(Protocol):
    """Traces by id and by search."""

    async def trace(self, trace_id: str) -> Trace | None:
        """The trace as received so far; None while none of it is there."""
        ...

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that answer the query inside the interval (Unix seconds)."""
        ...

    async def spans_received(self) -> int:
        """How many spans the store has taken in since it started."""
        ...


class RecordStore(Protocol):
    """What was written down beside traces: logs, metrics, the database's own log."""

    async def records(self, query: RecordQuery, run: Interval) -> tuple[Record, ...]:
        """All that was written in ``run``, in order of time; RecordsMissing without its source."""
        ...


class LoadRun(Protocol):
    """A load generator at work; one process for the whole run."""

    async def enter(self, window: Window) -> float:
        """Load as the plan says for ``window``; returns its start (Unix seconds)."""
        ...

    async def pause(self) -> float:
        """Start nothing new and wait until nothing is in flight; returns that moment."""
        ...

    def progress(self) -> LoadProgress | None:
        """The newest second; None before the first."""
        ...

    async def finish(self) -> LoadReport:
        """Drain, flush every span, and end the process."""
        ...


class LoadGenerator(Protocol):
    """Shoppers."""

    def start(self, plan: LoadPlan, request_log: Path) -> AbstractAsyncContextManager[LoadRun]:
        """A run of ``plan``; leaving the context leaves no process behind."""
        ...


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One process of the stack."""

    name: str
    state: str
    pid: int | None
    port: int | None
    detail: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it answered its readiness check just now."""
        return self.state == "ready"


@dataclass(frozen=True, slots=True)
class StackCounters:
    """What must not change, or must add up, over a run.

    ``spans_ended`` counts per process; ``restarts``, per part that a case depends on
    (so not of the desk, which only reads), starts that nobody asked for;
    ``collector_dropped`` spans the Collector refused or failed to send.
    """

    spans_ended: Mapping[str, int]
    restarts: Mapping[str, int]
    collector_dropped: int


class Stack(Protocol):
    """The victims and what watches them."""

    def up(self) -> AsyncIterator[PartStatus]:
        """Start what is not running; yields each part as it becomes ready."""
        ...

    async def down(self) -> None:
        """Stop everything that belongs to this checkout."""
        ...

    async def status(self) -> tuple[PartStatus, ...]:
        """Ask every part for its readiness."""
        ...

    async def counters(self) -> StackCounters:
        """Read every process's counters."""
        ...

    async def instrument(self, level: Instrumentation) -> None:
        """Let the shop write down so much of what it does; a stack starts at *full*.

        Its services restart where that is a change. UsageError where it cannot be changed.
        """
        ...

    def versions(self) -> Mapping[str, str]:
        """Part → version of what runs, for the case's manifest."""
        ...


@dataclass(frozen=True, slots=True)
class Strain:
    """What a machine withheld from everybody on it for a while.

    ``longest_stall_s`` is the longest time in which a sleeper that was due was not
    woken; ``busy`` the share (0 to 1) of all processors' time that was in use, or
    taken away by the host of a virtual machine.
    """

    longest_stall_s: float
    busy: float


class Machine(Protocol):
    """The machine that shop, load and lab share."""

    def watch(self) -> AbstractContextManager[Callable[[], Strain]]:
        """Watch while the context lasts; each call tells of the time since it began."""
        ...


class Journal(Protocol):
    """The run's diary, on disk as soon as written."""

    def record(self, step: Step, event: str, *, spoiler: bool = False, **data: object) -> None:
        """Write one entry; ``spoiler`` where it names an edge, a toxic or a setting."""
        ...

    def entries(self) -> tuple[JournalEntry, ...]:
        """All that was written, in order."""
        ...


class Observer(Protocol):
    """Whoever watches a run; never told what the fault is."""

    def phase(self, step: Step, detail: str, seconds_left: float | None = None) -> None:
        """Told when a step starts, and as its time runs down."""
        ...

    def progress(self, progress: LoadProgress) -> None:
        """The newest second of load."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line."""
        ...


class CaseArchive(Protocol):
    """Case folders: written atomically, read back whole."""

    def working_folder(self, case_id: str) -> Path:
        """A private folder for a run's files; not yet a case."""
        ...

    def journal(self, case_id: str) -> Journal:
        """The diary of the run in that folder."""
        ...

    def requests(self, case_id: str) -> tuple[Request, ...]:
        """What the load generator wrote into that folder so far."""
        ...

    def next_case_id(self, scenario_id: str) -> str:
        """The next free id, ``<scenario-id>-<n>``."""
        ...

    def seal(self, case: Case) -> Path:
        """Turn the working folder into a case, in one step."""
        ...

    def cases(self) -> tuple[CaseSummary, ...]:
        """All sealed cases, newest first."""
        ...

    def load(self, case_id: str | None) -> Case:
        """One case (None: the newest), without its answers applied; CaseError if damaged.

        NothingToGrade where it is a stranger's telemetry, which `open` gives.
        """
        ...

    def open(self, case_id: str | None) -> CaseFile:
        """One case (None: the newest), whether or not anybody knows the truth of it."""
        ...

    def fingerprint(self, case_id: str) -> str:
        """What tells a case from another that has, or had, the same id; `open` may be spared."""
        ...

    def holding(self, trace_id: str) -> tuple[str, ...]:
        """The ids of the cases with a trace whose id is, or begins with, that; newest first."""
        ...

    def replays(self, case_id: str) -> tuple[Replay, ...]:
        """Each replay of a case, newest first: what its spans were called elsewhere."""
        ...

    def logs(self, case_id: str) -> tuple[str, ...]:
        """The log lines of a case, one JSON object each."""
        ...

    def record_verdict(self, case_id: str, entry: Mapping[str, object]) -> None:
        """Append one judged accusation, or another thing a learner did, to the case's ledger."""
        ...

    def records(self, case_id: str) -> tuple[Mapping[str, object], ...]:
        """All that `record_verdict` wrote, in order; what nobody wrote so is left out."""
        ...
