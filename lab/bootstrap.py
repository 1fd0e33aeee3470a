"""The composition root: settings → adapters → use cases.

Whoever runs, reads or hurts a case gets its adapters here; only commands about the
machine itself or its files (doctor, tools, load, lint) call theirs directly. Nothing
connects at import, and imports stand inside the functions: ``lab --help`` should not pay
for ``lab run``.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from lab.settings import Settings

if TYPE_CHECKING:
    from lab.adapters.case_archive import FolderArchive
    from lab.adapters.clock import SystemClock
    from lab.adapters.stack_local import LocalStack
    from lab.domain.scenario import Scenario
    from lab.investigation.run_case import Lab


def scenarios(settings: Settings) -> dict[str, Scenario]:
    """Every scenario of this checkout by id; ScenarioError lists all that is wrong with any."""
    from lab import scenario_file

    return scenario_file.load_all(settings.scenarios_dir)


def local_stack(settings: Settings) -> LocalStack:
    """The real parts as processes of this machine."""
    from lab.adapters.stack_local import LocalStack

    return LocalStack(settings)


def archive(settings: Settings) -> FolderArchive:
    """The case folders of this checkout."""
    from lab.adapters.case_archive import FolderArchive

    return FolderArchive(settings.cases_dir, log_dir=settings.log_dir)


def clock() -> SystemClock:
    """The machine's own clock."""
    from lab.adapters.clock import SystemClock

    return SystemClock()


@contextlib.asynccontextmanager
async def lab(settings: Settings) -> AsyncIterator[Lab]:
    """Everything a run needs, connected for as long as the context lasts."""
    from lab.adapters.locust_load import LocustLoad
    from lab.adapters.machine import ThisMachine
    from lab.adapters.tempo import TempoStore
    from lab.adapters.warden_client import WardenClient
    from lab.investigation.run_case import Lab

    async with (
        TempoStore(settings.url("tempo_http")) as store,
        WardenClient(settings.url("warden")) as warden,
    ):
        yield Lab(
            stack=local_stack(settings),
            warden=warden,
            store=store,
            load=LocustLoad(
                gateway_url=settings.url("gateway"),
                otlp_endpoint=settings.url(
                    "otelcol_otlp_grpc" if settings.otlp_protocol == "grpc" else "otelcol_otlp_http"
                ),
                otlp_protocol=settings.otlp_protocol,
            ),
            archive=archive(settings),
            clock=clock(),
            machine=ThisMachine(),
        )


def serve_warden(settings: Settings) -> None:
    """Be the warden's process until told to stop."""
    from lab.adapters.shop_control import ShopControl
    from lab.adapters.toxiproxy import ToxiproxyInjector
    from lab.shop.topology import EDGES, HOST
    from lab.warden.app import serve
    from lab.warden.assembly import assemble

    async def restart_toxiproxy() -> None:
        # Rarely needed, and its imports would double the time in which the warden is up.
        await local_stack(settings).restart_part("toxiproxy")

    leases = assemble(
        injector=ToxiproxyInjector(HOST, settings.port("toxiproxy")),
        services=ShopControl(settings.url("shop_control")),
        restart=restart_toxiproxy,
        edge_ports={edge.name: settings.port(edge.name) for edge in EDGES},
        clock=clock(),
        run_dir=settings.run_dir,
        log_dir=settings.log_dir,
    )
    serve(leases, HOST, settings.port("warden"))
