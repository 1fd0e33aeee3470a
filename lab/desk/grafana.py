"""Links into Grafana, built as its own pages build them."""

from __future__ import annotations

import json
from urllib.parse import quote

from lab.domain.trace import Span

_MARGIN_MS = 5 * 60 * 1000


def explore_url(base_url: str, span: Span) -> str:
    """Explore with the span's trace open and the span itself in focus.

    Its id lives in ``panelsState`` alone (grafana/grafana pull request 44017).
    """
    at_ms = span.start_ns // 1_000_000
    pane = {
        "datasource": "tempo",
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "tempo", "uid": "tempo"},
                "queryType": "traceql",
                "query": span.trace_id,
            }
        ],
        "range": {"from": str(at_ms - _MARGIN_MS), "to": str(at_ms + _MARGIN_MS)},
        "panelsState": {"trace": {"spanId": span.span_id}},
    }
    panes = quote(json.dumps({"desk": pane}, separators=(",", ":")), safe="")
    return f"{base_url}/explore?schemaVersion=1&orgId=1&panes={panes}"
