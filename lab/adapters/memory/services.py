"""A shop whose services start at once and never fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lab.errors import LeaseError
from lab.ports.services import ServiceState


class MemoryServices:
    """`Services` without processes; ``restarted`` lists who was restarted, in order."""

    def __init__(self, names: Iterable[str], *, can_configure: bool = True) -> None:
        self.can_configure = can_configure
        self._states = {
            name: ServiceState(name, pid, healthy=True, restarts=0, spans_ended=0, overlay={})
            for pid, name in enumerate(names, start=1000)
        }
        self.restarted: list[str] = []

    async def states(self) -> Mapping[str, ServiceState]:
        """Every service by name."""
        return dict(self._states)

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        """Run ``service`` with ``overlay``; a restart only where that is a change."""
        if service not in self._states:
            raise LeaseError(f"expected a service of {sorted(self._states)}, found {service!r}")
        state = self._states[service]
        if state.overlay == overlay:
            return
        self.restarted.append(service)
        pid = 1000 + len(self._states) + len(self.restarted)
        self._states[service] = replace(state, pid=pid, overlay=dict(overlay))
