"""What hurts and heals single edges: Toxiproxy, behind its control API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lab.domain.fault import Fault
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class EdgeState:
    """What Toxiproxy really has on an edge right now.

    ``strange`` says how its proxy differs from the topology: none of the lab's made it,
    or somebody has it listen or lead elsewhere. Empty where it is as it should be.
    """

    edge: str
    enabled: bool
    toxics: tuple[Fault, ...]
    strange: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether traffic passes it unharmed, and it is the lab's own."""
        return self.enabled and not self.toxics and not self.strange

    def __str__(self) -> str:
        """For people: ``auth-users_db down``, or each toxic in its own words."""
        down = () if self.enabled else (str(Fault(self.edge, None)),)
        strange = (f"{self.edge}: {self.strange}",) if self.strange else ()
        return ", ".join((*strange, *down, *map(str, self.toxics))) or f"{self.edge} clean"

    def shows(self, fault: Fault) -> bool:
        """Whether ``fault`` is here, be it with other attributes than were asked for."""
        if fault.is_down:
            return not self.enabled
        return any(toxic.toxic_name == fault.toxic_name for toxic in self.toxics)


class Injector(Protocol):
    """Harm on edges; used by the warden alone. Every call is bounded in time."""

    async def edges(self) -> Mapping[str, EdgeState]:
        """Read every edge as it is, and every proxy that is none of the shop's."""
        ...

    async def apply(self, fault: Fault) -> None:
        """Put ``fault`` on its edge and read it back; InjectorError if it is not there."""
        ...

    async def remove(self, fault: Fault) -> None:
        """Take ``fault`` off, if it is there, and read that back."""
        ...

    async def reset(self) -> None:
        """Take every toxic off, enable every edge, and remove what is none of the shop's."""
        ...
