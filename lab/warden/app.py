"""The warden's HTTP: a thin skin over `Leases`, for processes of this machine only.

Nothing of it is traced, so that no learner meets the warden in the evidence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Final

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from lab.domain.fault import Fault, Stream, Toxic
from lab.domain.schedule import Schedule
from lab.domain.variation import SettingValue
from lab.errors import HarmStopped, LabError, LeaseError, LeaseGone, LeaseHeld
from lab.ports.injector import EdgeState
from lab.ports.services import ShopState
from lab.ports.warden import LeasedEdges, LeaseStatus, Removal
from lab.shop.keeper import own_pages, secret
from lab.warden.leases import Leases

MAX_BODY_BYTES: Final = 64 * 1024
TICK_S: Final = 0.1

log = logging.getLogger("lab.warden")

_STATUS: Final[Mapping[type[LabError], int]] = {
    LeaseHeld: 409,
    LeaseGone: 404,
    LeaseError: 422,
    HarmStopped: 423,
}
"""Error → HTTP status, the most specific first; any other is a part that failed, 502."""


class ScheduleBody(BaseModel):
    """A fault's schedule as JSON."""

    model_config = ConfigDict(extra="forbid")

    start_s: float = 0.0
    on_s: float | None = None
    every_s: float | None = None
    jitter_s: float = 0.0

    def to_schedule(self) -> Schedule:
        """The domain's own form."""
        return Schedule(self.start_s, self.on_s, self.every_s, self.jitter_s)


class FaultBody(BaseModel):
    """A fault as JSON; a misspelt key is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid")

    edge: str
    toxic: Toxic | None
    attributes: dict[str, int] = {}
    stream: Stream = Stream.DOWNSTREAM
    toxicity: float = 1.0
    schedule: ScheduleBody | None = None

    def to_fault(self) -> Fault:
        """The domain's own form."""
        schedule = self.schedule.to_schedule() if self.schedule else None
        return Fault(self.edge, self.toxic, self.attributes, self.stream, self.toxicity, schedule)


class LeaseBody(BaseModel):
    """What ``POST /leases`` asks for."""

    model_config = ConfigDict(extra="forbid")

    holder: Annotated[str, Field(min_length=1, max_length=200)]
    faults: Annotated[list[FaultBody], Field(max_length=64)] = []
    conditions: Annotated[dict[str, SettingValue], Field(max_length=64)] = {}
    ttl_s: float
    seed: int = 0


class SameOriginOnly:
    """Refuses what a web page of another origin sends: no page has business here.

    Browsers put ``Origin`` on every cross-site POST, PUT and DELETE
    (https://fetch.spec.whatwg.org/#origin-header); the lab's own client never does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what has no origin, or this very one."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            origin = headers.get(b"origin")
            if origin is not None and origin != b"http://" + headers.get(b"host", b""):
                refusal = JSONResponse({"detail": "cross-site request refused"}, 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class SecretOnly:
    """Refuses whoever does not tell the secret; whether the warden is well, anybody may ask."""

    def __init__(self, app: ASGIApp, secret: str | None) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what tells the secret, where there is one."""
        if scope["type"] == "http" and scope["path"] != "/healthz":
            told = dict(scope["headers"]).get(secret.HEADER.lower().encode(), b"")
            if not secret.is_told(told.decode("latin-1"), self._secret):
                await JSONResponse({"detail": "the secret is missing"}, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def create_app(
    leases: Leases, names: Sequence[str] = own_pages.NAMES, told: str | None = None
) -> FastAPI:
    """The application; its lifespan starts ``leases`` and lets its time pass.

    ``names`` are the hosts it may be called by; any other is a rebound DNS name. ``told``
    is the secret that every request must tell, if there is one.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        leases.start()
        ticking = asyncio.create_task(_tick(leases))
        yield
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await leases.shut_down()

    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        max_body_size=MAX_BODY_BYTES,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    # The last one added is the outermost: first the host, then the origin, then the secret.
    app.add_middleware(SecretOnly, secret=told)
    app.add_middleware(SameOriginOnly)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(names))
    app.add_exception_handler(LabError, _refuse)
    _add_leases(app, leases)
    _add_edges(app, leases)
    return app


async def _tick(leases: Leases) -> None:
    while True:
        try:
            await leases.tick()
        except Exception:
            # Expiry must outlive any defect: without ticks harm would stay for ever.
            log.exception("a tick failed; the next one follows")
        await asyncio.sleep(TICK_S)


async def _refuse(_: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 502)
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)


def _add_leases(app: FastAPI, leases: Leases) -> None:
    @app.post("/leases", status_code=201)
    async def take(body: LeaseBody) -> LeaseStatus:
        return await leases.take(
            holder=body.holder,
            faults=[fault.to_fault() for fault in body.faults],
            conditions=body.conditions,
            ttl_s=body.ttl_s,
            seed=body.seed,
        )

    @app.get("/leases/current")
    async def current() -> LeaseStatus | None:
        return await leases.current()

    @app.put("/leases/{lease_id}/heartbeat")
    async def heartbeat(lease_id: str) -> LeaseStatus:
        return await leases.heartbeat(lease_id)

    @app.delete("/leases/{lease_id}")
    async def release(lease_id: str) -> Removal:
        return await leases.release(lease_id)

    @app.post("/heal")
    async def heal() -> Removal:
        return await leases.heal()

    @app.put("/no-harm")
    async def stop_harm() -> Removal:
        return await leases.stop_harm()

    @app.delete("/no-harm")
    async def allow_harm() -> None:
        await leases.allow_harm()

    @app.get("/no-harm")
    async def is_harm_stopped() -> bool:
        return await leases.is_harm_stopped()


def _add_edges(app: FastAPI, leases: Leases) -> None:
    @app.get("/leases/{lease_id}/edges")
    async def leased_edges(lease_id: str) -> LeasedEdges:
        return await leases.leased_edges(lease_id)

    @app.post("/leases/{lease_id}/edges/{edge}/dice")
    async def roll_again(lease_id: str, edge: str) -> LeaseStatus:
        return await leases.roll_again(lease_id, edge)

    @app.get("/edges")
    async def edges() -> dict[str, EdgeState]:
        return dict(await leases.edges())

    @app.get("/shop")
    async def shop() -> ShopState:
        return await leases.shop()

    @app.get("/healthz")
    async def healthz(response: Response) -> dict[str, str]:
        if leases.is_ready:
            return {"status": "ok"}
        response.status_code = 503
        return {"status": "removing what an earlier warden left"}


def serve(
    leases: Leases,
    host: str,
    port: int,
    names: Sequence[str] = own_pages.NAMES,
    told: str | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then leave a clean shop behind, if there is time.

    Exits with an error, before it looks at any lease, where the port is taken: a
    second warden would end the lease of the first.
    """
    config = uvicorn.Config(
        create_app(leases, names, told),
        host=host,
        port=port,
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[config.bind_socket()])
