"""The parts of the local stack: what each needs, and how it proves to be ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

import httpx

from lab.adapters.stack import postgres
from lab.adapters.stack.readiness import Probe, answers, holds_proxies, responds
from lab.frozen import dataclass
from lab.settings import Settings
from lab.shop.keeper import secret
from lab.shop.topology import EDGES, SERVICES


@dataclass(frozen=True, slots=True)
class Part:
    """Something that must be ready.

    ``program`` is the supervised program it lives and dies with: its own
    (``starts`` is true), or its keeper's, as the services' is the shop's
    parent; None for a user's own PostgreSQL. ``ports`` are names in the
    topology, the one shown to people first; ``behind`` is the port of its door, which is
    the one to show of a part that has one. ``finish`` runs whenever ``probe``
    was satisfied at a start, and must be idempotent. A part that ``may_be_by_hand`` is
    not started where somebody serves it already.
    """

    name: str
    probe: Probe
    program: str | None
    starts: bool = True
    ports: tuple[str, ...] = ()
    behind: str | None = None
    needs: tuple[str, ...] = ()
    finish: Callable[[], Awaitable[None]] | None = None
    deadline_s: float = 60.0  # For a machine that is busy; a part that dies is noticed at once.
    may_be_by_hand: bool = False

    @property
    def shown_port(self) -> str | None:
        """The name of the port that people are told."""
        return self.behind or next(iter(self.ports), None)


def local_parts(
    settings: Settings, client: httpx.AsyncClient, *, first_start: bool = False
) -> tuple[Part, ...]:
    """Every part, in the order in which they are listed for people.

    Services wait for their databases by themselves, so the shop starts beside
    everything else; only at a ``first_start`` it comes after the databases,
    else it would find them without tables.
    """
    return (
        _postgres(settings),
        _toxiproxy(settings, client),
        _door(settings, client),
        *((_tempo(settings, client),) if settings.store == "tempo" else ()),
        *((_jaeger(settings, client),) if settings.runs_jaeger else ()),
        *(_stores(settings, client) if settings.signals == "full" else ()),
        _collector(settings, client),
        _warden(settings, client),
        _shop(settings, client, first_start=first_start),
        *(_service(settings, client, name) for name in SERVICES),
        _desk(settings, client),
    )


async def left_to_others(parts: tuple[Part, ...], supervised: Collection[str]) -> tuple[Part, ...]:
    """The parts, those not to be started that somebody serves by hand.

    ``supervised`` are the programs that run under this stack's own supervisor.
    """
    found = []
    for part in parts:
        by_hand = (
            part.may_be_by_hand and part.program not in supervised and await part.probe() is None
        )
        found.append(replace(part, starts=False) if by_hand else part)
    return tuple(found)


def _postgres(settings: Settings) -> Part:
    server = postgres.server_of(settings)

    async def finish() -> None:
        await postgres.prepare_databases(server)

    own = settings.postgres_dsn is None
    return Part(
        "postgres",
        postgres.accepts(server),
        program="postgres" if own else None,
        starts=own,
        ports=("postgres",) if own else (),
        finish=finish,
        deadline_s=60.0 if own else 5.0,  # After a crash, ours replays its log first.
    )


def _toxiproxy(settings: Settings, client: httpx.AsyncClient) -> Part:
    names = tuple(edge.name for edge in EDGES)
    return Part(
        "toxiproxy",
        holds_proxies(
            *(client, settings.url("toxiproxy"), frozenset(names)),
            lambda: secret.headers(settings.secret_file),
        ),
        program="toxiproxy",
        ports=("toxiproxy", *names),
    )


def _door(settings: Settings, client: httpx.AsyncClient) -> Part:
    """What stands before Collector and stores; whether somebody is behind it, they are asked."""
    stores = [settings.store_address]
    stores += ["jaeger"] if settings.runs_jaeger and settings.store != "jaeger" else []
    stores += ["prometheus", "loki"] if settings.signals == "full" else []
    return Part(
        "door",
        responds(client, settings.url(settings.store_address)),
        program="door",
        ports=("otelcol_otlp_http", *stores),
    )


def _tempo(settings: Settings, client: httpx.AsyncClient) -> Part:
    return Part(
        "tempo",
        answers(client, f"{settings.url('tempo_http')}/ready"),
        program="tempo",
        ports=("tempo_grpc", "tempo_otlp_grpc", "tempo_memberlist"),
        behind="tempo_http",
        deadline_s=60.0,  # After a kill, it reads its log first.
    )


def _jaeger(settings: Settings, client: httpx.AsyncClient) -> Part:
    return Part(
        "jaeger",
        answers(client, f"{settings.url('jaeger_health')}/status"),
        program="jaeger",
        ports=("jaeger_inside", "jaeger_otlp_grpc", "jaeger_health", "jaeger_metrics"),
        behind="jaeger",
    )


def _stores(settings: Settings, client: httpx.AsyncClient) -> tuple[Part, ...]:
    """Where metrics and logs are kept."""
    return (
        Part(
            "prometheus",
            answers(client, f"{settings.url('prometheus')}/-/ready"),
            program="prometheus",
            ports=("prometheus_inside",),
            behind="prometheus",
        ),
        Part(
            "loki",
            answers(client, f"{settings.url('loki')}/ready"),
            program="loki",
            ports=("loki_grpc",),
            behind="loki",
        ),
    )


def _collector(settings: Settings, client: httpx.AsyncClient) -> Part:
    return Part(
        "otelcol",
        answers(client, settings.url("otelcol_health")),
        program="otelcol",
        ports=("otelcol_otlp_grpc", "otelcol_health", "otelcol_metrics"),
        behind="otelcol_otlp_http",
    )


def _warden(settings: Settings, client: httpx.AsyncClient) -> Part:
    return Part(
        "warden",
        answers(client, f"{settings.url('warden')}/healthz"),
        program="warden",
        ports=("warden",),
        needs=("toxiproxy",),  # At its start it takes away what was left on the edges.
    )


def _shop(settings: Settings, client: httpx.AsyncClient, *, first_start: bool) -> Part:
    return Part(
        "shop",
        # What its control port says of the services is asked of each service itself.
        responds(client, settings.url("shop_control")),
        program="shop",
        ports=("shop_control", *SERVICES),
        needs=("postgres",) if first_start else (),
    )


def _desk(settings: Settings, client: httpx.AsyncClient) -> Part:
    return Part(
        "desk",
        answers(client, f"{settings.url('desk')}/healthz"),
        program="desk",
        ports=("desk",),
        # Whoever practises while the tools are built has one open already.
        may_be_by_hand=True,
    )


def _service(settings: Settings, client: httpx.AsyncClient, name: str) -> Part:
    return Part(
        name,
        answers(client, f"{settings.url(name)}/healthz"),
        program="shop",
        starts=False,
        ports=(name,),
        needs=("shop", "postgres", "toxiproxy"),
        deadline_s=60.0,
    )
