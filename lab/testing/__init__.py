"""Span assertions for services of any kind, in the language in which the lab proves its cases.

A pytest plugin (``lab.testing.plugin``) with the fixtures ``spans`` and ``otlp_receiver``, and
what it takes to assert on them::

    from lab.testing import expect, span

    def test_a_declined_card(spans):
        pay()
        expect(spans).to_have(span("charge card", status="error", exception="CardDeclined"))

It needs pytest and the OpenTelemetry SDK. Names are looked up when they are asked for, so a test
session that uses none of them imports none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lab.domain.predicate import PRESENT
    from lab.testing.expectation import (
        assert_semantic,
        async_expect,
        expect,
        match_tree,
    )
    from lab.testing.files import from_file
    from lab.testing.receiver import OtlpReceiver
    from lab.testing.recording import RecordedSpans
    from lab.testing.source import TraceSet
    from lab.testing.stores import from_jaeger, from_tempo
    from lab.testing.waiting import Incomplete
    from lab.testing.words import span

__all__ = [
    "PRESENT",
    "Incomplete",
    "OtlpReceiver",
    "RecordedSpans",
    "TraceSet",
    "assert_semantic",
    "async_expect",
    "expect",
    "from_file",
    "from_jaeger",
    "from_tempo",
    "match_tree",
    "span",
]

_HOMES: Final = {
    "PRESENT": "words",
    "Incomplete": "waiting",
    "OtlpReceiver": "receiver",
    "RecordedSpans": "recording",
    "TraceSet": "source",
    "assert_semantic": "expectation",
    "async_expect": "expectation",
    "expect": "expectation",
    "from_file": "files",
    "from_jaeger": "stores",
    "from_tempo": "stores",
    "match_tree": "expectation",
    "span": "words",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, once."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
