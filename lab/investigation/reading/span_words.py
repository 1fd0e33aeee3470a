"""What a span says of itself, in words and numbers as people read them."""

from __future__ import annotations

import json

from lab.domain.trace import AttributeValue, Span
from lab.domain.wording import duration


def took(span: Span) -> str:
    """How long a span took; *unfinished* without an end, *no start* without a beginning."""
    if span.is_undated:
        return "no start"
    return "unfinished" if span.is_unfinished else duration(span.duration_ms)


def value_text(value: AttributeValue) -> str:
    """An attribute's value as people read it: text as it is, all else as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def data_size(count: int) -> str:
    """Three digits and a unit: ``328 B``, ``3.13 kB``, ``153 kB``, ``1.20 MB``."""
    if count < 1000:
        return f"{count} B"
    value, unit = (count / 1e3, "kB") if count < 999_500 else (count / 1e6, "MB")
    return f"{value:.{max(0, 2 - (len(str(int(value))) - 1))}f} {unit}"
