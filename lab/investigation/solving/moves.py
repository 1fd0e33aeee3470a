"""What a learner may do with a case: accuse, read a hint, give up. All of it is written down."""

from __future__ import annotations

from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.ledger import Ledger, LedgerEntry
from lab.domain.mechanism import Scope
from lab.domain.verdict import Judgement
from lab.errors import TooSoon, UsageError
from lab.ports.case_archive import CaseArchive
from lab.ports.clock import Clock


class Solving:
    """The same rules for command line and desk, over the ledger that both share."""

    def __init__(self, archive: CaseArchive, clock: Clock) -> None:
        self._archive = archive
        self._clock = clock

    def ledger(self, case_id: str) -> Ledger:
        """What was done with the case so far."""
        return Ledger.of(self._archive.records(case_id), self._archive.level(case_id))

    def wait_s(self, case_id: str) -> float:
        """Seconds until the next accusation is heard."""
        return self.ledger(case_id).wait_s(self._clock.unix())

    def refuse_unfinished(self, case: Case, accusation: Accusation) -> None:
        """UsageError where a part of what is asked was not answered."""
        from lab.investigation.solving.briefing import SCOPE_COUNTS

        if case.scenario.asks_scope and accusation.scope is None and not accusation.nobody:
            raise UsageError(f"expected a scope, one of {', '.join(Scope)}: {SCOPE_COUNTS}")

    def accuse(self, case: Case, accusation: Accusation) -> Judgement:
        """Judge and write down; TooSoon while an earlier wrong one still delays."""
        # Whoever only has a look noted down does not wait for what grades.
        from lab.investigation.solving.judge import judge

        self.refuse_unfinished(case, accusation)
        wait_s = self.wait_s(case.case_id)
        if wait_s > 0:
            raise TooSoon(wait_s)
        judgement = judge(case.scenario, case.evidence, accusation)
        self._write(case.case_id, accusation=accusation, verdict=judgement.verdict)
        return judgement

    def read_hint(self, case: Case, number: int) -> str:
        """The hint of that number, from 1; UsageError where there is none."""
        hints = case.scenario.hints
        if not 1 <= number <= len(hints):
            raise UsageError(f"expected 1 to {len(hints)}, got {number}")
        if number not in self.ledger(case.case_id).hints_read:
            self._write(case.case_id, hint=number)
        return hints[number - 1]

    def give_up(self, case_id: str) -> None:
        """Open the answers for no points; nothing where they are open already."""
        if not self.ledger(case_id).may_see_answers:
            self._write(case_id, gave_up=True)

    def note_assist(self, case_id: str, assist: str) -> None:
        """Remember that a tool was used, once; after the case is closed nobody counts."""
        ledger = self.ledger(case_id)
        if assist not in ledger.assists and not ledger.may_see_answers:
            self._write(case_id, assist=assist)

    def note_look(self, case_id: str, trace_id: str) -> None:
        """Remember that a trace was opened, unless it was the last thing done or all is over."""
        ledger = self.ledger(case_id)
        last = ledger.entries[-1].looked_at if ledger.entries else None
        if trace_id != last and not ledger.may_see_answers:
            self._write(case_id, looked_at=trace_id)

    def note_call(self, case_id: str, call: str) -> None:
        """Remember what an agent asked, each time; after the case is closed nobody counts."""
        if not self.ledger(case_id).may_see_answers:
            self._write(case_id, called=call)

    def _write(self, case_id: str, **what: object) -> None:
        now_s = self._clock.unix()
        entry = LedgerEntry(now_s, **what)  # type: ignore[arg-type]
        self._archive.record_verdict(case_id, {"time_unix_s": now_s, **entry.record()})
