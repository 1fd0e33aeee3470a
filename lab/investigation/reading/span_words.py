"""What a span says of itself, in words and numbers as people read them."""

from __future__ import annotations

import json

from lab.domain.trace import AttributeValue, Link, Span
from lab.domain.wording import duration


def took(span: Span) -> str:
    """How long a span took; *unfinished* without an end, *no start* without a beginning."""
    if span.is_undated:
        return "no start"
    return "unfinished" if span.is_unfinished else duration(span.duration_ms)


def context_of(item: Span | Link) -> dict[str, AttributeValue]:
    """What its context carries beside ids, by name; nothing of what was never set."""
    told = {"trace state": item.trace_state, "flags": f"{item.flags:#010x}" if item.flags else ""}
    return {key: text for key, text in told.items() if text}


def value_text(value: AttributeValue) -> str:
    """An attribute's value as people read it: text as it is, all else as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
