"""The pager message of a case."""

from __future__ import annotations

from typing import Final

from lab.domain.case import Case
from lab.investigation.solving.exhibits import Written, told, with_measure

SCOPE_COUNTS: Final = "in this case the scope, whom it hit, is part of the answer"
"""Said before anybody accuses, where it is so."""


def briefing(case: Case, written: Written = with_measure) -> str:
    """The scenario's briefing as Markdown, with what is asked beyond who and how.

    A support code follows where there is one. Links to exhibits are as ``written`` has them.
    """
    text = told(case.scenario.briefing.rstrip(), case, written)
    if case.scenario.asks_scope:
        text += f"\n\n{SCOPE_COUNTS[0].upper()}{SCOPE_COUNTS[1:]}."
    if case.support_code is None:
        return text
    return f"{text}\n\nSupport code of a customer who called: `{case.support_code}`\n"
