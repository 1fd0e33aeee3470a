"""Harm as data: what a lease puts on edges and into deployment settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

SettingValue = str | int | float | bool


class Toxic(StrEnum):
    """Toxiproxy's toxics."""

    LATENCY = "latency"
    BANDWIDTH = "bandwidth"
    SLOW_CLOSE = "slow_close"
    TIMEOUT = "timeout"
    RESET_PEER = "reset_peer"
    SLICER = "slicer"
    LIMIT_DATA = "limit_data"


TOXIC_ATTRIBUTES: Final[Mapping[Toxic, tuple[str, ...]]] = MappingProxyType(
    {
        Toxic.LATENCY: ("latency", "jitter"),
        Toxic.BANDWIDTH: ("rate",),
        Toxic.SLOW_CLOSE: ("delay",),
        Toxic.TIMEOUT: ("timeout",),
        Toxic.RESET_PEER: ("timeout",),
        Toxic.SLICER: ("average_size", "size_variation", "delay"),
        Toxic.LIMIT_DATA: ("bytes",),
    }
)
"""Every attribute a toxic knows; Toxiproxy takes a misspelt one as 0 without a word.

Units as on Toxiproxy's wire: ms, but slicer's ``delay`` µs, ``rate`` kB/s and
``bytes``, ``average_size``, ``size_variation`` bytes.
"""


class Stream(StrEnum):
    """The direction a toxic works in, seen from the caller: answers come downstream."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class Fault:
    """One toxic on one edge, or, with ``toxic`` None, the edge's proxy disabled (``down``)."""

    edge: str
    toxic: Toxic | None
    attributes: Mapping[str, int] = field(default_factory=dict)
    stream: Stream = Stream.DOWNSTREAM
    toxicity: float = 1.0

    @property
    def is_down(self) -> bool:
        """Whether the edge is cut altogether."""
        return self.toxic is None

    @property
    def toxic_name(self) -> str:
        """The name it gets inside Toxiproxy; one toxic of a kind and stream per edge."""
        return f"{self.toxic}_{self.stream}"


Conditions = Mapping[str, SettingValue]
"""``service.setting`` → value: deployment settings a case runs under.

``{"checkout.pool_size": 2, "payments.OTEL_PROPAGATORS": "none"}``: a name in upper
case is an environment variable as it stands, any other a setting of the service.
"""
