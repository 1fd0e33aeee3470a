"""Somebody else's Tempo or Jaeger, asked for whole traces by HTTP, every call with a deadline.

Sources: Grafana's documentation, *Tempo HTTP API*; Jaeger's *APIs* (query service, version 3,
`idl/proto/api_v3/query_service.proto`) and, where that is not there, the JSON of its own page.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx

from lab.adapters import loopback, outside
from lab.adapters.store_http import Answer, StoreHttp
from lab.errors import TraceStoreError
from lab.frozen import dataclass
from lab.investigation.running.collect import trace_ids

DEADLINE_S: Final = 30.0
"""For one answer, from the request's first byte to the answer's last."""

MOST_BYTES: Final = 64 * 2**20
"""Of one answer."""

AT_ONCE: Final = 8
"""Traces asked for at the same time; more make none of them come sooner."""

MOST_FOUND: Final = 2000
"""Traces in one answer of Tempo's search; where it allows fewer, as many as it does."""

FEWEST_FOUND: Final = 20
MOST_OF_A_SERVICE: Final = 1500
"""Traces of one service that Jaeger is asked for, as many as its page offers at most."""

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which traces: of a stretch of time (Unix seconds), of some services, so many at most."""

    start_s: float
    end_s: float
    services: tuple[str, ...] = ()
    traceql: str = "{}"
    limit: int | None = None


class Backend(Protocol):
    """Where whole traces are asked for."""

    def answers(
        self, choice: Choice, tell: Callable[[str, int], None]
    ) -> AsyncIterator[tuple[str, bytes]]:
        """Each answer that holds traces, with what it answers; TraceStoreError where none can."""
        ...


class Asking(StoreHttp):
    """GET at one backend.

    A proxy of the user's stands between where the backend is not of this machine. No error
    names a user, a password or a key.
    """

    most_bytes = MOST_BYTES
    less = "; ask for less by --since, --service or --limit"

    def __init__(self, url: str, what: str, headers: Mapping[str, str]) -> None:
        headers = {**headers, "Accept": "application/json"}
        super().__init__(what, url, headers=headers, proxied=not loopback.is_here(url))
        self._what = what
        parts = urlsplit(url)
        host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
        self._shown = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"

    async def ask(self, path: str, **parameters: str | int) -> Answer:
        """What the backend answers; TraceStoreError where nothing came in time, or too much."""
        return await self.get(path, DEADLINE_S, **parameters)

    def failed(self, found: str) -> TraceStoreError:
        """The error that says what was found in place of an answer, and what to do."""
        return TraceStoreError(
            f"expected {self._what} to answer at {self._shown}, found: {found}; is it the "
            "address of its HTTP API, and can it be reached from here?"
        )

    def refused(self, answer: Answer) -> TraceStoreError:
        """The same for an answer that is not 200."""
        said, text = f"{answer.status} {answer.text[:120]!r}", answer.text[:4096]
        if "org id" in text or "tenant" in text.lower():
            return TraceStoreError(
                f"expected {self._what} at {self._shown} to know the tenant, found {said}; say "
                "--header 'X-Scope-OrgID: NAME'"
            )
        if answer.status in (401, 403):
            return TraceStoreError(
                f"expected {self._what} at {self._shown} to let us in, found {said}; say --header "
                "'Authorization: …', and 'X-Scope-OrgID: NAME' where it has tenants"
            )
        return self.failed(said)

    async def ask_json(self, path: str, **parameters: str | int) -> Any:
        """What the backend answers as JSON; TraceStoreError for anything but that."""
        answer = await self.ask(path, **parameters)
        if answer.status != httpx.codes.OK:
            raise self.refused(answer)
        return self.parsed(answer)

    def parsed(self, answer: Answer) -> Any:
        """The answer as JSON; TraceStoreError where it is none."""
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self.failed(f"no JSON ({answer.text[:80]!r})") from error


class ForeignTempo:
    """`Backend` over a Tempo of any age: traces by ``/api/v2/traces``, else ``/api/traces``."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._most = MOST_FOUND
        self._path = "/api/v2/traces/"

    async def answers(
        self, choice: Choice, tell: Callable[[str, int], None]
    ) -> AsyncIterator[tuple[str, bytes]]:
        """Each trace that is found and still there."""
        start_s, end_s = math.floor(choice.start_s), math.ceil(choice.end_s)
        query = _with_services(choice.traceql, choice.services)
        if choice.limit is not None and choice.limit < self._most:
            self._most = choice.limit
            found = await self.search(query, start_s=start_s, end_s=end_s)
        else:
            await self.search(query, start_s=end_s - 1, end_s=end_s)  # What it allows at most.
            found = await trace_ids(self, start_s, end_s, most=self._most, traceql=query)
        tell("traces found", len(found))
        waiting = sorted(found)[: choice.limit]
        for at in range(0, len(waiting), AT_ONCE):
            some = waiting[at : at + AT_ONCE]
            for trace_id, body in zip(
                some, await asyncio.gather(*(self._trace(each) for each in some)), strict=True
            ):
                if body is not None:
                    yield f"trace {trace_id}", body

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that answer the query inside the interval, as many as it allows."""
        while True:
            answer = await self._asking.ask(
                "/api/search",
                q=traceql,
                start=math.floor(start_s),
                end=math.ceil(end_s),
                limit=self._most,
            )
            if answer.status != httpx.codes.BAD_REQUEST or not self._is_lowered_by(answer.text):
                break
        if answer.status != httpx.codes.OK:
            raise self._asking.refused(answer)
        try:
            listed = self._asking.parsed(answer).get("traces") or ()
            # Tempo writes an id as a number would be, without its leading zeros.
            ids = {str(trace["traceID"]).lower().zfill(32) for trace in listed}
        except (AttributeError, TypeError, KeyError) as error:
            raise self._asking.failed(f"no list of traces ({answer.text[:80]!r})") from error
        if strange := [each for each in ids if not _TRACE_ID.fullmatch(each)]:
            raise self._asking.failed(f"ids that are none, such as {strange[0][:40]!r}")
        return frozenset(ids)

    def _is_lowered_by(self, said: str) -> bool:
        """Whether the answer tells of a limit of its own, which is below ours; keeps to it."""
        if "limit" not in said.lower() or self._most <= FEWEST_FOUND:
            return False
        told = [int(each) for each in _NUMBER.findall(said) if len(each) < 10]
        smaller = [each for each in told if FEWEST_FOUND <= each < self._most]
        self._most = max(smaller, default=max(FEWEST_FOUND, self._most // 2))
        return True

    async def _trace(self, trace_id: str) -> bytes | None:
        path = self._path  # Another trace may find the older one while this one waits.
        answer = await self._asking.ask(path + trace_id)
        if answer.status == httpx.codes.NOT_FOUND and "v2" in path:
            # Before Tempo 2.7 there is no second API, and an unknown trace is a 404 as well.
            older = await self._asking.ask(f"/api/traces/{trace_id}")
            if older.status == httpx.codes.OK:
                self._path, answer = "/api/traces/", older
        if answer.status == httpx.codes.NOT_FOUND:
            return None
        if answer.status != httpx.codes.OK:
            raise self._asking.refused(answer)
        return answer.body


def _with_services(traceql: str, services: tuple[str, ...]) -> str:
    """The query narrowed to traces that reached one of the services."""
    if not services:
        return traceql
    named = " || ".join(f"resource.service.name = {json.dumps(each)}" for each in services)
    return f"{{ {named} }}" if traceql.strip() == "{}" else f"{{ {named} }} && {traceql}"


class ForeignJaeger:
    """`Backend` over a Jaeger: version 3 of its query API where it is, else its page's JSON."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def answers(
        self, choice: Choice, tell: Callable[[str, int], None]
    ) -> AsyncIterator[tuple[str, bytes]]:
        """All traces of each service; those that several took part in once where that shows."""
        first = await self._asking.ask("/api/v3/services")
        is_third = first.status == httpx.codes.OK and first.body.lstrip()[:1] == b"{"
        services = choice.services or await self._services(first if is_third else None)
        tell("services", len(services))
        seen = set[str]()
        for service in services:
            find = self._third if is_third else self._former
            body = await find(service, choice)
            yield f"service {service}", _unseen(body, seen)

    async def _services(self, third: Answer | None) -> tuple[str, ...]:
        if third is not None:
            found = self._asking.parsed(third).get("services")
        else:
            said = await self._asking.ask_json("/api/services")
            found = said.get("data") if isinstance(said, dict) else None
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self._asking.failed("no list of services")
        return tuple(found)

    async def _third(self, service: str, choice: Choice) -> bytes:
        most = choice.limit or MOST_OF_A_SERVICE
        return await self._traces(
            "/api/v3/traces",
            {
                "query.service_name": service,
                "query.start_time_min": _rfc3339(choice.start_s),
                "query.start_time_max": _rfc3339(choice.end_s),
                # By one name or the other, as versions differ.
                "query.num_traces": most,
                "query.search_depth": most,
            },
        )

    async def _former(self, service: str, choice: Choice) -> bytes:
        most = choice.limit or MOST_OF_A_SERVICE
        return await self._traces(
            "/api/traces",
            {
                "service": service,
                "start": int(choice.start_s * 1e6),
                "end": int(choice.end_s * 1e6),
                "limit": most,
            },
        )

    async def _traces(self, path: str, parameters: Mapping[str, str | int]) -> bytes:
        answer = await self._asking.ask(path, **parameters)
        # Version 3 says 404 where it finds no trace.
        if answer.status not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
            raise self._asking.refused(answer)
        return answer.body if answer.status == httpx.codes.OK else b""


def _unseen(body: bytes, seen: set[str]) -> bytes:
    """The answer without the traces that another service's brought already."""
    try:
        found = json.loads(body)
        listed = found["data"] if "data" in found else found["result"]["resourceSpans"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return body
    if not isinstance(listed, list):
        return body
    before = frozenset(seen)
    kept = [each for each in (_without(group, before, seen) for group in listed) if each]
    return json.dumps({"data": kept} if "data" in found else {"resourceSpans": kept}).encode()


def _without(group: Any, before: frozenset[str], seen: set[str]) -> Any:
    """A trace of Jaeger's, or a ``ResourceSpans`` with the spans of traces not seen before."""
    if not isinstance(group, dict):
        return group
    if isinstance(group.get("traceID"), str):
        seen.add(group["traceID"])
        return None if group["traceID"] in before else group
    for scope in group.get("scopeSpans") or ():
        if isinstance(scope, dict) and isinstance(scope.get("spans"), list):
            ids = [
                each.get("traceId") if isinstance(each, dict) else None for each in scope["spans"]
            ]
            seen.update(each for each in ids if isinstance(each, str))
            scope["spans"] = [
                span for span, each in zip(scope["spans"], ids, strict=True) if each not in before
            ]
    return group


def _rfc3339(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")


def tempo(url: str, headers: Mapping[str, str]) -> tuple[Asking, Backend]:
    """A Tempo at ``url``; UsageError where that is no address."""
    with outside.client_to(url, "a Tempo such as http://127.0.0.1:3200"):
        asking = Asking(url, "Tempo", headers)
    return asking, ForeignTempo(asking)


def jaeger(url: str, headers: Mapping[str, str]) -> tuple[Asking, Backend]:
    """A Jaeger at ``url``; UsageError where that is no address."""
    with outside.client_to(url, "a Jaeger such as http://127.0.0.1:16686"):
        asking = Asking(url, "Jaeger", headers)
    return asking, ForeignJaeger(asking)
