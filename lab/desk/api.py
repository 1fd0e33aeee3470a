"""The same as the pages, for programs: JSON under ``/api/v1``, described by OpenAPI.

Whatever changes something is a POST; a browser's page of another origin is refused before
it gets here, and a plain form cannot send JSON.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from lab.adapters.otlp.traces import trace_to_otlp
from lab.desk.accuse import accusation_of
from lab.desk.debrief import earned
from lab.desk.desk import OpenCase, OpenFile, TheDesk
from lab.desk.guard import check_site
from lab.desk.pages import page
from lab.desk.request_list import ListState, RequestPage, page_of
from lab.desk.room import lines_of
from lab.domain.case import CaseSummary
from lab.domain.evidence import Telemetry
from lab.domain.ledger import Ledger
from lab.domain.mechanism import Mechanism, Scope
from lab.errors import UsageError
from lab.investigation.reading.background import background_rows, background_traces
from lab.investigation.reading.contrast import CONTRAST, Contrasts, contrasts
from lab.investigation.reading.edge_signals import Signals, signals
from lab.investigation.reading.ids import resolve_trace
from lab.investigation.reading.logs import LogLine
from lab.investigation.reading.pasted_links import resolve_suspect
from lab.investigation.reading.requests import WINDOW_WORDS
from lab.investigation.reading.strangers import compared, overview_signals
from lab.investigation.solving.briefing import briefing
from lab.investigation.solving.hints import OfferedHint, offered_hints
from lab.investigation.solving.post_mortem import post_mortem

router = APIRouter(prefix="/api/v1", tags=["cases"])
pages = APIRouter(include_in_schema=False)


class Word(BaseModel):
    """A word of a closed list, and what it means."""

    word: str
    definition: str


class Words(BaseModel):
    """What an accusation may say; mechanisms in the order in which to ask."""

    mechanisms: list[Word]
    scopes: list[Word]


class LedgerState(BaseModel):
    """What was done with a case.

    ``points`` is null while it is open; ``worth`` is what solving it now would bring,
    ``wait_s`` how many seconds a wrong accusation still delays the next.
    """

    solved: bool
    given_up: bool
    points: int | None
    worth: int
    accusations: int
    hints_read: list[int]
    assists: list[str]
    wait_s: float


class CaseFront(BaseModel):
    """A case as its room shows it. Windows are in Unix seconds, start and end."""

    case_id: str
    title: str
    difficulty: int
    briefing: str
    support_code: str | None
    windows: dict[str, tuple[float, float]]
    routes: list[str]
    tenants: list[str]
    requests: int
    traces: int
    asks_scope: bool
    ledger: LedgerState


class AccusationBody(BaseModel):
    """Whom, how and whom it hit. A suspect is whatever the accusing page takes.

    ``mechanism`` is one for all suspects, ``mechanisms`` one for each in their order.
    """

    model_config = ConfigDict(extra="forbid")

    suspects: Annotated[list[Annotated[str, Field(max_length=16_384)]], Field(max_length=2)] = []
    mechanism: Mechanism | None = None
    mechanisms: Annotated[list[Mechanism], Field(max_length=2)] = []
    scope: Scope | None = None
    nobody: bool = False


class VerdictBody(BaseModel):
    """What an accusation came to; ``text`` speaks of accused spans alone."""

    verdict: str
    text: str
    ledger: LedgerState


class DebriefBody(BaseModel):
    """The whole story as Markdown, and what a program may want of it."""

    mechanism: str
    scope: str
    culprits: list[tuple[str, str]]
    path: list[tuple[str, str]]
    markdown: str


@router.get("/words")
def words() -> Words:
    """Both closed lists with their definitions."""
    return Words(
        mechanisms=[Word(word=each.value, definition=each.definition) for each in Mechanism],
        scopes=[Word(word=each.value, definition=each.definition) for each in Scope],
    )


@router.get("/cases")
def cases(desk: TheDesk) -> list[CaseSummary]:
    """All cases, newest first."""
    return [replace(each, scenario_id=each.told_scenario) for each in desk.archive.cases()]


@router.get("/cases/{case_id}")
def case_front(case: OpenCase, desk: TheDesk) -> CaseFront:
    """Pager message, support code, windows, and what was done with the case."""
    evidence = case.evidence
    return CaseFront(
        case_id=case.case_id,
        title=case.title,
        difficulty=case.scenario.difficulty,
        briefing=briefing(case),
        asks_scope=case.scenario.asks_scope,
        support_code=case.support_code,
        windows={
            word: (evidence.windows[window].start_s, evidence.windows[window].end_s)
            for window, word in WINDOW_WORDS.items()
            if window in evidence.windows
        },
        routes=sorted({each.route for each in evidence.requests}),
        tenants=sorted({each.tenant for each in evidence.requests}),
        requests=len(evidence.requests),
        traces=len(evidence.traces),
        ledger=_state(desk.solving.ledger(case.case_id), desk.solving.wait_s(case.case_id)),
    )


@router.get("/cases/{case_id}/signals")
def case_signals(case: OpenFile, route: str | None = None) -> Signals:
    """Rate, errors and latency at the edge, second by second; of a long case in longer steps."""
    if isinstance(case, Telemetry):
        return overview_signals(case)
    return signals(case.evidence, route=route)


@router.get("/cases/{case_id}/requests")
def case_requests(case: OpenCase, state: Annotated[ListState, Query()]) -> RequestPage:
    """Requests, filtered, sorted and paged as on the page of the same name."""
    return page_of(case, state)


@router.get("/cases/{case_id}/background")
def case_background(case: OpenCase) -> list[dict[str, Any]]:
    """Traces that no request began, in order of time."""
    return background_rows(case.evidence, background_traces(case.evidence))


@router.get("/cases/{case_id}/traces/{trace_id}")
def case_trace(found: OpenFile, desk: TheDesk, trace_id: str) -> dict[str, Any]:
    """One trace as OTLP/JSON; the beginning of its id is enough."""
    replays = desk.archive.replays(found.case_id)
    return trace_to_otlp(resolve_trace(found.evidence, trace_id, replays))


@router.get("/cases/{case_id}/logs")
def case_logs(case: OpenFile, desk: TheDesk) -> list[LogLine]:
    """Every log line the case keeps, in order of time; of a stranger's traces their events."""
    return list(lines_of(desk, case))


@router.get("/cases/{case_id}/contrast", dependencies=[Depends(check_site)])
def case_contrast(file: OpenFile, desk: TheDesk) -> Contrasts:
    """What sets the hurt requests apart; noted as an assist."""
    case = compared(file)
    desk.solving.note_assist(case.case_id, CONTRAST)
    return contrasts(case.evidence)


@router.post("/cases/{case_id}/accusations")
def accuse(case: OpenCase, desk: TheDesk, body: AccusationBody) -> VerdictBody:
    """Accuse; 422 for what cannot be meant, 429 with ``Retry-After`` while a wrong one delays."""
    if body.nobody == bool(body.suspects):
        raise UsageError("expected suspects, or that nobody did it; got both or neither")
    replays = desk.archive.replays(case.case_id)
    spans = tuple(resolve_suspect(case.evidence, each, replays) for each in body.suspects)
    words = (*body.mechanisms, *((body.mechanism,) if body.mechanism else ()))
    accusation = accusation_of(spans, words, nobody=body.nobody, scope=body.scope)
    judgement = desk.solving.accuse(case, accusation)
    return VerdictBody(
        verdict=judgement.verdict.value,
        text=judgement.text,
        ledger=_state(desk.solving.ledger(case.case_id), desk.solving.wait_s(case.case_id)),
    )


@router.get("/cases/{case_id}/hints")
def case_hints(case: OpenCase, desk: TheDesk) -> list[OfferedHint]:
    """Titles and costs of all hints; the words of those that were read."""
    return list(offered_hints(case, desk.solving.ledger(case.case_id)))


@router.post("/cases/{case_id}/hints/{number}")
def read_hint(case: OpenCase, desk: TheDesk, number: int) -> OfferedHint:
    """Read one; it costs points once the case is solved."""
    desk.solving.read_hint(case, number)
    return offered_hints(case, desk.solving.ledger(case.case_id))[number - 1]


@router.get("/cases/{case_id}/ledger")
def case_ledger(case: OpenCase, desk: TheDesk) -> LedgerState:
    """What was done with the case so far."""
    return _state(desk.solving.ledger(case.case_id), desk.solving.wait_s(case.case_id))


@router.post("/cases/{case_id}/give-up")
def give_up(case: OpenCase, desk: TheDesk) -> LedgerState:
    """Open the answers, for no points."""
    desk.solving.give_up(case.case_id)
    return _state(desk.solving.ledger(case.case_id), 0.0)


@router.get("/cases/{case_id}/debrief")
def case_debrief(case: OpenCase, desk: TheDesk) -> DebriefBody:
    """The whole story; 403 while the case is open."""
    found = earned(desk, case)
    truth = case.scenario.truth
    return DebriefBody(
        mechanism=truth.mechanism.value,
        scope=truth.scope.value,
        culprits=[(each.span.trace_id, each.span.span_id) for each in found.culprits],
        path=[(each.span.trace_id, each.span.span_id) for each in found.path],
        markdown=post_mortem(case, desk.solving.ledger(case.case_id), found),
    )


@pages.get("/api/docs")
def documentation(request: Request) -> HTMLResponse:
    """The calls there are, out of the OpenAPI document."""
    document = request.app.openapi()
    calls = [
        (method.upper(), path, call)
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]
    return page(request, "api.html", {"calls": calls, "base": str(request.base_url).rstrip("/")})


def _state(ledger: Ledger, wait_s: float) -> LedgerState:
    return LedgerState(
        solved=ledger.solved is not None,
        given_up=ledger.given_up,
        points=ledger.points,
        worth=ledger.worth,
        accusations=len(ledger.accusations),
        hints_read=sorted(ledger.hints_read),
        assists=list(ledger.assists),
        wait_s=wait_s,
    )
