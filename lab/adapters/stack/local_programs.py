"""What supervisord runs for the local stack: commands, environment, generated configuration."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.adapters.stack import collector_config, collector_variant, postgres
from lab.adapters.stack.supervisor import Program
from lab.settings import CHECKOUT, Settings
from lab.shop.keeper import secret
from lab.shop.keeper.own_pages import NAMES
from lab.shop.topology import DATABASES, EDGES, HOST

# Who uses others stops before them. Spans are on their way for some tenths of a second, so the
# services go first, then what carries their calls and telemetry, then what keeps data.
_USERS, _CARRIERS, _KEEPERS = 40, 30, 10
_QUERIES_BY_POST: Final = ("query", "query_range", "query_exemplars", "labels", "series")
TEMPO_NICENESS: Final = 10
"""A tenth of the share that a service of the shop gets where both want a processor."""

# Relative to the run folder, where both ends run: the path of a socket may have some 100 bytes.
_DOORS: Final = "doors.json"
_TEMPO_SOCKET: Final = "tempo.sock"
_LOKI_SOCKET: Final = "loki.sock"
_OTLP_SOCKET: Final = "otlp.sock"
_JAEGER_SOCKET: Final = "jaeger.sock"
_SIGNALS: Final = ("traces", "metrics", "logs")

TEMPO_PATHS: Final = (
    *("GET /api/", "GET /ready", "GET /metrics", "GET /status"),
    # Grafana streams the finds of a search by gRPC, on the same port.
    "POST /tempopb.StreamingQuerier/",
)
"""What may be asked of Tempo, as patterns of the door's."""


_NOT_INHERITED: Final = (
    *("DATADOG_", "DD_", "JAEGER_", "LAB_", "LOKI_", "OTEL_", "OTELCOL_", "PG", "PROMETHEUS_"),
    *("SHOP_", "TEMPO_"),
)


def programs(settings: Settings, binaries: Mapping[str, Path]) -> tuple[Program, ...]:
    """Every program; ``binaries`` has the path of each tool by its name."""
    shop = (
        *(sys.executable, "-m", "lab.shop", "parent"),
        *("--port-offset", str(settings.port_offset), "--log-dir", str(settings.log_dir)),
        *("--secret-file", str(settings.secret_file)),
    )
    toxiproxy = (
        str(binaries["toxiproxy"]),
        *("-host", HOST, "-port", str(settings.port("toxiproxy"))),
        *("-config", str(proxies_file(settings)), "-secret-file", str(settings.secret_file)),
    )
    door = (str(binaries["door"]), "-config", _DOORS)
    collector = _behind_a_door(
        _OTLP_SOCKET,
        *(str(binaries["otelcol"]), *collector_config.options(settings)),
        *("--config", str(collector_variant.variant_file(settings))),
    )
    warden = (sys.executable, "-m", "lab.warden")
    desk = (sys.executable, "-m", "lab.desk")
    own_server = () if settings.postgres_dsn else (_postgres(settings),)
    found = (
        *own_server,
        Program("toxiproxy", toxiproxy, _CARRIERS, grace_s=2),
        Program("door", door, _CARRIERS, grace_s=1, directory=settings.run_dir),
        *((_tempo(settings, binaries),) if settings.store == "tempo" else ()),
        *((_jaeger(settings, binaries),) if settings.runs_jaeger else ()),
        *(_stores(settings, binaries) if settings.signals == "full" else ()),
        Program(
            *("otelcol", collector, _CARRIERS),
            grace_s=2,
            environment=_memory("150MiB"),
            directory=settings.run_dir,
        ),
        Program("warden", warden, _USERS, grace_s=3),
        Program("shop", shop, _USERS, grace_s=5),
        # Pages are made by many threads, and each would keep a heap of its own.
        Program("desk", desk, _USERS, grace_s=2, environment=(("MALLOC_ARENA_MAX", "2"),)),
    )
    return tuple(map(_without_keys, found))


def environment(settings: Settings) -> dict[str, str]:
    """What supervisord and with it every program inherits.

    A shell's own ``OTEL_*`` and ``PG*`` would redirect telemetry and connections
    of the lab, so they stay outside.
    """
    # A proxy of the user's own must not stand between the parts of the lab.
    straight = ",".join((HOST, "localhost", *collector_config.no_proxy_for(settings)))
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }
    return {
        **inherited,
        **_lab_environment(settings),
        **_shop_environment(settings),
        **_tempo_environment(settings),
        **_jaeger_environment(settings),
        **_stores_environment(settings),
        **_collector_environment(settings),
        "PYTHONUNBUFFERED": "1",
        # Whatever the locale, paths in the configuration are read as they were written.
        "PYTHONUTF8": "1",
        "NO_PROXY": straight,
        "no_proxy": straight,
    }


def proxies_file(settings: Settings) -> Path:
    """Where Toxiproxy reads its proxies from at its start."""
    return settings.run_dir / "proxies.json"


def proxies(settings: Settings) -> list[dict[str, object]]:
    """Toxiproxy's start configuration: one proxy an edge, in front of the callee's real port."""
    server = postgres.server_of(settings)
    return [
        {
            "name": edge.name,
            "listen": f"{HOST}:{settings.port(edge.name)}",
            "upstream": f"{server.host}:{server.port}"
            if edge.callee in DATABASES
            else f"{HOST}:{settings.port(edge.callee)}",
            "enabled": True,
        }
        for edge in EDGES
    ]


def doors_file(settings: Settings) -> Path:
    """Where the doors' configuration is read from."""
    return settings.run_dir / _DOORS


def doors(settings: Settings) -> list[dict[str, object]]:
    """What may be asked of the stores by HTTP, and where each is behind its door.

    Whatever is not listed, as Tempo's ``/shutdown`` and ``/flush``, nobody reaches by a port.
    """

    def door(name: str, to: str, *allow: str, origins: Sequence[str] = ()) -> dict[str, object]:
        listen = f"{HOST}:{settings.port(name)}"
        return {"listen": listen, "to": to, "allow": allow, "origins": origins}

    socket = _socket(settings, _TEMPO_SOCKET, "tempo_http")
    inside = f"http://{HOST}:{settings.port('jaeger_inside')}/{_prefix('jaeger', settings)}"
    tempo = door("tempo_http", f"unix:{socket}", *TEMPO_PATHS)
    jaeger = door("jaeger", inside, "GET /api/")
    collector = door(
        *("otelcol_otlp_http", f"unix:{_OTLP_SOCKET}"),
        *(f"{method} /v1/{signal}" for signal in _SIGNALS for method in ("POST", "OPTIONS")),
        origins=_storefront_origins(settings),
    )
    doors = [tempo] if settings.store == "tempo" else []
    doors += [jaeger] if settings.runs_jaeger else []
    if settings.signals != "full":
        return [*doors, collector]
    inside = f"http://{HOST}:{settings.port('prometheus_inside')}/{_prefix('prometheus', settings)}"
    prometheus = door(
        *("prometheus", inside, "GET /api/v1/", "GET /-/ready", "GET /-/healthy", "GET /metrics"),
        *(f"POST /api/v1/{query}" for query in _QUERIES_BY_POST),
        # What the Collector and Tempo bring.
        *("POST /api/v1/otlp/v1/metrics", "POST /api/v1/write"),
    )
    loki = door(
        *("loki", f"unix:{_socket(settings, _LOKI_SOCKET, 'loki')}"),
        *("GET /loki/api/v1/", "GET /ready", "GET /metrics", "POST /otlp/v1/logs"),
    )
    return [*doors, collector, prometheus, loki]


def _storefront_origins(settings: Settings) -> list[str]:
    """Of the shop's own page, which sends its spans by itself."""
    return [f"http://{name}:{settings.port('gateway')}" for name in NAMES]


def _socket(settings: Settings, name: str, port: str) -> str:
    """As Grafana's programs write it: they put their port behind whatever they listen on."""
    return f"{name}:{settings.port(port)}"


def _behind_a_door(socket: str, *command: str) -> tuple[str, ...]:
    """``command``, without the socket that one which was killed left: nobody could listen on it."""
    return (sys.executable, "-m", "lab.adapters.stack.fresh_socket", socket, *command)


def _prefix(store: str, settings: Settings) -> str:
    """The path below which a store answers; made of the secret, so nobody can guess it."""
    told = secret.read(settings.secret_file) or ""
    return hashlib.sha256(f"{store} {told}".encode()).hexdigest()[:32]


def _postgres(settings: Settings) -> Program:
    command = postgres.LocalPostgres(settings).command()
    # SIGINT is its fast shutdown: it ends sessions and writes everything.
    return Program("postgres", command, _KEEPERS, stop_signal="INT", grace_s=3)


def _tempo(settings: Settings, binaries: Mapping[str, Path]) -> Program:
    tempo = _behind_a_door(
        _socket(settings, _TEMPO_SOCKET, "tempo_http"),
        # Finishing a block would keep one and a half processors busy for a minute, in the
        # middle of whatever is measured: it takes what shop and load leave over.
        *("nice", "-n", str(TEMPO_NICENESS)),
        *(str(binaries["tempo"]), "-config.expand-env=true"),
        f"-config.file={_deployed('tempo/tempo.yaml')}",
    )
    # Its own way to stop takes minutes; what it wrote to its log is read again at the start.
    return Program(
        *("tempo", tempo, _KEEPERS),
        grace_s=1,
        environment=_memory("350MiB"),
        directory=settings.run_dir,
    )


def _jaeger(settings: Settings, binaries: Mapping[str, Path]) -> Program:
    jaeger = _behind_a_door(
        _socket(settings, _JAEGER_SOCKET, "jaeger"),
        *(str(binaries["jaeger"]), "--config", str(_deployed("jaeger/jaeger.yaml"))),
    )
    return Program(
        *("jaeger", jaeger, _KEEPERS),
        grace_s=2,
        environment=(
            *_memory("350MiB"),
            ("JAEGER_BASE_PATH", f"/{_prefix('jaeger', settings)}"),
        ),
        directory=settings.run_dir,
    )


def _stores(settings: Settings, binaries: Mapping[str, Path]) -> tuple[Program, ...]:
    """Prometheus and Loki; what was written is in their logs, so neither needs long to stop."""
    prometheus = (
        str(binaries["prometheus"]),
        f"--config.file={_deployed('prometheus/prometheus.yaml')}",
        f"--storage.tsdb.path={settings.data_dir / 'prometheus'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={HOST}:{settings.port('prometheus_inside')}",
        f"--web.route-prefix=/{_prefix('prometheus', settings)}",
        "--web.cors.origin=-",  # No page of any other origin may read what it answers.
        *("--web.enable-otlp-receiver", "--web.enable-remote-write-receiver"),
        *("--enable-feature=exemplar-storage", "--log.level=warn"),
    )
    loki = _behind_a_door(
        _socket(settings, _LOKI_SOCKET, "loki"),
        *(str(binaries["loki"]), "-config.expand-env=true"),
        f"-config.file={_deployed('loki/loki.yaml')}",
    )
    return (
        Program("prometheus", prometheus, _KEEPERS, grace_s=2, environment=_memory("120MiB")),
        Program(
            *("loki", loki, _KEEPERS),
            grace_s=2,
            environment=_memory("200MiB"),
            directory=settings.run_dir,
        ),
    )


def _without_keys(program: Program) -> Program:
    """A backend's key is the Collector's affair alone; what supervisord has, all would inherit."""
    if program.name == "otelcol":
        return program
    blank = tuple((name, "") for name in collector_config.DATADOG_VARIABLES)
    return replace(program, environment=(*program.environment, *blank))


def _memory(soft_limit: str) -> tuple[tuple[str, str], ...]:
    """Have Go collect garbage before it asks for more; by default it lets the heap double."""
    return (("GOMEMLIMIT", soft_limit),)


def _deployed(name: str) -> Path:
    return CHECKOUT / "deploy" / name


def _in_yaml(path: Path) -> str:
    """``path`` as it stands between double quotes: Tempo and Loki put it in before they parse."""
    return json.dumps(str(path), ensure_ascii=False)[1:-1]


def _lab_environment(settings: Settings) -> dict[str, str]:
    values = settings.model_dump(mode="json", exclude_none=True)
    return {f"LAB_{name.upper()}": str(value) for name, value in values.items()}


def _shop_environment(settings: Settings) -> dict[str, str]:
    server = postgres.server_of(settings)
    return {
        "PGUSER": server.user,
        "PGPASSWORD": server.password,
        "OTEL_EXPORTER_OTLP_PROTOCOL": settings.otlp_protocol,
        "OTEL_PROPAGATORS": settings.propagators,
    }


def _tempo_environment(settings: Settings) -> dict[str, str]:
    return {
        "TEMPO_HOST": HOST,
        "TEMPO_HTTP_NETWORK": "unix",
        "TEMPO_HTTP_HOST": _TEMPO_SOCKET,
        "TEMPO_HTTP_PORT": str(settings.port("tempo_http")),
        "TEMPO_GRPC_PORT": str(settings.port("tempo_grpc")),
        "TEMPO_OTLP_GRPC": f"{HOST}:{settings.port('tempo_otlp_grpc')}",
        "TEMPO_MEMBERLIST_PORT": str(settings.port("tempo_memberlist")),
        "TEMPO_DATA_DIR": _in_yaml(settings.data_dir / "tempo"),
        **(_generator_environment(settings) if settings.signals == "full" else {}),
    }


def _jaeger_environment(settings: Settings) -> dict[str, str]:
    own = f"{HOST}:{settings.port('jaeger_otlp_grpc')}"
    return {
        # What the Collector sends to, too.
        "JAEGER_OTLP_GRPC": own if settings.runs_jaeger else settings.jaeger_otlp_grpc or own,
        "JAEGER_QUERY": f"{HOST}:{settings.port('jaeger_inside')}",
        "JAEGER_QUERY_SOCKET": _socket(settings, _JAEGER_SOCKET, "jaeger"),
        # The Collector in it also expands what it has put in.
        "JAEGER_PAGES": str(_deployed("jaeger/pages")).replace("$", "$$"),
        "JAEGER_HEALTH": f"{HOST}:{settings.port('jaeger_health')}",
        "JAEGER_METRICS_HOST": HOST,
        "JAEGER_METRICS_PORT": str(settings.port("jaeger_metrics")),
    }


def _generator_environment(settings: Settings) -> dict[str, str]:
    return {
        "TEMPO_GENERATOR_DIR": _in_yaml(settings.data_dir / "tempo" / "generator"),
        "TEMPO_GENERATOR_PROCESSORS": "[service-graphs, span-metrics, local-blocks]",
        "TEMPO_REMOTE_WRITE": f"{settings.url('prometheus')}/api/v1/write",
    }


def _stores_environment(settings: Settings) -> dict[str, str]:
    return {
        "LOKI_HOST": HOST,
        "LOKI_HTTP_NETWORK": "unix",
        "LOKI_HTTP_HOST": _LOKI_SOCKET,
        "LOKI_HTTP_PORT": str(settings.port("loki")),
        "LOKI_GRPC_PORT": str(settings.port("loki_grpc")),
        "LOKI_DATA_DIR": _in_yaml(settings.data_dir / "loki"),
        # What the Collector sends to.
        "LOKI_URL": settings.url("loki"),
        "PROMETHEUS_URL": settings.url("prometheus"),
    }


def _collector_environment(settings: Settings) -> dict[str, str]:
    return {
        "OTELCOL_OTLP_GRPC": f"{HOST}:{settings.port('otelcol_otlp_grpc')}",
        "OTELCOL_OTLP_HTTP_TRANSPORT": "unix",
        "OTELCOL_OTLP_HTTP": _OTLP_SOCKET,
        "OTELCOL_STOREFRONT_ORIGINS": json.dumps(_storefront_origins(settings)),
        "OTELCOL_HEALTH": f"{HOST}:{settings.port('otelcol_health')}",
        "OTELCOL_METRICS_HOST": HOST,
        "OTELCOL_METRICS_PORT": str(settings.port("otelcol_metrics")),
        # The Collector also expands what it has put in.
        "OTELCOL_SIGNALS_DIR": str(settings.log_dir).replace("$", "$$"),
        **collector_config.datadog_environment(settings, os.environ),
    }
