"""What the seven services have in common: start, health, problems, the end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lab.shop import telemetry
from lab.shop.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping, Sequence
    from typing import Any

    from lab.shop.telemetry import SpanCounter

logger = logging.getLogger(__name__)

HEALTH = "/healthz"


class Resource(Protocol):
    """Something a service opens at its start and closes at its end."""

    async def open(self) -> None:
        """Return when it can be used, however long that takes."""

    async def close(self) -> None:
        """Let go of it."""


def shop_app(counter: SpanCounter, router: APIRouter, resources: Sequence[Resource]) -> FastAPI:
    """One service: its ``router``, health, problem documents, and telemetry flushed at the end."""
    app = FastAPI(
        lifespan=_lifespan(resources),
        openapi_url=None,
        # Records of handled problems are the services' own business to write.
        telemetry={"operation_spans": False, "logs": False, "exclude": _is_health},
    )
    app.include_router(router)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unexpected)

    @app.get(HEALTH)
    async def health(request: Request) -> JSONResponse:
        ready = request.app.state.opening.done()
        return JSONResponse(
            {"status": "ok" if ready else "starting", "spans_ended": counter.count},
            status_code=200 if ready else 503,
        )

    return app


def _lifespan(resources: Sequence[Resource]) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Not awaited: a service that waits for its database should say so when asked.
        app.state.opening = asyncio.create_task(_open_all(resources))
        try:
            yield
        finally:
            app.state.opening.cancel()
            with suppress(asyncio.CancelledError):
                await app.state.opening
            for resource in reversed(resources):
                await resource.close()
            telemetry.flush()

    return lifespan


async def _open_all(resources: Sequence[Resource]) -> None:
    for resource in resources:
        await resource.open()


def _is_health(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") == HEALTH


def _document(status: int, title: str, **extras: str) -> JSONResponse:
    """A problem document (RFC 9457) that names no internals."""
    return JSONResponse(
        {
            "type": "about:blank",
            "title": title,
            "status": status,
            "support_code": telemetry.support_code(),
            **extras,
        },
        status_code=status,
        media_type="application/problem+json",
    )


async def _answer_problem(_: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Problem)
    return _document(problem.status, problem.title, **problem.extras())


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    wrong = [".".join(map(str, problem["loc"])) for problem in error.errors()]
    logger.info("Request not understood: %s", ", ".join(wrong))
    return _document(422, "Unprocessable Content")


async def _answer_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _document(error.status_code, error.detail)


async def _answer_unexpected(_: Request, error: Exception) -> JSONResponse:
    logger.error("Unexpected %s", type(error).__name__, exc_info=error)
    return _document(500, "Internal Server Error")
