"""The stretches of the open case, shaded on every dashboard that asks for them.

They carry no case id: an annotation can be read by whoever has yet to solve the
case. The protocol is Grafana's annotation API, ``/api/annotations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Final

import httpx

from lab.adapters import loopback
from lab.domain.evidence import Interval
from lab.domain.load import Window
from lab.errors import PartFailed

TAG: Final = "deadspan"
"""What the dashboards ask for."""

WORDS: Final = MappingProxyType(
    {Window.REFERENCE: "before", Window.CRIME: "incident", Window.RECOVERY: "after"}
)

_TIMEOUT_S: Final = 3.0


class GrafanaAnnotations:
    """Writes to one Grafana; an async context."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/annotations"
        self._health = f"{url}/api/health"
        self._client = loopback.client(_TIMEOUT_S)

    async def __aenter__(self) -> GrafanaAnnotations:
        """Nothing is connected before it is needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def is_there(self) -> bool:
        """Whether a healthy Grafana answers."""
        try:
            return (await self._client.get(self._health)).is_success
        except httpx.HTTPError:
            return False

    async def show(self, windows: Mapping[Window, Interval]) -> None:
        """Shade ``windows`` in place of those of the case that was open before.

        PartFailed where Grafana refuses. Windows without a word are left out.
        """
        for old in await self._call("GET", params={"tags": TAG, "limit": "1000"}):
            await self._call("DELETE", f"/{int(old['id'])}")
        for window, interval in windows.items():
            if window in WORDS:
                said = {
                    "time": round(interval.start_s * 1000),
                    "timeEnd": round(interval.end_s * 1000),
                    "tags": [TAG],
                    "text": WORDS[window],
                }
                await self._call("POST", json=said)

    async def _call(self, method: str, path: str = "", **more: Any) -> Any:
        try:
            answer = await self._client.request(method, f"{self._url}{path}", **more)
            return answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise PartFailed(
                f"expected Grafana to take the case's stretches of time at {self._url}, "
                f"found {error}; its dashboards show everything else"
            ) from error
