"""What a user may set, all of it by environment variables that start with ``LAB_``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lab.shop import topology
from lab.shop.keeper import own_pages
from lab.shop.propagators import BAGGAGE, CARRIERS, USUAL

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds ``lab/``, ``scenarios/`` and ``deploy/``."""

Signals = Literal["traces", "full"]
Backend = Literal["jaeger", "datadog"]
Store = Literal["tempo", "jaeger"]


def _base_url(text: str) -> str:
    """``text`` if it is one, without a slash at its end: paths are put behind it."""
    from pydantic import HttpUrl  # A twentieth of a command that reads; hardly any asks for it.

    TypeAdapter(HttpUrl).validate_python(text.replace("{port}", "1"))
    return text.rstrip("/")


def _nameable(folder: Path) -> Path:
    """``folder`` if its name can stand in the configuration of every part."""
    if _UNNAMEABLE.search(str(folder)):
        raise PydanticCustomError("unnameable", "a folder's name in UTF-8, all of it printable")
    return folder


def _carrying(text: str) -> str:
    """``text`` if all of it is known and some of it carries a trace, without blanks."""
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= {*CARRIERS, BAGGAGE} or not set(names) & set(CARRIERS):
        raise PydanticCustomError(
            "no_carrier",
            "one or more of {carriers}, with commas, and `baggage` beside them; without one of "
            "them every service would begin a trace of its own, and nothing could be proven",
            {"carriers": ", ".join(CARRIERS)},
        )
    return ",".join(names)


Url = Annotated[str, AfterValidator(_base_url)]
Propagators = Annotated[str, AfterValidator(_carrying)]
Folder = Annotated[Path, AfterValidator(_nameable)]

_UNNAMEABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_SET_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gateway": "gateway_url",
        "warden": "warden_url",
        "tempo_http": "tempo_url",
        "otelcol_otlp_http": "collector_url",
        "otelcol_otlp_grpc": "collector_url",
        "otelcol_metrics": "collector_metrics_url",
        "toxiproxy": "toxiproxy_url",
        "shop_control": "shop_control_url",
    }
)
"""Part in the topology → the setting that says it is elsewhere."""

_EXTERNAL_NEEDS: Final = (
    "gateway_url",
    "warden_url",
    "tempo_url",
    "collector_url",
    "collector_metrics_url",
)


class Settings(BaseModel):
    """Read once, in `bootstrap`, and handed to whoever needs it.

    Without `pydantic-settings`, which imports asyncio and more: a tenth of the work of a
    command that only reads.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True)

    stack: Literal["local", "compose", "external"] = Field(
        "local",
        description="Where the parts run: as processes of this machine, as containers of it, "
        "or wherever the addresses below say.",
        validation_alias=AliasChoices("LAB_STACK", "STACK"),
    )
    gateway_url: Url | None = Field(None, description="STACK=external: the shop's front door.")
    warden_url: Url | None = Field(None, description="STACK=external: the warden.")
    tempo_url: Url | None = Field(None, description="STACK=external: Tempo's HTTP API.")
    collector_url: Url | None = Field(
        None, description="STACK=external: where the Collector takes OTLP, without a path."
    )
    collector_metrics_url: Url | None = Field(
        None, description="STACK=external: where the Collector tells of itself, without a path."
    )
    listen_host: str = Field(
        topology.HOST, description="In a container: what the warden and the desk listen on."
    )
    known_as: str = Field(
        "", description="In a container: names the warden may be called by, with commas."
    )
    toxiproxy_url: Url | None = Field(
        None, description="In a container: Toxiproxy's control API, on whose host the proxies are."
    )
    shop_control_url: Url | None = Field(
        None,
        description="In a container: where services are kept; {service} stands for a name.",
    )
    shop_health_url: Url | None = Field(
        None,
        description="In place of shop_control_url where nobody can restart a service with other "
        "settings: where each tells its health; {port} stands for its port.",
    )
    control_secret_file: Path | None = Field(
        None,
        description="STACK=external: the file with the secret that the warden asks for, if any.",
    )
    port_offset: int = Field(
        0,
        ge=0,
        le=14500,
        description="Added to every port of the lab; beyond this, Linux gives ports to clients.",
    )
    state_dir: Folder = Field(
        CHECKOUT / ".lab",
        validate_default=True,
        description="Run, log, data and case folders.",
    )
    cache_dir: Path = Field(
        Path(platformdirs.user_cache_dir("deadspan", appauthor=False)),
        description="Built tools, shared by all checkouts of one user.",
    )
    scenarios_dir: Path = CHECKOUT / "scenarios"
    signals: Signals = Field(
        "traces", description="`full` adds Prometheus and Loki, with metrics and logs in them."
    )
    backend: Backend | None = Field(
        None,
        description="A second store of traces beside Tempo, by the Collector's configuration.",
        validation_alias=AliasChoices("LAB_BACKEND", "BACKEND"),
    )
    jaeger_otlp_grpc: str | None = Field(
        None,
        description="host:port of a Jaeger of your own that BACKEND=jaeger sends to; without it, "
        "the local stack runs one.",
    )
    store: Store = Field(
        "tempo",
        description="Where the lab keeps its traces and takes evidence from: `jaeger` runs the "
        "local stack without Tempo.",
        validation_alias=AliasChoices("LAB_STORE", "STORE"),
    )
    datadog_intake_url: Url | None = Field(
        None,
        description="Where BACKEND=datadog sends to in place of DD_SITE: an intake of your own "
        "that takes Datadog's format.",
    )
    tools_from: Path | None = Field(
        None,
        description="A folder with built tools, such as `lab tools --pack` writes; what it lacks "
        "is built.",
    )
    toxiproxy_bin: Path | None = None
    door_bin: Path | None = None
    tempo_bin: Path | None = None
    jaeger_bin: Path | None = None
    otelcol_bin: Path | None = None
    prometheus_bin: Path | None = None
    promtool_bin: Path | None = None
    loki_bin: Path | None = None
    grafana_home: Path | None = Field(
        None, description="An unpacked official archive of Grafana, for `lab grafana`."
    )
    postgres_dsn: str | None = Field(
        None,
        description="A Postgres of your own in place of the local one: "
        "postgresql://user:password@127.0.0.1:5432/postgres. It is given four databases.",
    )
    load_workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes that share a run's load, as workers of Locust; 0: one does all.",
    )
    otlp_protocol: Literal["http/protobuf", "grpc"] = Field(
        "http/protobuf",
        description="How services and actors send their telemetry.",
        validation_alias=AliasChoices("LAB_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
    )

    propagators: Propagators = Field(
        USUAL,
        description="In which headers services and actors carry a trace on: tracecontext, b3, "
        "b3multi or jaeger, and baggage; several with commas.",
        validation_alias=AliasChoices("LAB_PROPAGATORS", "OTEL_PROPAGATORS"),
    )

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Add what the environment says of all that is not ``given``."""
        # Set to nothing is not set: an empty path would be the folder one happens to stand in.
        said = {name.upper(): text for name, text in os.environ.items() if text}
        found = {
            setting: said[variable]
            for setting in cls.model_fields
            for variable in reversed(variables(setting))
            if variable in said
        }
        return found | given

    @cached_property
    def run_dir(self) -> Path:
        """Pids, sockets, generated configuration, leases."""
        return self.state_dir / "run"

    @cached_property
    def secret_file(self) -> Path | None:
        """Where the secret is that warden, keeper and Toxiproxy ask for; None where none is known.

        Of containers, only the warden asks: the others are in a network of their own.
        """
        own = self.run_dir / "control.secret"
        return self.control_secret_file or (own if self.stack != "external" else None)

    @cached_property
    def log_dir(self) -> Path:
        """One file a part, and the Collector's masked copy of all signals."""
        return self.state_dir / "log"

    @cached_property
    def data_dir(self) -> Path:
        """Postgres' cluster and Tempo's blocks; survives `down` and `up`."""
        return self.state_dir / "data"

    @cached_property
    def cases_dir(self) -> Path:
        """One folder a case, enough to solve and grade it with the stack down."""
        return self.state_dir / "cases"

    @model_validator(mode="after")
    def _external_is_somewhere(self) -> Self:
        """Refuse ``STACK=external`` without all of its addresses, and name those that lack."""
        if self.stack == "external":
            lacking = [f"LAB_{name.upper()}" for name in _EXTERNAL_NEEDS if not getattr(self, name)]
            if lacking:
                raise PydanticCustomError(
                    "addresses_lacking",
                    "{names} beside STACK=external, which starts nothing and has to be told where "
                    "all is",
                    {"names": ", ".join(lacking)},
                )
        return self

    @model_validator(mode="after")
    def _store_stands_alone(self) -> Self:
        """Refuse what has Tempo in it beside ``STORE=jaeger``, which has none."""
        if self.store == "jaeger":
            beside = {
                "STACK=local": self.stack != "local" and f"STACK={self.stack}",
                "no BACKEND": self.backend and f"BACKEND={self.backend}",
                "LAB_SIGNALS=traces": self.signals != "traces" and f"LAB_SIGNALS={self.signals}",
            }
            for expected, found in beside.items():
                if found:
                    raise PydanticCustomError(
                        "store_alone",
                        "{expected} beside STORE=jaeger, found {found}; unset one of them",
                        {"expected": expected, "found": found},
                    )
        return self

    @property
    def runs_jaeger(self) -> bool:
        """Whether the local stack has a Jaeger of its own."""
        beside_tempo = self.backend == "jaeger" and self.jaeger_otlp_grpc is None
        return self.stack == "local" and (self.store == "jaeger" or beside_tempo)

    @property
    def store_address(self) -> str:
        """The port where the store of the lab's traces is asked, by its name."""
        return "jaeger" if self.store == "jaeger" else "tempo_http"

    @cached_property
    def own_names(self) -> tuple[str, ...]:
        """What the lab's own pages may be called by."""
        return (*own_pages.NAMES, *filter(None, self.known_as.split(",")))

    def port(self, name: str) -> int:
        """The port of a service, part or edge in this checkout."""
        return topology.port(name, self.port_offset)

    def url(self, name: str) -> str:
        """``http://127.0.0.1:<port>`` of a service, part or edge, unless a setting says other."""
        return (_SET_BY.get(name) and getattr(self, _SET_BY[name])) or topology.url(
            name, self.port_offset
        )


def variables(setting: str) -> tuple[str, ...]:
    """The variables that say what ``setting`` is; of several that are set, the first counts."""
    alias = Settings.model_fields[setting].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(map(str, alias.choices))
    return (f"LAB_{setting.upper()}",)
