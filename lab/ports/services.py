"""The shop's services: how they are, and their deployment settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service of the shop as its keeper tells it.

    ``restarts`` counts the starts nobody asked for; ``overlay`` holds the
    variables laid over its defaults; ``spans_ended`` outlives a restart.
    """

    name: str
    pid: int | None
    healthy: bool
    restarts: int
    spans_ended: int
    overlay: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShopState:
    """Every service by name, and whether their settings can be changed from here at all."""

    services: Mapping[str, ServiceState]
    can_configure: bool


class Services(Protocol):
    """The shop's processes, one by one: how deployment settings change."""

    @property
    def can_configure(self) -> bool:
        """Whether `configure` can do anything; where not, a case with conditions cannot run."""
        ...

    async def states(self) -> Mapping[str, ServiceState]:
        """Every service by name."""
        ...

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        """Run ``service`` with these variables over its defaults; returns once it is ready.

        Restarts it only where the overlay differs from the one it runs with.
        """
        ...
