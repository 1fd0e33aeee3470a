"""A case: one run of a scenario with all its evidence, as the desk and the judge read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.domain.evidence import Evidence
from lab.domain.journal import Ending, JournalEntry
from lab.domain.proof import Proof, ProofVerdict
from lab.domain.scenario import Scenario


@dataclass(frozen=True)
class Case:
    """Enough to solve and grade with the stack down.

    ``support_code`` is the trace id the briefing ends with; None where no affected
    trace came whole. ``versions`` maps part → version of what ran.
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


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A case as a list shows it; names nothing a learner should find out."""

    case_id: str
    scenario_id: str
    title: str
    difficulty: int
    opened_unix_s: float
    verdict: ProofVerdict
    accusations: int
    solved: bool
