"""The Collector's own settings: another file on top of its configuration, read again on SIGHUP."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.errors import LeaseError, WaitTimeout
from lab.ports.services import Services, ServiceState
from lab.settings import CHECKOUT
from lab.shop.collector import COLLECTOR, SAMPLING

if TYPE_CHECKING:
    from lab.settings import Settings

ON_ITS_WAY_S: Final = 0.6
"""Services and Collector send a batch every 0.2 s; what was ended has passed after that."""

DECIDED_S: Final = 6.0
"""A sampler holds each trace back for 5 s (``deploy/otelcol/tail-sampling.yaml``)."""

_READ_AGAIN_S: Final = 10.0
_TAIL: Final = CHECKOUT / "deploy" / "otelcol" / "tail-sampling.yaml"
_NOTHING: Final = "{}\n"


def variant_file(settings: Settings) -> Path:
    """What the Collector reads on top of its configuration."""
    return settings.run_dir / "collector-variant.yaml"


def reset(settings: Settings) -> None:
    """Let a Collector that starts have nothing on top."""
    variant_file(settings).write_text(_NOTHING, encoding="utf-8")


class CollectorVariant:
    """The Collector of the local stack as one more service whose settings may change.

    ``pid`` tells its process. No process restarts: it drains its pipelines and builds them
    anew, within some hundredths of a second, while the load pauses.
    """

    def __init__(self, settings: Settings, pid: Callable[[], Awaitable[int | None]]) -> None:
        self._file = variant_file(settings)
        self._health = settings.url("otelcol_health")
        self._pid = pid

    async def state(self) -> ServiceState:
        """As its file says; healthy where it answers."""
        is_tail = self._file.is_file() and self._file.read_text(encoding="utf-8") != _NOTHING
        overlay = {SAMPLING: "tail"} if is_tail else {}
        healthy = await self._up_since() is not None
        pid = await self._pid()
        return ServiceState(COLLECTOR, pid, healthy, restarts=0, spans_ended=0, overlay=overlay)

    async def configure(self, overlay: Mapping[str, str]) -> None:
        """Run with ``overlay``; LeaseError if it does not come back with it."""
        before = await self.state()
        if before.overlay == overlay:
            return
        # Nothing of what was sent so far may be judged by the other rule.
        await asyncio.sleep(DECIDED_S if before.overlay else ON_ITS_WAY_S)
        is_tail = overlay.get(SAMPLING) == "tail"
        self._write(_TAIL.read_text(encoding="utf-8") if is_tail else _NOTHING)
        await self._read_again(before.pid)

    def _write(self, text: str) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self._file)

    async def _read_again(self, pid: int | None) -> None:
        # The warden must be up at once, and most leases never come here.
        from lab.adapters.stack.readiness import until_ready

        since = await self._up_since()

        async def anew() -> str | None:
            now = await self._up_since()
            return None if now not in {None, since} else "still as before"

        try:
            if pid is None:
                raise LeaseError("expected the Collector to run, found no process of it; `lab up`")
            os.kill(pid, signal.SIGHUP)
            await until_ready("the Collector to read its file", anew, deadline_s=_READ_AGAIN_S)
        except (ProcessLookupError, WaitTimeout) as error:
            raise LeaseError(
                f"expected the Collector to run with {self._file.name}, found: {error}; its log "
                "is in .lab/log/otelcol.log"
            ) from error

    async def _up_since(self) -> str | None:
        """When its pipelines were built, in its own words; None where it does not answer."""
        import httpx

        from lab.adapters import loopback

        async with loopback.client() as client:
            try:
                answer = await client.get(self._health)
                return str(answer.json()["upSince"]) if answer.is_success else None
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                return None


class ShopAndCollector:
    """`Services`: the shop's, and the Collector beside them."""

    def __init__(self, shop: Services, collector: CollectorVariant) -> None:
        self._shop = shop
        self._collector = collector

    @property
    def can_configure(self) -> bool:
        """As the shop's keeper has it."""
        return self._shop.can_configure

    async def states(self) -> Mapping[str, ServiceState]:
        """Every service by name, and the Collector."""
        shop, collector = await asyncio.gather(self._shop.states(), self._collector.state())
        return {**shop, COLLECTOR: collector}

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        """Run ``service`` with ``overlay``; LeaseError if it fails."""
        if service == COLLECTOR:
            await self._collector.configure(overlay)
        else:
            await self._shop.configure(service, overlay)
