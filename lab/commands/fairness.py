"""What the detective says of a case's fairness: who else explains it, and who finds it at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lab.detective.detect import detect
from lab.detective.floors import NAIVE, Seen
from lab.domain.accusation import Accusation
from lab.domain.verdict import DID_IT, VerdictClass
from lab.frozen import dataclass
from lab.investigation.solving.judge import judge
from lab.lint import Problem, Rule
from lab.scenario_file import SCENARIO

if TYPE_CHECKING:
    from lab.detective.incident import Incident
    from lab.domain.case import Case

AS_MUCH: Final = 0.8
"""Who explains this share of what the culprit does is as good an answer, or needs a reason."""
EASY_UP_TO: Final = 2
"""The level above which a case should ask for more than a naive look."""
NEEDS_A_REASON: Final = frozenset({VerdictClass.INNOCENT, VerdictClass.MESSENGER})
"""A bystander has one: it is the ``why`` of a decoy."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Which naive methods find who did it, of all that were asked."""

    scenario_id: str
    level: int
    found_by: tuple[str, ...]

    @property
    def remark(self) -> str | None:
        """What an author should know; None where nothing is to be said."""
        if len(self.found_by) == len(NAIVE) and self.level > EASY_UP_TO:
            return f"every naive method finds who did it: easy for level {self.level}"
        if not self.found_by:
            return "no naive method finds who did it from the kept evidence"
        return None


def difficulty(case: Case, incident: Incident) -> Difficulty | None:
    """Who finds it by a naive look; None where nobody did it, for no naive method says that."""
    if case.scenario.truth.is_nobody:
        return None
    seen = Seen(incident)
    first = {name: next(iter(method(seen)), None) for name, method in NAIVE.items()}
    spans = {name: seen.pick(operation) for name, operation in first.items() if operation}
    found = [name for name, span in spans.items() if span and _graded(case, span) in DID_IT]
    return Difficulty(case.scenario.id, case.scenario.difficulty, tuple(found))


def rivals(case: Case, incident: Incident) -> Iterator[Problem]:
    """Spans that explain nearly as much as the culprit, and would be graded without a reason."""
    suspects = detect(incident).suspects
    graded = [(each, _graded(case, each.examples[0])) for each in suspects]
    guilty = max((s.score for s, verdict in graded if verdict in DID_IT), default=None)
    if guilty is None:
        return
    for suspect, verdict in graded:
        if verdict in NEEDS_A_REASON and suspect.score >= AS_MUCH * guilty:
            yield Problem(
                f"scenarios/{case.scenario.id}/{SCENARIO}",
                0,
                "decoys",
                Rule.RIVAL,
                f"{suspect.who}, which explains {suspect.explains} beside {guilty:.0%}, "
                f"graded {verdict}",
            )


def _graded(case: Case, span: tuple[str, str]) -> VerdictClass:
    """What accusing this one comes to, whatever the mechanism, with the right scope."""
    truth = case.scenario.truth
    accusation = Accusation((span,), (truth.mechanism,), scope=truth.scope)
    return judge(case.scenario, case.evidence, accusation).verdict
