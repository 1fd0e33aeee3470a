"""Spans that are in a backend: Tempo or Jaeger."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from lab.errors import UsageError
from lab.testing.store import Store

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
