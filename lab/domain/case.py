"""A case: one run of a scenario with all its evidence, as the desk and the judge read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.domain.evidence import Evidence, Sample, Telemetry
from lab.domain.ids import is_numbered
from lab.domain.instrumentation import Instrumentation
from lab.domain.journal import Ending, JournalEntry
from lab.domain.proof import Proof, ProofVerdict
from lab.frozen import dataclass

if TYPE_CHECKING:
    # Whoever only looks at traces does not wait for the language of scenarios.
    from lab.domain.scenario import Scenario


@dataclass(frozen=True)
class Case:
    """Enough to solve and grade with the stack down.

    ``support_code`` is the trace id the briefing ends with; None where no affected trace came
    whole. ``versions`` maps part → version of what ran. ``sampled_from`` says how many traces of
    each sample the run had, where some were left out since. Where the ``instrumentation`` was
    not full, the proof says only that the same crime happened.
    """

    case_id: str
    scenario: Scenario
    seed: int
    opened_unix_s: float
    ending: Ending
    versions: Mapping[str, str]
    evidence: Evidence
    journal: tuple[JournalEntry, ...]
    proof: Proof
    support_code: str | None
    sampled_from: Mapping[Sample, int] | None = None
    instrumentation: Instrumentation = Instrumentation.FULL

    @property
    def title(self) -> str:
        """What a list calls it."""
        return self.scenario.title


CaseFile = Case | Telemetry
"""What a case folder may hold; `CaseArchive.load` gives only what can be graded."""


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A case as a list shows it; a stranger's telemetry has no scenario, difficulty or verdict.

    ``points`` is None until the case is solved or given up. ``size_bytes`` is what its folder
    takes; ``traces`` and ``spans`` are kept in it, where that is known without reading them.
    """

    case_id: str
    scenario_id: str | None
    title: str
    difficulty: int | None
    opened_unix_s: float
    verdict: ProofVerdict | None
    accusations: int
    solved: bool
    points: int | None = None
    size_bytes: int = 0
    traces: int = 0
    spans: int | None = None

    @property
    def is_imported(self) -> bool:
        """Whether it is a stranger's telemetry, of which nobody knows the truth."""
        return self.verdict is None

    @property
    def told_scenario(self) -> str | None:
        """The scenario, where a learner may know it: by the id, or because the case is closed."""
        is_closed = self.solved or self.points is not None
        return self.scenario_id if is_closed or not is_numbered(self.case_id) else None
