"""What came of recording several scenarios: in lines for people, in rows for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.domain.proof import ProofVerdict
from lab.errors import LabError, UsageError


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of recording one scenario, in a line; after ``tries`` runs.

    ``kept_bytes`` is None where nothing was written, ``had_bytes`` where there was no recording
    before. ``error`` is what ended it, if it was no verdict.
    """

    name: str
    said: str
    had_bytes: int | None
    kept_bytes: int | None = None
    verdict: ProofVerdict | None = None
    error: LabError | None = None
    tries: int = 1

    @property
    def exit_code(self) -> int:
        """0 where it is recorded, else that of the verdict or of the error."""
        if self.error is not None:
            return self.error.exit_code
        return self.verdict.exit_code if self.verdict else 0

    @property
    def may_be_tried_again(self) -> bool:
        """Whether another run may do better: what was refuted stays refuted."""
        if self.error is not None:
            return not isinstance(self.error, UsageError)
        return self.verdict is ProofVerdict.INCOMPLETE


def attempt_rows(done: Iterable[Attempt]) -> list[dict[str, Any]]:
    """What a program may read of them."""
    return [
        {
            "scenario": each.name,
            "recorded": each.kept_bytes is not None,
            "verdict": each.verdict.value if each.verdict else None,
            "problem": str(each.error) if each.error else None,
            "bytes": each.kept_bytes,
            "bytes_before": each.had_bytes,
            "tries": each.tries,
        }
        for each in done
    ]


def attempts_summary(wanted: Sequence[str], done: Mapping[str, Attempt], command: str) -> str:
    """How many there are now, how much that is, and what ``command`` is to do with the rest."""
    fresh = {name: each.kept_bytes for name, each in done.items() if each.kept_bytes is not None}
    together = sum(fresh.values()) / 1e6
    lines = [f"{len(fresh)} of {len(wanted)} recorded anew, {together:.1f} MB together"]
    left = [name for name in wanted if name not in fresh]
    for name in left:
        attempt = done.get(name)
        why = "not reached" if attempt is None else str(attempt.error or attempt.verdict)
        lines.append(f"  as it was: {name} ({why})")
    if left:
        lines.append(f"`{command} record {' '.join(left)}` runs them once more")
    return "\n".join(lines)
