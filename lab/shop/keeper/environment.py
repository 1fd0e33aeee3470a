"""The full environment of one service, from the topology.

One table of ``OTEL_*`` values serves forked services, services under
``opentelemetry-instrument`` and containers alike. The SDK's own defaults are
made for long-lived deployments: a batch every 5 s and metrics every minute
would outlast a whole case.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import quote

from lab.shop import propagators, topology
from lab.shop.collector import COLLECTOR, SETTING
from lab.shop.settings import SETTINGS

OtlpProtocol = Literal["http/protobuf", "grpc"]

SHOP_VERSION: Final = "1.0.0"

OTEL: Final = MappingProxyType(
    {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_PROPAGATORS": propagators.USUAL,
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        # `database` alone is ignored unless `http` is asked for as well.
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "16384",
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        # FastAPI makes its own server spans, and none where the contrib package is at work. No
        # service uses httpx2; where something else brings it, each would import it to patch it.
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "fastapi,httpx2",
        "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "healthz",
    }
)
"""What every service has in common; times in milliseconds."""

LEVELS: Final = MappingProxyType(
    {
        "none": {"OTEL_TRACES_SAMPLER": "always_off"},
        # As most guides show it: what the contrib packages do, and not a line of one's own.
        "auto": {
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx2",
            "OTEL_PYTHON_TRACER_CONFIGURATOR": "libraries_only",
        },
        "full": {},
    }
)
"""How much the shop writes down: what the whole of it is given over `OTEL`."""

ANYWHERE: Final = "0.0.0.0"  # noqa: S104 -- of a container, whose networks say who gets in
"""What a service listens on where it has a network of its own."""

OTEL_CONDITIONS: Final = frozenset(
    {name for name in OTEL if not name.startswith("OTEL_PYTHON_")} | {"OTEL_TRACES_SAMPLER_ARG"}
)
"""The ``OTEL_*`` variables that a deployment may change for one service."""

_PLACE: Final = frozenset({"host", "port", "database_dsn"})


def service_environment(
    service: str,
    *,
    offset: int = 0,
    otlp_protocol: OtlpProtocol = "http/protobuf",
    carried_by: str = propagators.USUAL,
    postgres_user: str = "shop",
    postgres_password: str = "",
    by_name: bool = False,
) -> dict[str, str]:
    """Everything ``service`` needs to know, to be added to a process's environment.

    Each callee, database or service, is addressed through the proxy of its
    edge: by its port on loopback or, ``by_name``, where every part has a host
    name (`topology.host_name`). ``service`` may also be the auditor, an actor
    that asks one of the shop's databases.
    """
    collector = "otelcol_otlp_grpc" if otlp_protocol == "grpc" else "otelcol_otlp_http"
    environment = {
        **OTEL,
        "OTEL_PROPAGATORS": carried_by,
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace=shop,service.version={SHOP_VERSION}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": otlp_protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": _url("otelcol", collector, offset, by_name),
        # A proxy of the user's own must not stand between the parts of the lab.
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "*" if by_name else "127.0.0.1,localhost"),
        "SHOP_HOST": ANYWHERE if by_name else topology.HOST,
    }
    if service == "gateway":
        # A browser speaks no gRPC, whatever the services speak.
        environment["SHOP_STOREFRONT_OTLP_URL"] = topology.url("otelcol_otlp_http", offset)
    if service in topology.SERVICES:
        environment["SHOP_PORT"] = str(topology.port(service, offset))
    for edge in topology.edges_of(service):
        if edge.is_database:
            environment["SHOP_DATABASE_DSN"] = _dsn(
                edge.callee,
                f"{_host(edge.callee, by_name)}:{topology.port(edge.name, offset)}",
                postgres_user,
                postgres_password,
            )
        else:
            environment[f"SHOP_{edge.callee.upper()}_URL"] = _url(
                edge.callee, edge.name, offset, by_name
            )
    return environment


def known_settings(service: str) -> frozenset[str]:
    """The condition names that ``service`` accepts: ``pool_size``, ``OTEL_PROPAGATORS``.

    ``KeyError`` when there is no such service. The Collector beside them has one.
    """
    if service == COLLECTOR:
        return frozenset({SETTING})
    fields = SETTINGS[service].model_fields
    own = {name for name in fields if name not in _PLACE and not name.endswith("_url")}
    return frozenset(own) | OTEL_CONDITIONS


def condition_environment(setting: str, value: object) -> tuple[str, str]:
    """One condition as an environment variable: ``pool_size, 2`` → ``SHOP_POOL_SIZE, "2"``.

    ``OTEL_*`` names stay as they are. YAML reads ``off`` as false; it is
    written ``off`` again, which switches an option off and lifts a limit.
    """
    name = setting if setting.startswith("OTEL_") else f"SHOP_{setting.upper()}"
    if isinstance(value, bool):
        return name, "on" if value else "off"
    return name, str(value)


def _host(part: str, by_name: bool) -> str:
    return topology.host_name(part) if by_name else topology.HOST


def _url(part: str, port_of: str, offset: int, by_name: bool) -> str:
    return f"http://{_host(part, by_name)}:{topology.port(port_of, offset)}"


def _dsn(callee: str, address: str, user: str, password: str) -> str:
    secret = f":{quote(password, safe='')}" if password else ""
    database = topology.DATABASES[callee]
    return f"postgresql://{quote(user, safe='')}{secret}@{address}/{database}"
