"""The desk as an application: routes of every page, one answer for every error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.staticfiles import StaticFiles

from lab import __version__
from lab.desk import (
    accuse,
    api,
    board,
    brought,
    debrief,
    detective,
    exhibits,
    map_page,
    request_list,
    room,
    trace_page,
)
from lab.desk.desk import Desk
from lab.desk.guard import ForgedRequest, Guard
from lab.desk.pages import STATIC, page
from lab.errors import (
    CaseAtWork,
    CaseError,
    LabError,
    NoReference,
    NotEarned,
    NothingToGrade,
    NotOurs,
    PreconditionError,
    TooSoon,
    UnknownCase,
    UsageError,
)

MAX_BODY_BYTES: Final = 64 * 1024

ROUTERS: Final = (
    board.router,
    room.router,
    request_list.router,
    accuse.router,
    trace_page.router,
    trace_page.api,
    map_page.router,
    map_page.api,
    exhibits.router,
    exhibits.api,
    debrief.router,
    detective.router,
    brought.router,
    brought.api,
    api.pages,
    api.router,
)
"""One module a page, each with its own router."""

_STATUS: Final[Mapping[type[LabError], int]] = {
    UnknownCase: 404,
    TooSoon: 429,
    PreconditionError: 409,
    NotOurs: 409,
    NothingToGrade: 409,
    NotEarned: 403,
    CaseAtWork: 503,
    CaseError: 409,
    UsageError: 422,
    ForgedRequest: 403,
}
"""Error → HTTP status, the most specific first; a damaged case conflicts with what was sealed."""

_OF_TRACES: Final = (NothingToGrade, NoReference)
"""What a page says of traces that somebody brought, whose other pages it then leads to."""

_HEADLINES: Final = {
    403: "This is not for you, or not yet",
    404: "There is nothing under this address",
    405: "This address is not asked that way",
    409: "This cannot be done as things are",
    422: "This cannot be understood",
    429: "Not yet",
    503: "This case is still being written",
}


def create_app(desk: Desk) -> FastAPI:
    """The application over ``desk``; nothing of it is traced, nor reaches beyond its cases."""
    app = FastAPI(
        title="Deadspan: the case desk",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        max_body_size=MAX_BODY_BYTES,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.desk = desk
    app.add_middleware(Guard)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(LabError, _lab_error)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _malformed)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


async def _lab_error(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    headers = {}
    if isinstance(error, CaseAtWork):
        headers = {"Retry-After": "5"}
    if isinstance(error, TooSoon):
        headers = {"Retry-After": str(int(error.wait_s) + 1)}
    about = request.path_params.get("case_id") if isinstance(error, _OF_TRACES) else None
    return _answer(request, status, str(error), headers, about)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException | StarletteHTTPException)
    return _answer(request, error.status_code, str(error.detail), dict(error.headers or {}))


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(
        f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}"
        for each in error.errors()
    )
    return _answer(request, 422, said, {})


def _answer(
    request: Request, status: int, said: str, headers: Mapping[str, str], about: str | None = None
) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": said}, status, headers=dict(headers))
    headline = _HEADLINES.get(status, "Something went wrong")
    context = {"headline": headline, "said": said, "traces": about}
    response = page(request, "error.html", context, status=status)
    response.headers.update(headers)
    return response
