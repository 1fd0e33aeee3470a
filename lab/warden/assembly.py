"""The warden's parts put together, so that the composition root names only adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from lab.ports.clock import Clock
from lab.ports.injector import Injector
from lab.ports.services import Services
from lab.ports.warden import HarmMark
from lab.shop.topology import HOST
from lab.warden.applying import Applier
from lab.warden.diary import JournalFile
from lab.warden.leases import Leases
from lab.warden.probe import EdgeProbe
from lab.warden.removing import Remover
from lab.warden.storage import LeaseFile


def assemble(
    *,
    injector: Injector,
    services: Services,
    restart: Callable[[], Awaitable[None]],
    edge_ports: Mapping[str, int],
    clock: Clock,
    mark: HarmMark,
    run_dir: Path,
    log_dir: Path,
    edge_host: str = HOST,
) -> Leases:
    """The warden of one stack: lease in ``<run_dir>/lease.json``, diary in ``<log_dir>``.

    ``restart`` asks for a new Toxiproxy and need not wait for it; ``edge_ports``
    and ``edge_host`` say where each edge's proxy listens.
    """
    journal = JournalFile(log_dir / "warden.jsonl", clock)
    return Leases(
        applier=Applier(injector, services, clock, journal),
        remover=Remover(
            injector=injector,
            services=services,
            probe=EdgeProbe(edge_ports, edge_host),
            restart=restart,
            clock=clock,
            journal=journal,
        ),
        storage=LeaseFile(run_dir / "lease.json"),
        mark=mark,
        clock=clock,
        journal=journal,
    )
