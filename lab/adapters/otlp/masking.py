"""Spans without personal data, as the Collector would have let them through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lab.adapters.otlp.personal_data import masked
from lab.domain.trace import NO_SCOPE, AttributeValue, Scope, Span

Attributes = Mapping[str, AttributeValue]


class Masking:
    """Masks whatever a span says; ``count`` is how many texts and numbers were changed so far."""

    def __init__(self) -> None:
        self.count = 0
        self._resource: tuple[object, Attributes] = (None, {})
        self._scope: tuple[object, Scope] = (None, NO_SCOPE)

    def span(self, span: Span) -> Span:
        """The same span with nothing in it that the patterns find."""
        resource = self._resource_of(span)
        return replace(
            span,
            name=self._text(span.name),
            service=str(resource.get("service.name", masked(span.service))),
            status_message=self._text(span.status_message),
            attributes=self._attributes(span.attributes),
            events=tuple(
                replace(x, name=self._text(x.name), attributes=self._attributes(x.attributes))
                for x in span.events
            ),
            links=tuple(
                replace(
                    x,
                    attributes=self._attributes(x.attributes),
                    trace_state=self._text(x.trace_state),
                )
                for x in span.links
            ),
            resource=resource,
            scope=self._scope_of(span),
            trace_state=self._text(span.trace_state),
            resource_schema_url=self._text(span.resource_schema_url),
        )

    def _resource_of(self, span: Span) -> Attributes:
        """Masked once for all spans that share it, and still one for all of them."""
        if self._resource[0] is not span.resource:
            self._resource = span.resource, self._attributes(span.resource)
        return self._resource[1]

    def _scope_of(self, span: Span) -> Scope:
        if self._scope[0] is not span.scope:
            scope = span.scope
            made = Scope(
                self._text(scope.name),
                self._text(scope.version),
                self._attributes(scope.attributes),
                self._text(scope.schema_url),
            )
            self._scope = scope, made if made != NO_SCOPE else NO_SCOPE
        return self._scope[1]

    def _attributes(self, attributes: Attributes) -> Attributes:
        found: dict[str, AttributeValue] = {}
        for key, value in attributes.items():
            name, number = self._text(key), 1
            while name in found:  # Two names that are masked alike stay two.
                number += 1
                name = f"{masked(key)} {number}"
            found[name] = self._value(value)
        return found

    def _value(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, tuple):
            return tuple(map(self._value, value))
        text = str(value)
        found = text if isinstance(value, bool) else self._text(text)
        return value if found == text else found

    def _text(self, text: str) -> str:
        found = masked(text)
        self.count += found != text
        return found
