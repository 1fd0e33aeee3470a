"""What a user may set, all of it by environment variables that start with ``LAB_``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lab.shop import topology

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds ``lab/``, ``scenarios/`` and ``deploy/``."""


class Settings(BaseSettings):
    """Read once, in `bootstrap`, and handed to whoever needs it."""

    model_config = SettingsConfigDict(env_prefix="LAB_", frozen=True, extra="ignore")

    stack: Literal["local"] = "local"
    port_offset: int = Field(
        0,
        ge=0,
        le=14500,
        description="Added to every port of the lab; beyond this, Linux gives ports to clients.",
    )
    state_dir: Path = Field(CHECKOUT / ".lab", description="Run, log, data and case folders.")
    cache_dir: Path = Field(
        Path(platformdirs.user_cache_dir("deadspan", appauthor=False)),
        description="Built tools, shared by all checkouts of one user.",
    )
    scenarios_dir: Path = CHECKOUT / "scenarios"
    toxiproxy_bin: Path | None = None
    tempo_bin: Path | None = None
    otelcol_bin: Path | None = None
    postgres_dsn: str | None = Field(
        None,
        description="A Postgres of your own in place of the local one: "
        "postgresql://user:password@127.0.0.1:5432/postgres. It is given four databases.",
    )
    otlp_protocol: Literal["http/protobuf", "grpc"] = Field(
        "http/protobuf",
        description="How services and actors send their telemetry.",
        validation_alias=AliasChoices("LAB_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
    )

    @cached_property
    def run_dir(self) -> Path:
        """Pids, sockets, generated configuration, leases."""
        return self.state_dir / "run"

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

    def port(self, name: str) -> int:
        """The port of a service, part or edge in this checkout."""
        return topology.port(name, self.port_offset)

    def url(self, name: str) -> str:
        """``http://127.0.0.1:<port>`` of a service, part or edge in this checkout."""
        return topology.url(name, self.port_offset)
