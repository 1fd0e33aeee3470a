"""Where an agent works: the cases of this checkout, with judge and ledger."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

from lab.domain.accusation import Accusation
from lab.domain.case import Case, CaseSummary
from lab.domain.ids import is_numbered
from lab.domain.mechanism import Mechanism, Scope
from lab.errors import CaseError, UnknownCase, UsageError
from lab.investigation.solving.briefing import briefing
from lab.investigation.solving.hints import offered_hints
from lab.investigation.solving.moves import Solving
from lab.mcp.answers import Answer, Arguments
from lab.mcp.dossier import Dossier, bare, moment
from lab.mcp.views import trace_meant
from lab.ports.case_archive import CaseArchive
from lab.ports.clock import Clock

LiveSearch = Callable[[str, float, float], frozenset[str] | None]


def alias(case_id: str) -> str:
    """What a case is called before agents: its id may be that of its scenario, which tells much."""
    if is_numbered(case_id):
        return case_id
    return f"case-{hashlib.sha256(case_id.encode()).hexdigest()[:8]}"


def dossier_of(case: Case) -> Dossier:
    """What may be told of a case before anybody has solved it."""
    return Dossier(
        alias(case.case_id),
        case.title,
        briefing(case),
        case.scenario.asks_scope,
        bare(case.evidence),
    )


class CasesRoom:
    """The cases of an archive, or one of them; the last one that was read is kept in memory.

    The ledger that it writes is the one of command line and desk.
    """

    def __init__(
        self, archive: CaseArchive, clock: Clock, live: LiveSearch, only: str | None = None
    ) -> None:
        self._archive = archive
        self._solving = Solving(archive, clock)
        self._live = live
        self._only = only
        self._kept: tuple[str, str, Case, Dossier] | None = None
        self._reading = threading.Lock()
        self._known: dict[str, str] = {}

    def read_ahead(self) -> None:
        """Read the newest case; whoever asks for one that cannot be read is told then."""
        with suppress(CaseError):
            self.dossier(None)

    def _served(self) -> Sequence[CaseSummary]:
        """The cases with a scenario, the newest first."""
        return [
            each
            for each in self._archive.cases()
            if each.scenario_id is not None and self._only in {None, each.case_id}
        ]

    def case_ids(self) -> Sequence[str]:
        """By the names that agents know."""
        return [alias(each.case_id) for each in self._served()]

    def summaries(self) -> list[Answer]:
        """What a list tells of each case: nothing that only the answer could say."""
        return [
            {
                "case_id": alias(each.case_id),
                "title": each.title,
                "difficulty": each.difficulty,
                "opened": moment(each.opened_unix_s),
                "accusations": each.accusations,
                "solved": each.solved,
                "points": each.points,
            }
            for each in self._served()
        ]

    def dossier(self, case_id: str | None) -> Dossier:
        """One case, read once; UnknownCase where none is called so."""
        return self._open(case_id)[3]

    def _own_id(self, case_id: str | None) -> str:
        """The archive's id; None stands for what was the newest when it was first asked for."""
        if not self._known or case_id not in {None, *self._known}:
            self._known = {alias(each.case_id): each.case_id for each in self._served()}
        wanted = next(iter(self._known), None) if case_id is None else case_id
        if wanted not in self._known:
            there = ", ".join(list(self._known)[:5]) or "none; `lab practice` opens one"
            raise UnknownCase(f"expected a case of list_cases, got {case_id!r:.80}; there: {there}")
        return self._known[wanted]

    def _open(self, case_id: str | None) -> tuple[str, str, Case, Dossier]:
        own_id = self._own_id(case_id)
        with self._reading:
            mark = self._archive.fingerprint(own_id)
            if self._kept is None or self._kept[:2] != (own_id, mark):
                self._kept = None
                case = self._loaded(own_id)
                self._kept = (own_id, mark, case, dossier_of(case))
            return self._kept

    def _loaded(self, case_id: str) -> Case:
        try:
            return self._archive.load(case_id)
        except CaseError as error:
            raise UnknownCase(
                f"expected {alias(case_id)} to be whole, found it damaged; whoever serves it can "
                "say more: `lab cases`"
            ) from error

    def note(self, case_id: str, call: str) -> None:
        """Every call stands in the ledger, so a debrief shows the agent's way."""
        self._solving.note_call(self._own_id(case_id), call)

    def look(self, case_id: str, trace_id: str) -> None:
        """As the desk notes it."""
        self._solving.note_look(self._own_id(case_id), trace_id)

    def sent(self, size: int) -> None:
        """Nobody counts bytes here."""

    def accuse(self, case_id: str, claim: Arguments) -> Answer:
        """The judge's verdict; TooSoon while an earlier wrong one still delays."""
        own_id, _, case, dossier = self._open(case_id)
        judgement = self._solving.accuse(case, accusation_of(dossier, claim))
        ledger = self._solving.ledger(own_id)
        return {
            "verdict": judgement.verdict.value,
            "text": judgement.text,
            "solved": judgement.is_solved,
            "points": ledger.points,
            "accusations": len(ledger.accusations),
            "next_is_heard_in_s": round(self._solving.wait_s(own_id), 1),
        }

    def hint(self, case_id: str, number: int | None) -> Answer:
        """Titles and costs, and the words of those that were read."""
        own_id, _, case, _ = self._open(case_id)
        if number is not None:
            self._solving.read_hint(case, number)
        offered = offered_hints(case, self._solving.ledger(own_id))
        return {"hints": [asdict(each) for each in offered if number in {None, each.number}]}

    def search_live(self, query: str, start_s: float, end_s: float) -> frozenset[str] | None:
        """As the running store says, if one runs."""
        return self._live(query, start_s, end_s)


def accusation_of(dossier: Dossier, claim: Arguments) -> Accusation:
    """What an agent claims; UsageError where it cannot be meant."""
    spans = []
    for each in claim.get("spans", ()):
        trace = trace_meant(dossier, each["trace_id"])
        if trace.span(each["span_id"]) is None:
            raise UsageError(
                f"expected a span of trace {trace.trace_id}, got {each['span_id']!r:.80}"
            )
        spans.append((trace.trace_id, each["span_id"]))
    try:
        return Accusation(
            tuple(spans),
            tuple(
                each for word in claim.get("mechanisms", ()) for each in Mechanism if each == word
            ),
            bool(claim.get("nobody")),
            next((each for each in Scope if each == claim.get("scope")), None),
        )
    except ValueError as error:
        raise UsageError(f"{error}; list_mechanisms has the words") from error
