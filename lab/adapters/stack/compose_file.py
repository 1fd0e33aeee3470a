"""What the compose file starts, and what it is told of this checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from lab.adapters.stack.local_programs import TEMPO_PATHS
from lab.settings import CHECKOUT, Settings
from lab.shop.keeper import secret
from lab.shop.keeper.environment import ANYWHERE
from lab.shop.topology import EDGES, PORTS, SERVICES, own_host

FOLDER: Final = CHECKOUT / "deploy" / "compose"
FILE: Final = FOLDER / "compose.yaml"
TAGS: Final = FOLDER / ".env"

PUBLISHED: Final[Mapping[str, str]] = {
    "shop-gateway": "gateway",
    "warden": "warden",
    "door": "tempo_http",
    "otelcol": "otelcol_otlp_http",
    "grafana": "grafana",
    "desk": "desk",
    "locust": "locust_web",
}
"""Service of the compose file → the port of its that is shown; 127.0.0.1 has it as on any stack."""

_ALSO_PUBLISHED: Final = ("otelcol_metrics",)  # Without it nobody could say that no span is lost.
_PART_OF: Final = {own_host(service): service for service in SERVICES}


def part_of(service: str) -> str:
    """What the lab calls a service of the compose file: ``shop-auth`` is ``auth``."""
    return _PART_OF.get(service, service)


def published_ports() -> tuple[str, ...]:
    """The ports in the topology that 127.0.0.1 has of the containers."""
    return (*PUBLISHED.values(), *_ALSO_PUBLISHED)


def doors() -> list[dict[str, object]]:
    """The door's configuration where parts have host names; ``deploy/door/doors.json`` holds it."""
    port = PORTS["tempo_http"]
    return [{"listen": f"{ANYWHERE}:{port}", "to": f"http://tempo:{port}", "allow": [*TEMPO_PATHS]}]


def proxies() -> list[dict[str, object]]:
    """Toxiproxy's start configuration where parts have host names.

    ``deploy/toxiproxy/proxies.json`` holds it, for compose and Kubernetes alike.
    """
    return [
        {
            "name": edge.name,
            "listen": f"{ANYWHERE}:{PORTS[edge.name]}",
            "upstream": "postgres:5432"
            if edge.is_database
            else f"{own_host(edge.callee)}:{PORTS[edge.callee]}",
            "enabled": True,
        }
        for edge in EDGES
    ]


def read() -> Mapping[str, Any]:
    """The compose file as it stands, variables and all."""
    with FILE.open(encoding="utf-8") as file:
        document: Mapping[str, Any] = YAML(typ="safe").load(file)
    return document


def lasting(document: Mapping[str, Any], profiles: frozenset[str]) -> tuple[str, ...]:
    """The services that are to be up, in the file's order: all but those of other profiles."""
    return tuple(
        name
        for name, service in document["services"].items()
        if not service.get("profiles") or profiles & set(service["profiles"])
    )


def profiles(settings: Settings) -> frozenset[str]:
    """The profiles that the settings switch on."""
    return frozenset() if settings.backend is None else frozenset({settings.backend})


def tags() -> dict[str, str]:
    """The pinned images: part → tag, from the one file that has them."""
    found = {}
    for line in TAGS.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.endswith("_IMAGE"):
            image, _, tag = value.rpartition(":")
            found[image.rpartition("/")[2]] = tag
    return found


def project(settings: Settings) -> str:
    """The name under which an engine knows the containers of this checkout."""
    return f"deadspan-{settings.port_offset}"


def variables(settings: Settings, *, root_is_user: bool) -> dict[str, str]:
    """What interpolation needs beside the tags: who writes to ``.lab``, where, on which ports."""
    user, group = (0, 0) if root_is_user else (os.getuid(), os.getgid())
    return {
        **os.environ,
        "COMPOSE_PROFILES": ",".join(sorted(profiles(settings))),
        "BACKEND": settings.backend or "tempo",
        "LAB_UID": str(user),
        "LAB_GID": str(group),
        "LAB_STATE_DIR": str(settings.state_dir.resolve()),
        secret.VARIABLE: secret.read(settings.secret_file) or "",
        "OTEL_EXPORTER_OTLP_PROTOCOL": settings.otlp_protocol,
        "OTEL_PROPAGATORS": settings.propagators,
        **{f"LAB_{name.upper()}_PORT": str(settings.port(name)) for name in published_ports()},
    }


def folders(settings: Settings) -> tuple[Path, ...]:
    """What is mounted out of ``.lab``; an engine would make them, and as root."""
    return (settings.log_dir, settings.run_dir, settings.cases_dir)
