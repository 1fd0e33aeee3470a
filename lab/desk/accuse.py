"""Accusing: say whom, see what the desk understood, say how, and read the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from lab.desk.desk import Desk, OpenCase, TheDesk
from lab.desk.grafana import explore_url
from lab.desk.guard import check_token
from lab.desk.pages import page
from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.mechanism import NO_SPAN_RULE, Mechanism, Scope
from lab.domain.trace import Span, Trace
from lab.errors import LabError, UnknownCase, UsageError
from lab.frozen import dataclass
from lab.investigation.reading.pasted_links import (
    SHAPES,
    read_paste,
    resolve_paste,
    resolve_suspect,
)
from lab.investigation.reading.span_words import operation, whom
from lab.investigation.solving.judge import judge

MOST_SUSPECTS: Final = 2
"""A culprit and an accomplice; no case has more."""

router = APIRouter(include_in_schema=False)

Pastes = Annotated[list[str], Query(max_length=MOST_SUSPECTS, default_factory=list)]


@dataclass(frozen=True, slots=True)
class Suspect:
    """One box of the form: what stood in it, and what the desk made of it."""

    pasted: str
    trace: Trace | None = None
    span: Span | None = None
    problem: str = ""

    @property
    def doing(self) -> str:
        """Who calls or answers whom, or that it is the service's own work."""
        assert self.trace is not None
        assert self.span is not None
        return whom(self.trace, self.span)

    @property
    def operation(self) -> str:
        """What it does: its name, and of a call the route or the statement."""
        assert self.trace is not None
        assert self.span is not None
        return operation(self.trace, self.span)

    @property
    def key(self) -> str:
        """Trace and span as the form sends them on."""
        return f"{self.span.trace_id} {self.span.span_id}" if self.span else ""


@router.get("/accuse")
def accuse_from_elsewhere(
    request: Request, desk: TheDesk, trace_id: str = "", span_id: str = "", suspect: str = ""
) -> Response:
    """Pre-fill an accusation in the newest case that holds the trace; Grafana links here."""
    pasted = suspect or f"{trace_id} {span_id}".strip()
    context: dict[str, Any] = {"pasted": pasted, "problem": "", "shapes": SHAPES}
    if not pasted:
        return page(request, "accuse_anywhere.html", context)
    try:
        found = read_paste(pasted)
        holding = desk.archive.holding(found.trace)
        if not holding:
            raise UnknownCase(
                f"no case holds a trace {found.trace}: a case keeps a sample of the traces of its "
                "own run, so it may be of no case at all, or of one whose run has not ended yet"
            )
    except LabError as error:
        status = 404 if isinstance(error, UnknownCase) else 422
        return page(
            request, "accuse_anywhere.html", {**context, "problem": str(error)}, status=status
        )
    query = urlencode({"suspect": f"{found.trace} {found.span or ''}".strip()})
    return RedirectResponse(f"/cases/{holding[0]}/accuse?{query}", 303)


@router.get("/cases/{case_id}/accuse")
def accuse_form(request: Request, case: OpenCase, desk: TheDesk, suspect: Pastes) -> HTMLResponse:
    """Echo what each box was understood as, and ask for mechanism and scope."""
    suspects = [_suspect(case, desk, each) for each in suspect if each.strip()]
    return _form(request, case, desk, suspects)


@router.post("/cases/{case_id}/accuse", dependencies=[Depends(check_token)])
def accuse(
    case: OpenCase,
    desk: TheDesk,
    suspect: Annotated[list[str], Form(max_length=MOST_SUSPECTS, default_factory=list)],
    mechanism: Annotated[Mechanism | None, Form()] = None,
    second: Annotated[Mechanism | None, Form()] = None,
    scope: Annotated[Scope | None, Form()] = None,
    nobody: Annotated[bool, Form()] = False,
) -> RedirectResponse:
    """Judge, write it down, and show the verdict under an address of its own."""
    replays = desk.archive.replays(case.case_id)
    named = () if nobody else filter(str.strip, suspect)
    spans = tuple(resolve_suspect(case.evidence, each, replays) for each in named)
    if not spans and not nobody:
        raise UsageError("expected a span to accuse, or that nobody did it; got neither")
    words = [each for each in (mechanism, second) if each is not None]
    accusation = accusation_of(spans, words, nobody=nobody, scope=scope)
    desk.solving.accuse(case, accusation)
    number = len(desk.solving.ledger(case.case_id).accusations)
    return RedirectResponse(f"/cases/{case.case_id}/verdicts/{number}", 303)


@router.get("/cases/{case_id}/verdicts/{number}")
def verdict(request: Request, case: OpenCase, desk: TheDesk, number: int) -> HTMLResponse:
    """The verdict on the accusation of that number, judged again, which comes to the same."""
    ledger = desk.solving.ledger(case.case_id)
    entry = ledger.accusations[number - 1] if 0 < number <= len(ledger.accusations) else None
    if entry is None or entry.accusation is None:
        raise UnknownCase(f"expected 1 to {len(ledger.accusations)} accusations, got {number}")
    accusation = entry.accusation
    suspects = [_suspect(case, desk, " ".join(pair)) for pair in accusation.spans]
    context = {
        "case": case,
        "ledger": ledger,
        "accusation": accusation,
        "judgement": judge(case.scenario, case.evidence, accusation),
        "suspects": suspects,
        "explore": _explore(desk, suspects),
        "wait_s": desk.solving.wait_s(case.case_id),
    }
    return page(request, "verdict.html", context)


def accusation_of(
    spans: tuple[tuple[str, str], ...],
    mechanisms: Sequence[Mechanism],
    *,
    nobody: bool,
    scope: Scope | None,
) -> Accusation:
    """What was sent as an accusation; UsageError where a mechanism is missing or too many."""
    try:
        return Accusation(spans, tuple(mechanisms), nobody, scope)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _form(request: Request, case: Case, desk: Desk, suspects: list[Suspect]) -> HTMLResponse:
    problems = any(each.problem for each in suspects)
    context = {
        "case": case,
        "suspects": suspects,
        "boxes": [*(each.pasted for each in suspects), *[""] * MOST_SUSPECTS][:MOST_SUSPECTS],
        "explore": _explore(desk, suspects),
        "mechanisms": list(Mechanism),
        "scopes": list(Scope),
        "no_span_rule": NO_SPAN_RULE,
        "shapes": SHAPES,
        "ledger": desk.solving.ledger(case.case_id),
        "wait_s": desk.solving.wait_s(case.case_id),
    }
    return page(request, "accuse.html", context, status=422 if problems else 200)


def _suspect(case: Case, desk: Desk, pasted: str) -> Suspect:
    try:
        replays = desk.archive.replays(case.case_id)
        trace, span = resolve_paste(case.evidence, pasted, replays)
    except UsageError as error:
        return Suspect(pasted, problem=str(error))
    return Suspect(pasted, trace, span)


def _explore(desk: Desk, suspects: list[Suspect]) -> dict[str, str]:
    base = desk.settings.url("grafana")
    return {each.key: explore_url(base, each.span) for each in suspects if each.span}
