"""Spans that are in a backend, Tempo or Jaeger, which is asked over HTTP again and again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from lab.adapters.otlp.fields import MalformedOtlpError
from lab.adapters.otlp.traces import read_traces
from lab.domain.trace import Span
from lab.errors import TraceStoreError, UsageError
from lab.testing.source import TraceSet

_DEADLINE_S: Final = 10.0
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_TRACE_ID: Final = re.compile(r"[0-9a-f]{1,32}")
_NOT_FOUND: Final = 404


class Store:
    """A backend that is asked over HTTP."""

    patience_s = 15.0
    poll_s = 0.5
    called = ""

    def __init__(
        self,
        url: str,
        trace_id: str | None,
        headers: Mapping[str, str] | None,
        asked: str,
        since_s: float,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"expected the address of a {self.called}, got {url!r}")
        if trace_id is not None and not _TRACE_ID.fullmatch(trace_id):
            raise UsageError(f"expected a trace id of up to 32 hex digits, got {trace_id!r}")
        self._url = url.rstrip("/")
        self._trace_id = trace_id
        self._headers = dict(headers or {})
        self._asked = asked
        self._since_s = since_s
        # What is on this machine is reached directly, whatever proxy the user has for the rest.
        here = parts.hostname in _HERE
        self._opener = build_opener(*([ProxyHandler({})] if here else []))

    def look(self) -> TraceSet:
        """The traces as the store has them now; TraceStoreError where it does not answer."""
        documents = self._by_id(self._trace_id) if self._trace_id else self._search()
        try:
            spans = [span for each in documents for span in _spans(each)]
        except MalformedOtlpError as error:
            raise TraceStoreError(f"{self._url}: expected OTLP/JSON, found: {error}") from error
        return TraceSet.of_spans(spans, may_grow=True)

    def _by_id(self, trace_id: str) -> list[Any]:
        raise NotImplementedError

    def _search(self) -> list[Any]:
        raise NotImplementedError

    def get(self, path: str, **parameters: str | int) -> Any:
        """The JSON at ``path``; None where there is none."""
        address = f"{self._url}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        headers = {"Accept": "application/json", **self._headers}
        try:
            with self._opener.open(Request(address, headers=headers), timeout=_DEADLINE_S) as got:  # noqa: S310
                return json.load(got)
        except HTTPError as error:
            with error:
                if error.code == _NOT_FOUND:
                    return None
                found = f"{error.code} {error.read(200)!r}"
        except (URLError, OSError, ValueError) as error:
            found = str(getattr(error, "reason", error))
        raise TraceStoreError(f"GET {address}: expected {self.called} to answer, found: {found}")


def _spans(document: object) -> Iterator[Span]:
    for trace in read_traces(document).values():
        yield from trace.spans


_MOST_TRACES: Final = 200


def from_tempo(
    url: str,
    *,
    trace_id: str | None = None,
    query: str = "{}",
    since_s: float = 900.0,
    headers: Mapping[str, str] | None = None,
) -> Store:
    """The traces that a Tempo has: that one, or those which TraceQL finds of the last minutes.

    It is asked anew at each look, so an expectation waits for what is on its way.
    """
    return _Tempo(url, trace_id, headers, query, since_s)


def from_jaeger(
    url: str,
    *,
    trace_id: str | None = None,
    service: str | None = None,
    since_s: float = 900.0,
    headers: Mapping[str, str] | None = None,
) -> Store:
    """The same of a Jaeger, by its API v3: that trace, or those of a service."""
    if (trace_id is None) is (service is None):
        raise UsageError("from_jaeger: expected either trace_id or service")
    return _Jaeger(url, trace_id, headers, service or "", since_s)


class _Tempo(Store):
    called = "Tempo"

    def _by_id(self, trace_id: str) -> list[Any]:
        found = self.get(f"/api/v2/traces/{quote(trace_id)}")
        # One that it does not know may be an empty object.
        return [found] if found and found.get("trace") else []

    def _search(self) -> list[Any]:
        now_s = int(time.time()) + 1
        found = self.get(
            "/api/search",
            q=self._asked,
            start=int(now_s - self._since_s),
            end=now_s,
            limit=_MOST_TRACES,
        )
        ids = [str(each["traceID"]) for each in (found or {}).get("traces") or ()]
        return [document for each in ids for document in self._by_id(each.zfill(32))]


class _Jaeger(Store):
    called = "Jaeger"

    def _by_id(self, trace_id: str) -> list[Any]:
        return _results(self.get(f"/api/v3/traces/{trace_id.zfill(32)}"))

    def _search(self) -> list[Any]:
        now_s = time.time() + 1
        parameters: dict[str, str | int] = {
            "query.service_name": self._asked,
            "query.start_time_min": _rfc3339(now_s - self._since_s),
            "query.start_time_max": _rfc3339(now_s),
            "query.num_traces": _MOST_TRACES,
        }
        return _results(self.get("/api/v3/traces", **parameters))


def _results(found: Any) -> list[Any]:
    """``{"result": {"resourceSpans": …}}``, as gRPC's gateway wraps what it streams."""
    result = (found or {}).get("result")
    return [result] if result else []


def _rfc3339(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
