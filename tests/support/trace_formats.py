"""The same spans in every format that people have them in, and small files of others."""

from __future__ import annotations

import base64
import codecs
import gzip
import json
from collections.abc import Callable
from typing import Any, Final

import zstandard
from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from lab.adapters.otlp.traces import write_traces
from lab.domain.trace import Event, Kind, Link, Scope, Span, Status, Trace
from lab.settings import CHECKOUT

EXAMPLES: Final = CHECKOUT / "tests" / "support" / "telemetry"
TRACE_ID: Final = "0af7651916cd43dd8448eb211c80319c"

SPANS: Final = (
    Span(
        TRACE_ID, "b7ad6b7169203331", None, "GET /è", Kind.SERVER, "frontdoor",
        1_700_000_000_000_000_000, 1_700_000_001_000_000_000, Status.ERROR, "it failed",
        {"text": "salt", "list": ("a", 1, True), "map": '{"k": 1}', "ratio": 0.5, "big": 2**62},
        (Event("exception", 1_700_000_000_500_000_000, {"exception.type": "Boom"}),),
        (Link("ab" * 16, "cd" * 8, {"why": "batch"}, "vendor=linked", 1),),
        {"service.name": "frontdoor", "host.arch": "arm64"},
        Scope("web", "1.0.0", {"flavour": "plain"}, "https://opentelemetry.io/schemas/1.30.0"),
        "vendor=opaque", 0x301, "https://opentelemetry.io/schemas/1.29.0",
    ),
    Span(
        TRACE_ID, "b7ad6b7169203332", "b7ad6b7169203331", "work", Kind.CLIENT, "backend",
        1_700_000_000_100_000_000, 0, Status.UNSET, "",
        resource={"service.name": "backend"},
    ),
)  # fmt: skip
"""What each format must come to, as far as it can say it."""


def document() -> dict[str, Any]:
    return write_traces([Trace(TRACE_ID, SPANS)])


def otlp() -> bytes:
    return json.dumps(document()).encode()


def snake(value: Any) -> Any:
    if isinstance(value, list):
        return [snake(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(each)
        for key, each in value.items()
    }


def with_base64(value: Any) -> Any:
    if isinstance(value, list):
        return [with_base64(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(each)).decode()
        if key in {"traceId", "spanId", "parentSpanId"}
        else with_base64(each)
        for key, each in value.items()
    }


def protobuf(value: Any = None) -> bytes:
    message = json_format.ParseDict(with_base64(value or document()), TracesData())
    return bytes(message.SerializeToString())


def prefixed(*messages: bytes) -> bytes:
    return b"".join(len(each).to_bytes(4, "big") + each for each in messages)


def by_group() -> list[dict[str, Any]]:
    return [{"resourceSpans": [each]} for each in document()["resourceSpans"]]


SHAPES: Final[dict[str, Callable[[], bytes]]] = {
    "one document": otlp,
    "indented": lambda: json.dumps(document(), indent=2).encode(),
    "indented by nothing": lambda: json.dumps(document(), indent=0).encode(),
    "snake_case": lambda: json.dumps(snake(document())).encode(),
    "base64 ids": lambda: json.dumps(with_base64(document())).encode(),
    "batches": lambda: json.dumps({"batches": document()["resourceSpans"]}).encode(),
    "trace": lambda: json.dumps({"trace": document()}).encode(),
    "result": lambda: json.dumps({"result": document()}).encode(),
    "data": lambda: json.dumps({"data": document()}).encode(),
    "data list": lambda: json.dumps({"data": by_group()}).encode(),
    "array": lambda: json.dumps(by_group()).encode(),
    "lines": lambda: b"\n".join(json.dumps(each).encode() for each in by_group()),
    "bare groups": lambda: json.dumps(document()["resourceSpans"]).encode(),
    "no line between": lambda: b"".join(json.dumps(each).encode() for each in by_group()),
    "sequence": lambda: b"".join(
        b"\x1e" + json.dumps(each).encode() + b"\n" for each in by_group()
    ),
    "lines and indented": lambda: b"\n".join(
        json.dumps(each, indent=n * 2 or None).encode() for n, each in enumerate(by_group())
    ),
    "BOM": lambda: codecs.BOM_UTF8 + otlp(),
    "UTF-16": lambda: otlp().decode().encode("utf-16"),
    "UTF-16 without mark": lambda: json.dumps(document()).encode("utf-16-le"),
    "UTF-16 big": lambda: codecs.BOM_UTF16_BE + otlp().decode().encode("utf-16-be"),
    "gzip": lambda: gzip.compress(otlp()),
    "gzip in parts": lambda: b"".join(
        gzip.compress(json.dumps(each).encode() + b"\n") for each in by_group()
    ),
    "zstd": lambda: zstandard.compress(otlp()),
    "zstd in parts": lambda: b"".join(
        zstandard.compress(json.dumps(each).encode() + b"\n") for each in by_group()
    ),
    "protobuf": protobuf,
    "protobuf, gzip": lambda: gzip.compress(protobuf()),
    "protobuf in parts": lambda: prefixed(*(protobuf(each) for each in by_group())),
    "protobuf in parts, zstd": lambda: zstandard.compress(
        prefixed(*(protobuf(each) for each in by_group()))
    ),
    "parts packed one by one": lambda: prefixed(
        *(zstandard.compress(protobuf(each)) for each in by_group())
    ),
    "JSON in parts packed one by one": lambda: prefixed(
        *(zstandard.compress(json.dumps(each).encode()) for each in by_group())
    ),
}  # fmt: skip
