"""Which earlier runs still speak for a case, and how many are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.domain.proof import ProofVerdict
from lab.investigation.running.verify import Result, Trial


@dataclass(frozen=True)
class Row:
    """What one run came to, as a table keeps it; ``commit`` is that of the checkout."""

    run: str
    at_unix_s: int
    commit: str
    verdict: ProofVerdict
    symptom: str
    truth: str
    worst: str
    took_s: int

    @classmethod
    def of(cls, result: Result, commit: str) -> Row:
        """The row of ``result``."""
        return cls(
            result.trial.name,
            round(result.case.opened_unix_s),
            commit,
            result.verdict,
            result.symptom,
            result.truth,
            result.worst,
            round(result.took_s),
        )

    @property
    def scenario_id(self) -> str:
        """Whose run it was; a twin's name follows after a comma."""
        return self.run.partition(",")[0]


@dataclass(frozen=True)
class Changes:
    """When what a run rests on was last changed (Unix seconds; infinity: not committed yet).

    ``cases`` holds, for each scenario, the change of its own files.
    """

    cases: Mapping[str, float]
    shop: float
    proof: float

    def since(self, row: Row) -> tuple[str, ...]:
        """What was changed after ``row`` was measured; a case that is gone is changed."""
        changed = {
            "case": self.cases.get(row.scenario_id, float("inf")),
            "shop": self.shop,
            "proof": self.proof,
        }
        return tuple(name for name, at_s in changed.items() if at_s > row.at_unix_s)


def still_missing(
    todo: Iterable[Trial], rows: Sequence[Row], changes: Changes, *, wanted: int
) -> tuple[Trial, ...]:
    """Each trial as often as it lacks proven rows since its case's own files last changed.

    In rounds, so that a sitting which ends early leaves every case equally far.
    """
    trials = tuple(todo)
    has = {
        trial.name: sum(
            row.run == trial.name
            and row.verdict is ProofVerdict.PROVEN
            and "case" not in changes.since(row)
            for row in rows
        )
        for trial in trials
    }
    return tuple(
        trial for number in range(wanted) for trial in trials if has[trial.name] + number < wanted
    )
