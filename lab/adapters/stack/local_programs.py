"""What supervisord runs for the local stack: commands, environment, generated configuration."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.adapters.stack import collector_config, collector_variant, postgres
from lab.adapters.stack.supervisor import Program
from lab.settings import CHECKOUT, Settings
from lab.shop.keeper.own_pages import NAMES
from lab.shop.topology import DATABASES, EDGES, HOST

# Who uses others stops before them. Spans are on their way for some tenths of a second, so the
# services go first, then what carries their calls and telemetry, then what keeps data.
_USERS, _CARRIERS, _KEEPERS = 40, 30, 10
TEMPO_NICENESS: Final = 10
"""A tenth of the share that a service of the shop gets where both want a processor."""

_NOT_INHERITED: Final = (
    *("LAB_", "LOKI_", "OTEL_", "OTELCOL_", "PG", "PROMETHEUS_", "SHOP_", "TEMPO_"),
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
        *("-config", str(proxies_file(settings))),
    )
    collector = (
        *(str(binaries["otelcol"]), *collector_config.options(settings)),
        *("--config", str(collector_variant.variant_file(settings))),
    )
    tempo = (
        # Finishing a block would keep one and a half processors busy for a minute, in the
        # middle of whatever is measured: it takes what shop and load leave over.
        *("nice", "-n", str(TEMPO_NICENESS)),
        *(str(binaries["tempo"]), "-config.expand-env=true"),
        f"-config.file={_deployed('tempo/tempo.yaml')}",
    )
    warden = (sys.executable, "-m", "lab.warden")
    desk = (sys.executable, "-m", "lab.desk")
    own_server = () if settings.postgres_dsn else (_postgres(settings),)
    return (
        *own_server,
        Program("toxiproxy", toxiproxy, _CARRIERS, grace_s=2),
        # Its own way to stop takes minutes; what it wrote to its log is read again at the start.
        Program("tempo", tempo, _KEEPERS, grace_s=1, environment=_memory("350MiB")),
        *(_stores(settings, binaries) if settings.signals == "full" else ()),
        Program("otelcol", collector, _CARRIERS, grace_s=2, environment=_memory("150MiB")),
        Program("warden", warden, _USERS, grace_s=3),
        Program("shop", shop, _USERS, grace_s=5),
        # Pages are made by many threads, and each would keep a heap of its own.
        Program("desk", desk, _USERS, grace_s=2, environment=(("MALLOC_ARENA_MAX", "2"),)),
    )


def environment(settings: Settings) -> dict[str, str]:
    """What supervisord and with it every program inherits.

    A shell's own ``OTEL_*`` and ``PG*`` would redirect telemetry and connections
    of the lab, so they stay outside.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }
    return {
        **inherited,
        **_lab_environment(settings),
        **_shop_environment(settings),
        **_tempo_environment(settings),
        **_stores_environment(settings),
        **_collector_environment(settings),
        "PYTHONUNBUFFERED": "1",
        # Whatever the locale, paths in the configuration are read as they were written.
        "PYTHONUTF8": "1",
        # A proxy of the user's own must not stand between the parts of the lab.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
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


def _postgres(settings: Settings) -> Program:
    command = postgres.LocalPostgres(settings).command()
    # SIGINT is its fast shutdown: it ends sessions and writes everything.
    return Program("postgres", command, _KEEPERS, stop_signal="INT", grace_s=3)


def _stores(settings: Settings, binaries: Mapping[str, Path]) -> tuple[Program, ...]:
    """Prometheus and Loki; what was written is in their logs, so neither needs long to stop."""
    prometheus = (
        str(binaries["prometheus"]),
        f"--config.file={_deployed('prometheus/prometheus.yaml')}",
        f"--storage.tsdb.path={settings.data_dir / 'prometheus'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={HOST}:{settings.port('prometheus')}",
        *("--web.enable-otlp-receiver", "--web.enable-remote-write-receiver"),
        *("--enable-feature=exemplar-storage", "--log.level=warn"),
    )
    loki = (
        *(str(binaries["loki"]), "-config.expand-env=true"),
        f"-config.file={_deployed('loki/loki.yaml')}",
    )
    return (
        Program("prometheus", prometheus, _KEEPERS, grace_s=2, environment=_memory("120MiB")),
        Program("loki", loki, _KEEPERS, grace_s=2, environment=_memory("200MiB")),
    )


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
    }


def _tempo_environment(settings: Settings) -> dict[str, str]:
    return {
        "TEMPO_HOST": HOST,
        "TEMPO_HTTP_PORT": str(settings.port("tempo_http")),
        "TEMPO_GRPC_PORT": str(settings.port("tempo_grpc")),
        "TEMPO_OTLP_GRPC": f"{HOST}:{settings.port('tempo_otlp_grpc')}",
        "TEMPO_OTLP_HTTP": f"{HOST}:{settings.port('tempo_otlp_http')}",
        "TEMPO_MEMBERLIST_PORT": str(settings.port("tempo_memberlist")),
        "TEMPO_DATA_DIR": _in_yaml(settings.data_dir / "tempo"),
        **(_generator_environment(settings) if settings.signals == "full" else {}),
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
        "OTELCOL_OTLP_HTTP": f"{HOST}:{settings.port('otelcol_otlp_http')}",
        "OTELCOL_STOREFRONT_ORIGINS": json.dumps(
            [f"http://{name}:{settings.port('gateway')}" for name in NAMES]
        ),
        "OTELCOL_HEALTH": f"{HOST}:{settings.port('otelcol_health')}",
        "OTELCOL_METRICS_HOST": HOST,
        "OTELCOL_METRICS_PORT": str(settings.port("otelcol_metrics")),
        # The Collector also expands what it has put in.
        "OTELCOL_SIGNALS_DIR": str(settings.log_dir).replace("$", "$$"),
        "JAEGER_OTLP_GRPC": settings.jaeger_otlp_grpc,
    }
