"""The single table of services, databases, edges and ports.

Proxies, environments, the supervisor's file and diagrams derive from it. An
edge is written ``<caller>-<callee>`` (``auth-users_db``) and every edge but the
shopper's own passes through a Toxiproxy proxy of that name, so that hurting an
edge never needs a line of service code.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow of the call graph, from the side that opens the connection."""

    caller: str
    callee: str

    @property
    def name(self) -> str:
        """The name of the edge and of its proxy: ``<caller>-<callee>``."""
        return f"{self.caller}-{self.callee}"

    @property
    def is_database(self) -> bool:
        """Whether Postgres listens at the far end."""
        return self.callee in DATABASES


SERVICES: Final = ("gateway", "auth", "catalog", "checkout", "payments", "bank", "notifier")
"""The seven services, in the order in which they are listed everywhere."""

DATABASES: Final = MappingProxyType(
    {"users_db": "users", "catalog_db": "catalog", "orders_db": "orders", "ledger_db": "ledger"}
)
"""Callee name of each database → its name inside Postgres."""

EDGES: Final = (
    Edge("gateway", "auth"),
    Edge("gateway", "catalog"),
    Edge("gateway", "checkout"),
    Edge("auth", "users_db"),
    Edge("catalog", "catalog_db"),
    Edge("checkout", "catalog"),
    Edge("checkout", "payments"),
    Edge("checkout", "orders_db"),
    Edge("payments", "ledger_db"),
    Edge("payments", "bank"),
    Edge("notifier", "orders_db"),
    Edge("auditor", "ledger_db"),
)
"""Every proxied edge. The auditor is an actor, not a service: it has an edge and no port."""

_PARTS: Final = (
    "postgres",
    "toxiproxy",
    "tempo_http",
    "tempo_grpc",
    "tempo_otlp_grpc",
    "prometheus_inside",
    "tempo_memberlist",
    "otelcol_otlp_grpc",
    "otelcol_otlp_http",
    "otelcol_health",
    "otelcol_metrics",
    "shop_control",
    "warden",
    "desk",
    "locust_web",
    "locust_master",
    "grafana",
    "prometheus",
    "loki",
    "supervisor",
    "loki_grpc",
    "jaeger",
    "jaeger_inside",
    "jaeger_otlp_grpc",
    "jaeger_health",
    "jaeger_metrics",
)

_FIRST_PORT: Final = 18100
_FIRST_PROXY_PORT: Final = 18140

PORTS: Final = MappingProxyType(
    {
        **{name: _FIRST_PORT + n for n, name in enumerate(SERVICES)},
        **{name: _FIRST_PORT + 10 + n for n, name in enumerate(_PARTS)},
        **{edge.name: _FIRST_PROXY_PORT + n for n, edge in enumerate(EDGES)},
    }
)
"""Service, part or edge → its port on 127.0.0.1 before ``LAB_PORT_OFFSET`` is added.

All of them lie in 18100–18199, so an offset that is a multiple of 100 never
collides with another checkout's.
"""


def edges_of(caller: str) -> tuple[Edge, ...]:
    """Every edge that ``caller`` opens."""
    return tuple(edge for edge in EDGES if edge.caller == caller)


def edge_named(name: str) -> Edge:
    """The edge called ``name``; ``KeyError`` when the table has none."""
    for edge in EDGES:
        if edge.name == name:
            return edge
    raise KeyError(name)


def host_name(part: str) -> str:
    """What ``part`` is called where parts have host names: no underscore, DNS has none.

    For a callee that is the name of its proxies, so that no span of a caller's has another.
    """
    return part.replace("_", "-")


def own_host(service: str) -> str:
    """The host of ``service`` itself, past its proxies, where parts have host names."""
    return f"shop-{service}"


def port(name: str, offset: int = 0) -> int:
    """The port of a service, part or edge, moved by ``LAB_PORT_OFFSET``."""
    return PORTS[name] + offset


def url(name: str, offset: int = 0) -> str:
    """``http://127.0.0.1:<port>`` of a service, part or edge."""
    return f"http://{HOST}:{port(name, offset)}"
