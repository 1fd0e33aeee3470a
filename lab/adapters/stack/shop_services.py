"""The shop's services where each runs by itself: kept one by one, or only looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from lab.adapters.stack.shop_control import ShopControl
from lab.errors import LeaseError, PartFailed, StackNotReady
from lab.ports.services import ServiceState
from lab.shop.topology import PORTS, SERVICES

_LOOK_S: Final = 2.0


def at(url: str, service: str) -> str:
    """``url`` with the service's name and port in place of ``{service}`` and ``{port}``."""
    return url.replace("{service}", service).replace("{port}", str(PORTS[service]))


class SeparateKeepers:
    """`Services` where every service has a keeper of its own, as in containers.

    ``url`` is a keeper's, with ``{service}`` for the name of its service.
    """

    can_configure: Final = True

    def __init__(self, url: str) -> None:
        self._keepers = {name: ShopControl(at(url, name)) for name in SERVICES}

    async def states(self) -> Mapping[str, ServiceState]:
        """Every service by name; StackNotReady where one keeper does not answer."""
        told = await asyncio.gather(*(keeper.states() for keeper in self._keepers.values()))
        return {name: state for states in told for name, state in states.items()}

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        """Run ``service`` with ``overlay``; LeaseError if it fails."""
        if service not in self._keepers:
            raise LeaseError(f"expected a service of {list(self._keepers)}, found {service!r}")
        await self._keepers[service].configure(service, overlay)


class WatchedServices:
    """`Services` where another system restarts them, and none is given other settings.

    ``url`` is where a service tells its health, with ``{service}`` for its name and
    ``{port}`` for its port. How often it was restarted nobody says: its count of spans
    then starts anew, and the balance of a run tells.
    """

    can_configure: Final = False

    def __init__(self, url: str) -> None:
        self._urls = {name: at(url, name) for name in SERVICES}

    async def states(self) -> Mapping[str, ServiceState]:
        """Every service by name; StackNotReady where one does not answer."""
        async with httpx.AsyncClient(trust_env=False, timeout=_LOOK_S) as client:
            looks = (_look(client, name, url) for name, url in self._urls.items())
            told = await asyncio.gather(*looks)
        return {state.name: state for state in told}

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        """Nothing where nothing is asked for; else LeaseError."""
        if overlay:
            raise LeaseError(
                f"expected to restart {service} with other settings, found that another system "
                "keeps the shop; run this case where the lab keeps it: STACK=local or compose"
            )


async def _look(client: httpx.AsyncClient, name: str, url: str) -> ServiceState:
    try:
        answer = await client.get(url)
    except httpx.HTTPError as error:
        raise StackNotReady(f"expected {name} to answer at {url}, found {error!r}") from error
    try:
        spans_ended = int(answer.json()["spans_ended"])
    except (KeyError, TypeError, ValueError) as error:
        raise PartFailed(
            f"expected {name}'s health at {url}, found {answer.text[:200]!r}"
        ) from error
    return ServiceState(name, None, answer.is_success, 0, spans_ended, overlay={})
