"""The part of TraceQL that can be asked of kept traces: one pair of braces, joined by ``&&``.

After https://grafana.com/docs/tempo/latest/traceql/construct-traceql-queries/; what joins several
spans asks a store.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.domain.trace import Span, Trace
from lab.errors import UsageError
from lab.mcp.toolbox import duration_ms

DOCS: Final[Mapping[str, str]] = {
    "basic": (
        'A query is one pair of braces: `{ resource.service.name = "auth" && status = error }`. '
        "Conditions are joined by `&&`, and one span has to fulfil each. `{}` finds all."
    ),
    "intrinsics": (
        "`name`, `status` (error, ok, unset), `kind` (server, client, internal, producer, "
        "consumer), `duration` (of the span: 250ms, 1.5s), `traceDuration`, `rootName`, "
        "`rootServiceName`."
    ),
    "attributes": (
        "`span.<key>` and `resource.<key>`, or `.<key>` for either: "
        '`{ span.db.system.name = "postgresql" }`. Values are strings in double quotes, numbers, '
        "`true` or `false`. `list_tempo_attribute_names` lists the keys."
    ),
    "operators": (
        "`=`, `!=`, `>`, `>=`, `<`, `<=`, and `=~`, `!~` with a regular expression that has to "
        "match the whole value."
    ),
    "structure": (
        "`>>`, `>`, `~`, `||` and pipelines such as `| count()` join several spans. They are "
        "passed to the running store, where there is one; the answer then holds those of its "
        "finds that this case keeps."
    ),
}
"""Topic → what it is about, as documentation for whoever writes a query."""

_CONDITION: Final = re.compile(
    r"\s*(?P<field>[A-Za-z.][\w.:/-]*)\s*(?P<sign>=~|!~|!=|>=|<=|=|>|<)\s*"
    r'(?P<value>"(?:[^"\\]|\\.)*"|[\w.µ-]+)\s*'
)
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=~": lambda found, wanted: re.fullmatch(wanted, str(found)) is not None,
    "!~": lambda found, wanted: re.fullmatch(wanted, str(found)) is None,
}
_INTRINSIC: Final[Mapping[str, Callable[[Span, Trace], Any]]] = {
    "name": lambda span, _: span.name,
    "status": lambda span, _: span.status.value,
    "kind": lambda span, _: span.kind.value,
    "duration": lambda span, _: span.duration_ms,
    "traceDuration": lambda _, trace: max(each.duration_ms for each in trace),
    "rootName": lambda _, trace: trace.roots[0].name if trace.roots else None,
    "rootServiceName": lambda _, trace: trace.roots[0].service if trace.roots else None,
}
_TIMES: Final = frozenset({"duration", "traceDuration"})


class BeyondTheCase(UsageError):
    """The query is TraceQL that only a store can be asked, or none at all."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``field sign value``, of one span."""

    field: str
    sign: str
    value: Any

    def holds(self, span: Span, trace: Trace) -> bool:
        """Whether the span fulfils it; what a span does not have fulfils nothing."""
        found = value_of(self.field, span, trace)
        if found is None:
            return False
        try:
            return _SIGNS[self.sign](found, self.value)
        except TypeError:  # A number beside a text.
            return self.sign == "!="


def value_of(field: str, span: Span, trace: Trace) -> Any:
    """What a span has under a field of TraceQL; None where it has nothing."""
    if field in _INTRINSIC:
        return _INTRINSIC[field](span, trace)
    scope, _, key = field.partition(".")
    if key == "service.name" and scope in {"", "resource"}:
        return span.service
    places = {"span": (span.attributes,), "resource": (span.resource,)}
    for place in places.get(scope, (span.attributes, span.resource)):
        if key in place:
            return place[key]
    return None


def conditions(query: str) -> tuple[Condition, ...]:
    """The conditions of a query; BeyondTheCase where it is more than one pair of braces."""
    text = query.strip()
    inner = text[1:-1].strip() if text.startswith("{") and text.endswith("}") else None
    found: list[Condition] = []
    while inner:
        match = _CONDITION.match(inner)
        rest = inner[match.end() :] if match else ""
        if match is None or (rest and not rest.startswith("&&")) or rest == "&&":
            inner = None
            break
        found.append(_condition(match))
        inner = rest[2:]
    if inner is None:
        raise BeyondTheCase(
            'expected one pair of braces such as { resource.service.name = "auth" && status = '
            f"error && duration > 100ms }}, got {query!r:.200}; get_tempo_traceql_docs says more"
        )
    return tuple(found)


def _condition(match: re.Match[str]) -> Condition:
    field, sign, word = match["field"], match["sign"], match["value"]
    if field not in _INTRINSIC and not re.match(r"(span|resource|)\.\S", field):
        raise BeyondTheCase(
            f"expected a field such as name, status, duration, span.<key> or resource.<key>, got "
            f"{field!r}; get_tempo_traceql_docs says more"
        )
    return Condition(field, sign, _value(field, sign, word))


def _value(field: str, sign: str, word: str) -> Any:
    try:
        if field in _TIMES:
            return duration_ms(word)
        if word.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", word[1:-1])
            return re.compile(text).pattern if sign in {"=~", "!~"} else text
        if word in {"true", "false"}:
            return word == "true"
        return word if field in {"status", "kind"} else float(word)
    except (ValueError, re.error) as error:
        raise BeyondTheCase(f"expected a value of {field}, got {word!r:.80}") from error


def fits(trace: Trace, wanted: tuple[Condition, ...]) -> tuple[Span, ...]:
    """The spans of a trace that fulfil every condition."""
    return tuple(span for span in trace if all(each.holds(span, trace) for each in wanted))
