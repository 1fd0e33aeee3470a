"""The *seen* ledger: what there is of each closed list in the code, and what of it occurred.

A word of a closed list that never occurs in the whole suite is a branch that nobody tries. So
the suite notes what occurs while it runs, and is red where a word is missing, by name.

What counts, and as what, is told with each sighting:

- ``live``: real parts did it; read from the case folders, journals and warden's diaries that
  they left behind, or from what ran in a test of `tests/e2e` or `tests/adversity`.
- ``recorded``: proven by the evidence that a real run left beside its scenario.
- ``unit``: the product's own code did it over fakes. A value that a test made by hand is not
  seen.

How a run ended must have been seen live, and a mechanism at least in the evidence of a real
run. The rest may be seen over fakes: a judge is a pure function, no machine is made to refute
a case just now, and a switch that Toxiproxy cannot read back comes when it wants.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from lab.domain.journal import Ending
from lab.domain.mechanism import Mechanism
from lab.domain.proof import ProofVerdict
from lab.domain.verdict import VerdictClass
from lab.warden import leases
from lab.warden.removing import METHODS


class Level(IntEnum):
    """How real a sighting was, the least first."""

    UNIT = 1
    RECORDED = 2
    LIVE = 3


MECHANISM: Final = "mechanism"
JUDGED: Final = "class of an accusation"
PROVED: Final = "verdict on a run"
ENDING: Final = "ending of a run"
MEANS: Final = "means of removal"
REASON: Final = "reason of a removal"


@dataclass(frozen=True)
class Wanted:
    """A closed list, and how real a sighting of each of its words has to be."""

    words: tuple[str, ...]
    level: Level = Level.UNIT


@dataclass(frozen=True)
class Sighting:
    """Where a word was first seen at its most real."""

    level: Level
    where: str


def reasons(source: str) -> tuple[str, ...]:
    """Why the warden ends leases: what its source gives to whatever begins a removal.

    Of a text that goes on with an error's own words, what stands before the colon.
    """
    calls = (each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Call))
    found = [
        _begins(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"_begin_removal", "_undo"}
        and call.args
    ]
    return tuple(dict.fromkeys(filter(None, found)))


def _begins(node: ast.expr) -> str | None:
    first = node.values[0] if isinstance(node, ast.JoinedStr) else node
    return reason(first.value) if isinstance(first, ast.Constant) else None


def reason(told: object) -> str:
    """The warden's word for why, without the error that it may go on with."""
    return str(told).partition(":")[0].strip()


def closed_lists() -> dict[str, Wanted]:
    """Every list as the code has it now."""
    return {
        MECHANISM: Wanted(tuple(each.value for each in Mechanism), Level.RECORDED),
        JUDGED: Wanted(tuple(each.value for each in VerdictClass)),
        PROVED: Wanted(tuple(each.value for each in ProofVerdict)),
        ENDING: Wanted(tuple(each.value for each in Ending), Level.LIVE),
        MEANS: Wanted(METHODS),
        REASON: Wanted(reasons(inspect.getsource(leases))),
    }


@dataclass
class Seen:
    """What occurred until now; ``where`` is the test that runs."""

    lists: Mapping[str, Wanted] = field(default_factory=closed_lists)
    where: str = ""
    _sightings: dict[tuple[str, str], Sighting] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """That of whatever the test that runs brings about in this process."""
        is_live = self.where.startswith(("tests/e2e/", "tests/adversity/"))
        return Level.LIVE if is_live else Level.UNIT

    def note(self, kind: str, word: str, level: Level | None = None) -> None:
        """``word`` occurred; the most real sighting of it is kept."""
        # A word of an enum as plain text, which is all that one process hands to another.
        self._note(kind, str(word), Sighting(self.level if level is None else level, self.where))

    def _note(self, kind: str, word: str, new: Sighting) -> None:
        old = self._sightings.get((kind, word))
        if old is None or new.level > old.level:
            self._sightings[kind, word] = new

    def missing(self) -> tuple[str, ...]:
        """What never occurred, or not as really as it has to, in words."""
        return tuple(self._missing())

    def _missing(self) -> Iterator[str]:
        for kind, wanted in self.lists.items():
            if not wanted.words:
                yield f"{kind}: expected a closed list in the code, found none"
            for word in wanted.words:
                sighting = self._sightings.get((kind, word))
                if sighting is None:
                    yield f"{kind} {word!r}: never seen"
                elif sighting.level < wanted.level:
                    found = f"{sighting.level.name.lower()} in {sighting.where}"
                    yield f"{kind} {word!r}: expected {wanted.level.name.lower()}, seen {found}"

    def rows(self) -> list[dict[str, str]]:
        """Every sighting, for the file that the suite leaves."""
        return [
            {"kind": kind, "word": word, "level": each.level.name.lower(), "where": each.where}
            for (kind, word), each in sorted(self._sightings.items())
        ]

    def take(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Note every sighting of another ledger, as `rows` tells them, with its own place."""
        for row in rows:
            self._note(
                row["kind"], row["word"], Sighting(Level[row["level"].upper()], row["where"])
            )

    def harvest_diary(self, path: Path) -> None:
        """What a real warden wrote down of its removals."""
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry.get("event") == "removed":
                self.note(REASON, reason(entry["why"]), Level.LIVE)
                self.note(MEANS, entry["method"], Level.LIVE)


SEEN: Final = Seen()
"""The ledger of this process's session."""
