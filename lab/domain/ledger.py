"""What a learner did with a case, entry by entry, and what that comes to.

The ledger lies beside a case and is no part of its evidence. Command line and desk write
the same one, so that a case begun in one is solved in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeVar

from lab.domain.accusation import Accusation
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.verdict import EXAMPLE_LEVEL, VerdictClass, points
from lab.frozen import dataclass

Word = TypeVar("Word", bound=StrEnum)

DELAYS_S: Final = (0.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""How long each wrong accusation puts the next one off, first to last; the last one stays.

The first is free, since everybody errs; whoever guesses gets slower, and nobody is shut out.
"""

_ACCUSES: Final = frozenset({"mechanisms", "mechanism"})
"""An entry with one of them accuses; the second is how ledgers of older cases have it."""

_NOT_JUDGED: Final = VerdictClass.UNKNOWN_TRACE
"""A slip of the pen, which tells the learner nothing and delays nothing."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One thing a learner did, at a moment in Unix seconds; the fields it is not about are None.

    ``hint`` counts from 1; ``assist`` and ``looked_at`` are words of the desk's: a tool that
    was used, the id of a trace that was opened. ``called`` is a tool that an agent called, with
    its arguments.
    """

    time_unix_s: float
    accusation: Accusation | None = None
    verdict: VerdictClass | None = None
    hint: int | None = None
    assist: str | None = None
    looked_at: str | None = None
    called: str | None = None
    gave_up: bool = False

    def record(self) -> dict[str, Any]:
        """As it is written down, less the moment; `read` understands it."""
        found: dict[str, Any] = {}
        if self.accusation is not None:
            found = {
                "spans": [list(pair) for pair in self.accusation.spans],
                "nobody": self.accusation.nobody,
                "mechanisms": [each.value for each in self.accusation.mechanisms],
                "scope": self.accusation.scope.value if self.accusation.scope else None,
            }
        told = {
            "verdict": self.verdict.value if self.verdict else None,
            "hint": self.hint,
            "assist": self.assist,
            "looked_at": self.looked_at,
            "called": self.called,
            "gave_up": self.gave_up or None,
        }
        return found | {name: value for name, value in told.items() if value is not None}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> LedgerEntry | None:
        """What `record` made; None for what nobody wrote so (people may edit the file)."""
        try:
            verdict = record.get("verdict")
            hint = record.get("hint")
            texts = {key: record.get(key) for key in ("assist", "looked_at", "called")}
            return cls(
                time_unix_s=float(record.get("time_unix_s", 0.0)),
                accusation=_accusation(record) if _ACCUSES & record.keys() else None,
                verdict=None if verdict is None else _word(VerdictClass, verdict),
                hint=None if hint is None else int(hint),
                **{key: None if each is None else str(each) for key, each in texts.items()},
                gave_up=bool(record.get("gave_up")),
            )
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Ledger:
    """All entries of one case, in order of time, and how difficult it is, where that is known."""

    entries: tuple[LedgerEntry, ...] = ()
    level: int | None = None

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]], level: int | None = None) -> Ledger:
        """The ledger that was written down so."""
        read = (LedgerEntry.read(record) for record in records)
        return cls(tuple(entry for entry in read if entry is not None), level)

    @property
    def is_example(self) -> bool:
        """Whether it is the worked example's, which brings no points and whose hints are free."""
        return self.level == EXAMPLE_LEVEL

    @property
    def accusations(self) -> tuple[LedgerEntry, ...]:
        """Those entries that were judged."""
        return tuple(entry for entry in self.entries if entry.verdict is not None)

    @property
    def way(self) -> tuple[LedgerEntry, ...]:
        """What was done until the case was solved, and the accusation that solved it."""
        return (*self._until_solved(), *([self.solved] if self.solved else []))

    @property
    def tries(self) -> tuple[LedgerEntry, ...]:
        """Those accusations that the case took; what is tried in a solved one is no part of it."""
        return tuple(entry for entry in self.way if entry.verdict is not None)

    @cached_property
    def solved(self) -> LedgerEntry | None:
        """The accusation that closed the case."""
        closing = (each for each in self.entries if each.verdict is VerdictClass.SOLVED)
        return next(closing, None)

    @cached_property
    def given_up(self) -> bool:
        """Whether the learner asked for the solution before there was one."""
        return any(each.gave_up for each in self._until_solved())

    @property
    def may_see_answers(self) -> bool:
        """Whether debrief and proof are earned, or asked for at the price of all points."""
        return self.solved is not None or self.given_up

    @cached_property
    def hints_read(self) -> frozenset[int]:
        """The numbers of all hints that were read, whenever."""
        return frozenset(each.hint for each in self.entries if each.hint is not None)

    @cached_property
    def hints_charged(self) -> frozenset[int]:
        """Those read before the case was solved; what is read later is free."""
        return frozenset(each.hint for each in self._until_solved() if each.hint is not None)

    @property
    def assists(self) -> tuple[str, ...]:
        """The tools that were used, each once, in order of their first use."""
        return tuple(dict.fromkeys(each.assist for each in self.entries if each.assist))

    @property
    def points(self) -> int | None:
        """What the case brought; None while it is open."""
        if self.given_up:
            return 0
        return self._points if self.solved else None

    @property
    def worth(self) -> int:
        """What solving it now would bring."""
        return 0 if self.given_up else self._points

    @property
    def _points(self) -> int:
        return 0 if self.is_example else points(len(self.hints_charged))

    def wait_s(self, now_unix_s: float) -> float:
        """Seconds until the next accusation is heard; 0 where it is heard at once."""
        if self.may_see_answers:
            return 0.0
        wrong = [each for each in self.accusations if each.verdict is not _NOT_JUDGED]
        if not wrong:
            return 0.0
        delay_s = DELAYS_S[min(len(wrong), len(DELAYS_S)) - 1]
        # A clock that was set back must not lock anybody out.
        return min(delay_s, max(0.0, wrong[-1].time_unix_s + delay_s - now_unix_s))

    def _until_solved(self) -> Iterator[LedgerEntry]:
        for entry in self.entries:
            if entry is self.solved:
                return
            yield entry


def _accusation(record: Mapping[str, Any]) -> Accusation:
    scope = record.get("scope")
    words = record["mechanisms"] if "mechanisms" in record else [record["mechanism"]]
    return Accusation(
        spans=tuple((str(trace), str(span)) for trace, span in record.get("spans", ())),
        mechanisms=tuple(_word(Mechanism, each) for each in words),
        nobody=bool(record.get("nobody")),
        scope=None if scope is None else _word(Scope, scope),
    )


def _word(kind: type[Word], value: object) -> Word:
    for each in kind:
        if each.value == value:
            return each
    raise ValueError(f"expected a {kind.__name__}, got {value!r}")
