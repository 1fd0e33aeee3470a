"""The composition root: settings → adapters → use cases.

Whoever runs, reads or hurts a case gets its adapters here; only commands about the
machine itself or its files (doctor, tools, load, lint) call theirs directly. Nothing
connects at import, and imports stand inside the functions: ``lab --help`` should not pay
for ``lab run``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lab.settings import Settings
from lab.shop.keeper import secret
from lab.shop.topology import HOST

if TYPE_CHECKING:
    from lab.adapters.cases.archive import FolderArchive
    from lab.adapters.clock import SystemClock
    from lab.adapters.harm_mark import HarmMarkFile
    from lab.adapters.jaeger import JaegerStore
    from lab.adapters.stack.compose import ComposeStack
    from lab.adapters.stack.grafana import GrafanaAnnotations
    from lab.adapters.stack.local import LocalStack
    from lab.adapters.tempo import TempoStore
    from lab.adapters.warden_client import WardenClient
    from lab.domain.scenario import Scenario
    from lab.investigation.running.lever import Lever
    from lab.investigation.running.run_case import Lab
    from lab.ports.services import Services
    from lab.ports.stack import Stack


def scenarios(settings: Settings) -> dict[str, Scenario]:
    """Every scenario of this checkout by id; ScenarioError lists all that is wrong with any."""
    from lab import scenario_file

    return scenario_file.load_all(settings.scenarios_dir)


def stack(settings: Settings) -> Stack:
    """The victims and what watches them, where ``STACK`` says."""
    if settings.stack == "compose":
        return compose_stack(settings)
    if settings.stack == "external":
        from lab.adapters.stack.external import ExternalStack

        return ExternalStack(settings)
    return local_stack(settings)


def grafana_path(settings: Settings, scenario_id: str) -> str | None:
    """How to go about a scenario in Grafana, as Markdown; None where there is no such text."""
    from lab import scenario_file

    return scenario_file.grafana_path(settings.scenarios_dir / scenario_id)


def local_stack(settings: Settings) -> LocalStack:
    """The real parts as processes of this machine."""
    from lab.adapters.stack.local import LocalStack

    return LocalStack(settings)


def compose_stack(settings: Settings) -> ComposeStack:
    """The real parts as containers of this machine."""
    from lab.adapters.stack.compose import ComposeStack

    return ComposeStack(settings)


def archive(settings: Settings) -> FolderArchive:
    """The case folders of this checkout; logs only of a stack that writes them here."""
    from lab.adapters.cases.archive import FolderArchive

    log_dir = None if settings.stack == "external" else settings.log_dir
    return FolderArchive(settings.cases_dir, log_dir=log_dir)


def trace_store(settings: Settings) -> TempoStore | JaegerStore:
    """As ``STORE`` says; of a Tempo that may be others' too, the Collector counts our spans."""
    from lab.adapters import loopback
    from lab.adapters.jaeger import JaegerStore
    from lab.adapters.stack import collector_metrics
    from lab.adapters.tempo import TempoStore

    if settings.store == "jaeger":
        return JaegerStore(settings.url("jaeger"), settings.url("jaeger_metrics"))
    if settings.stack != "external":
        return TempoStore(settings.url("tempo_http"))

    async def received() -> int:
        async with loopback.client() as client:
            return await collector_metrics.spans_stored(client, settings.url("otelcol_metrics"))

    return TempoStore(settings.url("tempo_http"), received=received)


def searches_beyond(settings: Settings, scenario: Scenario) -> str:
    """A search of ``scenario`` that only Tempo can do, where there is none; empty otherwise."""
    from lab.adapters import traceql
    from lab.domain.record import Source
    from lab.errors import NeedsTraceQL

    if settings.store == "tempo":
        return ""
    queries = scenario.observation.records.values()
    searches = [query.what for query in queries if query.source is Source.TRACES]
    for search in (*(join.search for join in scenario.truth.joins), *searches):
        try:
            traceql.read(search)
        except NeedsTraceQL as error:
            return error.part
    return ""


def stack_answers(settings: Settings) -> bool:
    """Whether a stack seems to be up: something listens where its warden would."""
    from lab.adapters.stack.readiness import port_is_free
    from lab.shop.topology import HOST

    return not port_is_free(HOST, settings.port("warden"))


def search_live(
    settings: Settings, query: str, start_s: float, end_s: float
) -> frozenset[str] | None:
    """The traces for which TraceQL holds in the running Tempo; None where none runs."""
    import asyncio

    if settings.store != "tempo" or not stack_answers(settings):
        return None

    async def ask() -> frozenset[str]:
        async with trace_store(settings) as store:
            return await store.search(query, start_s=start_s, end_s=end_s)

    return asyncio.run(ask())


def run_at_work(settings: Settings) -> str | None:
    """Who runs a case in this checkout just now; None where nobody does."""
    from lab.adapters.cases import run_lock

    return run_lock.run_at_work(settings.run_dir)


def clock() -> SystemClock:
    """The machine's own clock."""
    from lab.adapters.clock import SystemClock

    return SystemClock()


def grafana_annotations(settings: Settings) -> GrafanaAnnotations:
    """Where a Grafana of this checkout shows a case's stretches of time, if one runs."""
    from lab.adapters.stack.grafana import GrafanaAnnotations

    return GrafanaAnnotations(settings.url("grafana"))


def harm_mark(settings: Settings) -> HarmMarkFile | None:
    """The safety lever on disk; None where the warden has a disk of its own."""
    from lab.adapters.harm_mark import HarmMarkFile

    return HarmMarkFile(settings.state_dir) if settings.stack == "local" else None


@contextlib.asynccontextmanager
async def lever(settings: Settings) -> AsyncIterator[Lever]:
    """The safety lever, by the warden's HTTP and, where it shares this disk, by that too."""
    from lab.investigation.running.lever import Lever

    async with warden_client(settings) as warden:
        yield Lever(warden, harm_mark(settings))


def warden_client(settings: Settings) -> WardenClient:
    """The warden of this checkout, or the one that a setting names."""
    from lab.adapters.warden_client import WardenClient

    return WardenClient(settings.url("warden"), headers=secret.headers(settings.secret_file))


@contextlib.asynccontextmanager
async def lab(settings: Settings) -> AsyncIterator[Lab]:
    """Everything a run needs, connected for as long as the context lasts."""
    from lab.adapters.locust_load import LocustLoad
    from lab.adapters.machine import ThisMachine
    from lab.adapters.stack.record_files import RecordFiles
    from lab.investigation.running.run_case import Lab

    # The containers' Collector is reached by HTTP alone, however services send to it.
    otlp_protocol = "http/protobuf" if settings.stack == "compose" else settings.otlp_protocol
    async with trace_store(settings) as store, warden_client(settings) as warden:
        yield Lab(
            stack=stack(settings),
            warden=warden,
            store=store,
            load=LocustLoad(
                gateway_url=settings.url("gateway"),
                otlp_endpoint=settings.url(
                    "otelcol_otlp_grpc" if otlp_protocol == "grpc" else "otelcol_otlp_http"
                ),
                otlp_protocol=otlp_protocol,
                carried_by=settings.propagators,
                jobs_environment=_jobs_environment(settings),
                workers=settings.load_workers,
                master_port=settings.port("locust_master"),
            ),
            archive=archive(settings),
            clock=clock(),
            machine=ThisMachine(_own_processes(settings)),
            records=RecordFiles(settings.log_dir),
        )


def _own_processes(settings: Settings) -> Callable[[], tuple[int, ...]] | None:
    """The roots of all that the lab runs here; None where a part of it runs elsewhere.

    In containers, and in a database server of the user's own, nobody knows whose work it is.
    """
    if settings.stack != "local" or settings.postgres_dsn:
        return None
    from lab.adapters.stack.supervisor import daemon_pid

    def roots() -> tuple[int, ...]:
        daemon = daemon_pid(settings.run_dir)
        return (os.getpid(),) if daemon is None else (os.getpid(), daemon)

    return roots


def shop_services(settings: Settings) -> Services:
    """The shop's keeper, or one for each service, or only a look at their health."""
    if settings.shop_health_url is not None:
        from lab.adapters.stack.shop_services import WatchedServices

        return WatchedServices(settings.shop_health_url)
    if settings.shop_control_url is not None:
        from lab.adapters.stack.shop_services import SeparateKeepers

        return SeparateKeepers(settings.shop_control_url)
    from lab.adapters.stack.collector_variant import CollectorVariant, ShopAndCollector
    from lab.adapters.stack.shop_control import ShopControl

    headers = secret.headers(settings.secret_file)
    shop = ShopControl(settings.url("shop_control"), headers=headers)

    async def collector() -> int | None:
        # Rarely needed, and its imports would double the time in which the warden is up.
        return await local_stack(settings).pid_of("otelcol")

    return ShopAndCollector(shop, CollectorVariant(settings, collector))


def _jobs_environment(settings: Settings) -> dict[str, str]:
    """Where the auditor finds its database, through its own edge, and the Collector."""
    from lab.adapters.stack.postgres import server_of
    from lab.shop.keeper.environment import service_environment

    server = server_of(settings)
    return service_environment(
        "auditor",
        offset=settings.port_offset,
        otlp_protocol=settings.otlp_protocol,
        postgres_user=server.user,
        postgres_password=server.password,
    )


def serve_warden(settings: Settings) -> None:
    """Be the warden's process until told to stop."""
    from lab.adapters.harm_mark import HarmMarkFile
    from lab.adapters.stack import local_programs
    from lab.adapters.toxiproxy import ProxyAddress, ToxiproxyInjector
    from lab.errors import InjectorError
    from lab.shop.topology import EDGES
    from lab.warden.app import serve
    from lab.warden.assembly import assemble

    async def restart_toxiproxy() -> None:
        if settings.toxiproxy_url is not None:
            raise InjectorError(
                "expected Toxiproxy's control API to answer, found it hung, and the warden of a "
                "container cannot restart its neighbour: restart that container"
            )
        # Rarely needed, and its imports would double the time in which the warden is up.
        await local_stack(settings).restart_part("toxiproxy")

    toxiproxy = urlsplit(settings.url("toxiproxy"))
    host, port = toxiproxy.hostname or HOST, toxiproxy.port or 80
    proxies = {
        str(proxy["name"]): ProxyAddress(str(proxy["listen"]), str(proxy["upstream"]))
        for proxy in (local_programs.proxies(settings) if settings.stack == "local" else ())
    }
    leases = assemble(
        injector=ToxiproxyInjector(
            *(host, port), headers=secret.headers(settings.secret_file), proxies=proxies
        ),
        services=shop_services(settings),
        restart=restart_toxiproxy,
        edge_ports={edge.name: settings.port(edge.name) for edge in EDGES},
        edge_host=host,
        clock=clock(),
        mark=HarmMarkFile(settings.state_dir),
        run_dir=settings.run_dir,
        log_dir=settings.log_dir,
    )
    serve(
        leases,
        settings.listen_host,
        settings.port("warden"),
        settings.own_names,
        secret.read(settings.secret_file) or os.environ.get(secret.VARIABLE),
    )
