"""The shop's keeper over its control HTTP: settings change, one service restarts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, TypeAdapter

from lab.errors import LeaseError, PartFailed, StackNotReady
from lab.ports.services import ServiceState

if TYPE_CHECKING:
    import httpx

    from lab.domain.instrumentation import Instrumentation

READ_DEADLINE_S: Final = 5.0
"""The keeper asks seven services for their health first, and answers one caller at a time."""

RESTART_DEADLINE_S: Final = 40.0
"""It gives each service 10 s to become ready; several wait for each other."""


class _Service(BaseModel):
    pid: int | None
    healthy: bool | None
    restarts_unasked: int
    spans_ended: int
    environment: dict[str, str]


_SERVICES: Final = TypeAdapter(dict[str, _Service])


class ShopControl:
    """`Services` over ``GET /services`` and ``PUT /services/{name}``."""

    can_configure: Final = True

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._headers = headers
        self._transport = transport

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made at first use, for the life of the process; the keeper closes every connection."""
        import httpx

        return httpx.AsyncClient(
            base_url=self._url,
            transport=self._transport,
            headers=self._headers,
            trust_env=False,
        )

    async def states(self) -> Mapping[str, ServiceState]:
        """Every service by name; StackNotReady where the keeper does not answer."""
        answer = await self._ask("GET", "/services", timeout=READ_DEADLINE_S)
        try:
            services = _SERVICES.validate_python(answer.json()["services"])
        except (KeyError, TypeError, ValueError) as error:
            raise PartFailed(
                f"expected the shop's services by name, found {answer.text[:200]!r}"
            ) from error
        return {name: _state(name, service) for name, service in services.items()}

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        """Run ``service`` with ``overlay``; LeaseError, with its last words, if it fails."""
        await self._ask(
            "PUT",
            f"/services/{service}",
            json={"environment": dict(overlay)},
            timeout=RESTART_DEADLINE_S,
        )

    async def instrument(self, level: Instrumentation) -> None:
        """Let all services write down so much; they restart, all at once, if they did not yet."""
        # The shop's settings are slow to import, and most callers change none of them.
        from lab.shop.keeper.environment import LEVELS

        await self._ask(
            "PUT",
            "/services",
            json={"environment": dict(LEVELS[level.value])},
            timeout=RESTART_DEADLINE_S,
        )

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        # The warden must be up at once, and most leases never come here.
        import httpx

        try:
            answer = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise StackNotReady(
                f"expected the shop's keeper to answer {method} {path}, found {error!r}; `lab up`"
            ) from error
        if answer.is_error:
            raise LeaseError(
                f"expected the shop's keeper to do {method} {path}, "
                f"it answered {answer.status_code}: {answer.text[-500:]}"
            )
        return answer


def _state(name: str, service: _Service) -> ServiceState:
    return ServiceState(
        name=name,
        pid=service.pid,
        healthy=service.healthy is True,
        restarts=service.restarts_unasked,
        spans_ended=service.spans_ended,
        overlay=service.environment,
    )
