"""What the Collector says of itself: spans it took, refused, sent and lost.

It answers in Prometheus' text format; the counters' names are documented in
https://opentelemetry.io/docs/collector/internal-telemetry/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import httpx

from lab.errors import StackNotReady

_TIMEOUT_S: Final = 2.0
# A span that the memory limiter refuses is counted by the receiver too: the sum may tell of one
# loss twice, but it is 0 exactly when nothing was lost.
_LOST: Final = re.compile(
    r"^otelcol_(?:receiver_(?:refused|failed)|processor_refused|processor_dropped"
    r"|exporter_(?:send|enqueue)_failed)_spans(?:_total)?(?:\{[^}\n]*\})? (\S+)$",
    re.MULTILINE,
)


# To whom the traces of a case go: `deploy/otelcol/collector.yaml` names it.
_STORED: Final = re.compile(
    r"^otelcol_exporter_sent_spans(?:_total)?\{[^}\n]*exporter=\"otlp_grpc/tempo\"[^}\n]*\} (\S+)$",
    re.MULTILINE,
)


async def spans_dropped(client: httpx.AsyncClient, url: str) -> int:
    """Spans that were refused, dropped or not delivered since the Collector's start."""
    return await _counted(client, url, dropped_in)


async def spans_stored(client: httpx.AsyncClient, url: str) -> int:
    """Spans that Tempo has said it took from this Collector, since its start."""
    return await _counted(client, url, stored_in)


async def _counted(client: httpx.AsyncClient, url: str, count: Callable[[str], int]) -> int:
    try:
        response = await client.get(f"{url}/metrics", timeout=_TIMEOUT_S)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise StackNotReady(
            f"expected the Collector's counters at {url}, found {type(error).__name__}; see "
            "`lab status`"
        ) from error
    page = response.content.decode(errors="replace")
    try:
        # A page of somebody else's must not count as *nothing was lost*.
        if "otelcol_" in page:
            return count(page)
    except (ValueError, OverflowError):
        pass
    raise StackNotReady(
        f"expected the Collector's counters in Prometheus' text format, found {page[:80]!r}; "
        "is another program answering at its port? `lab doctor` says who"
    )


def dropped_in(exposition: str) -> int:
    """Sum of all loss counters in a metrics page; ValueError where one is no number."""
    return sum(round(float(value)) for value in _LOST.findall(exposition))


def stored_in(exposition: str) -> int:
    """What one metrics page says of spans that Tempo took; ValueError where it is no number."""
    return sum(round(float(value)) for value in _STORED.findall(exposition))
