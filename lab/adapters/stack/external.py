"""A stack that somebody else runs: looked at over its addresses, never started or stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import httpx

from lab.adapters import loopback
from lab.adapters.cases.own_versions import own_versions
from lab.adapters.stack import collector_metrics
from lab.adapters.stack.readiness import Probe, answers, until_ready
from lab.adapters.warden_client import WardenClient
from lab.domain.instrumentation import Instrumentation
from lab.errors import LabError, StackNotReady, UsageError, WaitTimeout
from lab.ports.services import ShopState
from lab.ports.stack import PartStatus, StackCounters
from lab.settings import Settings
from lab.shop.keeper import secret
from lab.shop.topology import SERVICES

_READY_WITHIN_S: Final = 10.0
_LOOK_DEADLINE_S: Final = 3.0
"""Further away than loopback, and the warden asks every service before it answers."""

_DOOR: Final = SERVICES[0]
_ADDRESS: Final = MappingProxyType({"tempo": "tempo_http", "otelcol": "otelcol_otlp_http"})
"""Part → whose address is shown of it, where the names differ."""


class ExternalStack:
    """`Stack` over five addresses; what stands behind them is not the lab's to touch.

    Services are seen through the warden, which is near them. ``restarts`` counts only
    theirs: of other parts nobody here can tell.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def _headers(self) -> Mapping[str, str]:
        """Looked up each time: whoever starts the stack may only just have made the secret."""
        return secret.headers(self._settings.secret_file)

    async def up(self) -> AsyncIterator[PartStatus]:
        """Wait until all answer; yields each, ready. StackNotReady names what does not."""
        seen: tuple[PartStatus, ...] = ()

        async def missing() -> str | None:
            nonlocal seen
            seen = await self.status()
            down = [f"{part.name}: {part.detail}" for part in seen if not part.is_ready]
            return "; ".join(down) or None

        try:
            await until_ready(
                "every part of the stack elsewhere to answer", missing, deadline_s=_READY_WITHIN_S
            )
        except WaitTimeout as timeout:
            raise StackNotReady(
                f"{timeout}. STACK=external starts nothing: start it where it runs, or correct "
                "the addresses (LAB_GATEWAY_URL, LAB_WARDEN_URL, LAB_TEMPO_URL, "
                "LAB_COLLECTOR_URL, LAB_COLLECTOR_METRICS_URL)"
            ) from timeout
        for part in seen:
            yield part

    async def down(self) -> None:
        """Stop nothing: whoever started it stops it."""

    async def status(self) -> tuple[PartStatus, ...]:
        """Ask every part for its readiness, all at once."""
        async with loopback.client() as client:
            looks = self._probes(client)
            seen, shop, edges = await asyncio.gather(
                asyncio.gather(*(_look(probe) for probe in looks.values())),
                self._shop(),
                self._edges(),
            )
        found = dict(zip(looks, seen, strict=True))
        door = found.pop(_DOOR)
        services = [_service(name, shop) for name in SERVICES]
        if door is not None:  # Load comes in here, whatever the warden sees from inside.
            services[0] = PartStatus(_DOOR, "down", None, None, door)
        return (
            PartStatus("toxiproxy", "down" if edges else "ready", None, None, edges or ""),
            *(self._part(name, saw) for name, saw in found.items()),
            *services,
        )

    async def counters(self) -> StackCounters:
        """What can be counted from here; StackNotReady if one cannot be read."""
        async with (
            WardenClient(self._settings.url("warden"), headers=self._headers) as warden,
            loopback.client() as client,
        ):
            shop, dropped = await asyncio.gather(
                warden.shop(),
                collector_metrics.spans_dropped(client, self._settings.url("otelcol_metrics")),
            )
        return StackCounters(
            spans_ended={name: state.spans_ended for name, state in shop.services.items()},
            restarts={name: state.restarts for name, state in shop.services.items()},
            collector_dropped=dropped,
        )

    async def instrument(self, level: Instrumentation) -> None:
        """Refuse every level but *full*, which is what a shop has that nobody changed."""
        if level is not Instrumentation.FULL:
            raise UsageError(
                f"expected a stack of this machine for --instrumentation {level}, found "
                "STACK=external, whose services are not the lab's to restart"
            )

    def versions(self) -> Mapping[str, str]:
        """The lab's own; what runs elsewhere does not say its version."""
        return own_versions()

    def _probes(self, client: httpx.AsyncClient) -> dict[str, Probe]:
        url = self._settings.url

        async def collector() -> str | None:
            try:
                await collector_metrics.spans_dropped(client, url("otelcol_metrics"))
            except LabError as error:
                return str(error)
            return None

        return {
            "tempo": answers(client, f"{url('tempo_http')}/ready"),
            "otelcol": collector,
            "warden": answers(client, f"{url('warden')}/healthz"),
            _DOOR: answers(client, f"{url('gateway')}/healthz"),
        }

    def _part(self, name: str, saw: str | None) -> PartStatus:
        port = urlsplit(self._settings.url(_ADDRESS.get(name, name))).port
        return PartStatus(name, "down" if saw else "ready", None, port, saw or "")

    async def _shop(self) -> ShopState | str:
        try:
            async with WardenClient(self._settings.url("warden"), headers=self._headers) as warden:
                return await warden.shop()
        except LabError as error:
            return str(error)

    async def _edges(self) -> str | None:
        """What is wrong with Toxiproxy as the warden sees it; None where it answers."""
        try:
            async with WardenClient(self._settings.url("warden"), headers=self._headers) as warden:
                await warden.edges()
        except LabError as error:
            return str(error)
        return None


def _service(name: str, shop: ShopState | str) -> PartStatus:
    if isinstance(shop, str):
        return PartStatus(name, "down", None, None, shop)
    state = shop.services.get(name)
    if state is None:
        return PartStatus(name, "down", None, None, "the warden does not know it")
    return PartStatus(name, "ready" if state.healthy else "starting", None, None)


async def _look(probe: Probe) -> str | None:
    try:
        async with asyncio.timeout(_LOOK_DEADLINE_S):
            return await probe()
    except TimeoutError:
        return f"no answer within {_LOOK_DEADLINE_S:g} s"
