"""The pager message of a case."""

from __future__ import annotations

from lab.domain.case import Case


def briefing(case: Case) -> str:
    """The scenario's briefing as Markdown, with a support code where there is one."""
    text = case.scenario.briefing.rstrip()
    if case.support_code is None:
        return text
    return f"{text}\n\nSupport code of a customer who called: `{case.support_code}`\n"
