"""The warden over HTTP; every call has a deadline and every refusal its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import TypeAdapter

from lab.domain.fault import Conditions, Fault
from lab.errors import (
    HarmStopped,
    InjectorError,
    LabError,
    LeaseError,
    LeaseGone,
    LeaseHeld,
    StackNotReady,
)
from lab.ports.injector import EdgeState
from lab.ports.services import ShopState
from lab.ports.warden import LeasedEdges, LeaseStatus, Removal

READ_DEADLINE_S: Final = 3.0
SHOP_DEADLINE_S: Final = 6.0
"""The shop's keeper, which the warden asks, may take 5 s where services hang."""

CHANGE_DEADLINE_S: Final = 60.0
"""Taking a lease may restart services, undoing it may restart Toxiproxy."""

T = TypeVar("T")

_FAULTS: Final = TypeAdapter(tuple[Fault, ...])
_STATUS: Final = TypeAdapter(LeaseStatus)
_CURRENT: Final[TypeAdapter[LeaseStatus | None]] = TypeAdapter(LeaseStatus | None)
_REMOVAL: Final = TypeAdapter(Removal)
_EDGES: Final = TypeAdapter(dict[str, EdgeState])
_REFUSAL: Final = TypeAdapter(dict[str, str])
_LEASED_EDGES: Final = TypeAdapter(LeasedEdges)
_SHOP: Final = TypeAdapter(ShopState)
_BOOL: Final = TypeAdapter(bool)
_NOTHING: Final = TypeAdapter(None)

_ERRORS: Final[Mapping[str, type[LabError]]] = MappingProxyType(
    {kind.__name__: kind for kind in (LeaseHeld, LeaseGone, InjectorError, StackNotReady)}
)
"""The errors that keep their kind on the way; any other arrives as LeaseError."""


_WORDS: Final[Mapping[type[LabError], str]] = MappingProxyType(
    {
        LeaseGone: "expected the lease to be held, found it ended; its harm is removed or soon is",
        InjectorError: "expected Toxiproxy to do as asked, found that it did not",
        StackNotReady: "expected all that the warden needs to be ready, found that it is not",
        LeaseError: "expected the warden to do as asked, found that it would not or could not",
    }
)
"""What anybody may read: the warden's own words name edges, and so give a case away."""

_WAY_OUT: Final = "`lab status`, then `lab heal`; warden.jsonl among the logs tells all, and spoils"


class WardenClient:
    """`Warden` over HTTP.

    LeaseError (or LeaseHeld, LeaseGone) says what is refused; the warden's own words
    name edges and toxics, so they are only a note on the error (PEP 678).
    StackNotReady means that it does not answer at all.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, transport=transport, headers=headers, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def take(
        self,
        *,
        holder: str,
        faults: Sequence[Fault],
        conditions: Conditions,
        ttl_s: float,
        seed: int = 0,
    ) -> LeaseStatus:
        """Apply settings, then faults, under a lease."""
        wish = {
            "holder": holder,
            "faults": _FAULTS.dump_python(tuple(faults), mode="json"),
            "conditions": dict(conditions),
            "ttl_s": ttl_s,
            "seed": seed,
        }
        return await self._ask(_STATUS, "POST", "/leases", CHANGE_DEADLINE_S, json=wish)

    async def heartbeat(self, lease_id: str) -> LeaseStatus:
        """Start the lease's time to live anew."""
        return await self._ask(_STATUS, "PUT", f"/leases/{lease_id}/heartbeat", READ_DEADLINE_S)

    async def roll_again(self, lease_id: str, edge: str) -> LeaseStatus:
        """Let the dice of that edge's fractional fault fall anew."""
        path = f"/leases/{lease_id}/edges/{edge}/dice"
        return await self._ask(_STATUS, "POST", path, CHANGE_DEADLINE_S)

    async def release(self, lease_id: str) -> Removal:
        """Take everything away and prove it gone."""
        return await self._ask(_REMOVAL, "DELETE", f"/leases/{lease_id}", CHANGE_DEADLINE_S)

    async def current(self) -> LeaseStatus | None:
        """The lease that is held, if any."""
        return await self._ask(_CURRENT, "GET", "/leases/current", READ_DEADLINE_S)

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as Toxiproxy has it."""
        return await self._ask(_EDGES, "GET", "/edges", READ_DEADLINE_S)

    async def leased_edges(self, lease_id: str) -> LeasedEdges:
        """The edges and what the lease is to have on them, of one moment."""
        path = f"/leases/{lease_id}/edges"
        return await self._ask(_LEASED_EDGES, "GET", path, READ_DEADLINE_S)

    async def heal(self) -> Removal:
        """Return from any state to a clean shop."""
        return await self._ask(_REMOVAL, "POST", "/heal", CHANGE_DEADLINE_S)

    async def shop(self) -> ShopState:
        """Every service as whoever keeps it tells it."""
        return await self._ask(_SHOP, "GET", "/shop", SHOP_DEADLINE_S)

    async def stop_harm(self) -> Removal:
        """End any lease, heal, and let the warden give no lease any more."""
        return await self._ask(_REMOVAL, "PUT", "/no-harm", CHANGE_DEADLINE_S)

    async def allow_harm(self) -> None:
        """Let it give leases again."""
        await self._ask(_NOTHING, "DELETE", "/no-harm", READ_DEADLINE_S)

    async def is_harm_stopped(self) -> bool:
        """Whether it gives no lease."""
        return await self._ask(_BOOL, "GET", "/no-harm", READ_DEADLINE_S)

    async def _ask(
        self, shape: TypeAdapter[T], method: str, path: str, deadline_s: float, **body: Any
    ) -> T:
        try:
            # httpx bounds each read, so an answer that trickles would never time out.
            async with asyncio.timeout(deadline_s):
                answer = await self._client.request(method, path, timeout=deadline_s, **body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise StackNotReady(
                f"expected the warden to answer {method} {path} within {deadline_s:.0f} s, "
                f"found {error!r}; `lab status`, then `lab up`"
            ) from error
        if answer.is_error:
            raise _error(answer, f"{method} {path}")
        try:
            return shape.validate_json(answer.content)
        except ValueError as error:
            unreadable = LeaseError(
                f"expected an answer of the warden's to {method} {path}, found something else; "
                f"{_WAY_OUT}"
            )
            unreadable.add_note(answer.content[:200].decode(errors="replace"))
            raise unreadable from error


def _error(answer: httpx.Response, asked: str) -> LabError:
    """The warden's refusal as the error it was there; its words are a note on it."""
    said = answer.content.decode(errors="replace")
    try:
        refusal = _REFUSAL.validate_json(answer.content)
        name, message = refusal["error"], refusal["message"]
    except (KeyError, ValueError):
        name, message = "", f"{asked} was answered with {answer.status_code}: {said[:500]}"
    if name == HarmStopped.__name__:
        return HarmStopped()
    kind = _ERRORS.get(name, LeaseError)
    if kind is LeaseHeld:
        return LeaseHeld(message)  # Says who is in the way, and nothing of what they do.
    error = kind(f"{_WORDS[kind]}; {_WAY_OUT}")
    error.add_note(message)
    return error
