"""The part of TraceQL that the lab's own predicates can say, for a store that speaks none.

Understood is one set of spans, ``{ … && … }``, of equalities: of a span's name, kind, status
or attributes (``span.<key>``), of its resource's ``service.name``, and of the service in which
its trace began, which may be one of several (``trace:rootService =~ "payments|bank"``).
Grafana's documentation, *Construct a TraceQL query*, names the fields.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lab.domain.predicate import Predicate
from lab.domain.reference import ReferenceStats
from lab.domain.trace import AttributeValue, Kind, Status, Trace
from lab.errors import NeedsTraceQL
from lab.frozen import dataclass

_CLAUSE: Final = r'([\w.:-]+)\s*(=~?)\s*("[^"\\]*"|[\w.+-]+)'
_SET: Final = re.compile(rf"\{{\s*((?:{_CLAUSE}(?:\s*&&\s*{_CLAUSE})*)?)\s*\}}")
_WORDS: Final = re.compile(r"[\w -]+(?:\|[\w -]+)*")
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_ATTRIBUTE: Final = "span."


@dataclass(frozen=True, slots=True)
class Question:
    """What a query asks of a trace: that one of its spans matches, and where it began.

    ``root_services`` are those of which one must have begun the trace; empty, any may.
    """

    span: Predicate
    root_services: frozenset[str]

    @property
    def operations(self) -> tuple[tuple[str, str], ...]:
        """Service and name: a find has a span of one of these; an empty word means any."""
        if self.span.service or self.span.name or not self.root_services:
            return ((self.span.service or "", self.span.name or ""),)
        return tuple((service, "") for service in sorted(self.root_services))

    def is_answered_by(self, trace: Trace) -> bool:
        """Whether ``trace``, as received so far, is a find."""
        began = {span.service for span in trace if span.parent_id is None}
        if self.root_services and not began & self.root_services:
            return False
        return any(self.span.matches(span, trace, ReferenceStats()) for span in trace)


def read(traceql: str) -> Question:
    """What ``traceql`` asks; NeedsTraceQL names the part of it that no predicate says."""
    whole = _SET.fullmatch(traceql.strip())
    if whole is None:
        raise NeedsTraceQL(traceql, traceql.strip())
    said: dict[str, Any] = {}
    for clause in re.finditer(_CLAUSE, whole[1]):
        key, meant = clause[1], _meant(*clause.groups())
        # A field that is asked twice would have two values, and no span has.
        if meant is None or key in said:
            raise NeedsTraceQL(traceql, clause[0])
        said[key] = meant
    span = Predicate(
        service=said.get("resource.service.name"),
        name=said.get("name"),
        kind=said.get("kind"),
        status=said.get("status"),
        attributes={
            key.removeprefix(_ATTRIBUTE): value
            for key, value in said.items()
            if key.startswith(_ATTRIBUTE)
        },
    )
    return Question(span, said.get("trace:rootService", frozenset()))


def _meant(key: str, operator: str, text: str) -> AttributeValue | frozenset[str] | None:
    """The value that the clause asks for, in the domain's own words; None where it has none."""
    value = _literal(text)
    if key == "trace:rootService" and isinstance(value, str):
        if operator == "=":
            return frozenset({value})
        return frozenset(value.split("|")) if _WORDS.fullmatch(value) else None
    if operator != "=":
        return None
    if key in {"name", "resource.service.name"}:
        return value if isinstance(value, str) else None
    if key in {"kind", "status"}:
        nouns: type[Kind | Status] = Kind if key == "kind" else Status
        return next((noun for noun in nouns if text == noun.value), None)
    return value if key.startswith(_ATTRIBUTE) else None


def _literal(text: str) -> AttributeValue | None:
    """A value as it is written: quoted, a number, or true and false; None for other words."""
    if text.startswith('"'):
        return text[1:-1]
    if text in {"true", "false"}:
        return text == "true"
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)
