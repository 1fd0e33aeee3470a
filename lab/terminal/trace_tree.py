"""One trace as a tree: who called whom, how it ended, where the time went, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.marks import Seal, most_apart_ms, silent_callees, why
from lab.domain.rows import FoldedRow, Gap, Missing, Row, Wire, extent_ns, folded, rows, wire_of
from lab.domain.strata import standing
from lab.domain.trace import AttributeValue, Event, Kind, Scope, Span, Status, Trace
from lab.domain.wording import counted, duration, short_ids, times_usual
from lab.investigation.reading.requests import in_words
from lab.investigation.reading.span_words import (
    context_of,
    data_size,
    operation_without_statement,
    took,
    value_text,
)
from lab.terminal.guides import with_guides
from lab.terminal.text import MARKS, clean, service_text

KIND_MARKS: Final = {
    Kind.SERVER: "▣",
    Kind.CLIENT: "→",
    Kind.INTERNAL: "·",
    Kind.PRODUCER: "⇢",
    Kind.CONSUMER: "⇠",
}

MOST_ROWS: Final = 1000
"""More than anybody reads; `lab trace --json` has every span."""

MOST_EVENTS: Final = 10
"""Of a span, without ``attributes``; more are counted."""

MOST_LINES: Final = 20
"""Of a trace; the desk has all."""

_LEGEND: Final = (
    "→ calls  ▣ answers  · works inside  ⇢ sends  ⇠ receives   ░ no span of it ran\n"
    "self: without its children   wire: a call minus its answer   "
    "usual: times the median before the incident"
)
_LEAST_DIGITS: Final = 4
_WIDE: Final = 110
"""From this width on there is room for the time axis."""
_AXIS: Final = 32
_LEAST_LABEL: Final = 24


def trace_tree(
    trace: Trace,
    evidence: Evidence,
    *,
    attributes: bool = False,
    full: bool = False,
    wires: bool = False,
    unfolded: bool = False,
) -> TraceTree:
    """The tree of ``trace``, compared with the reference traces of ``evidence``.

    With ``wires`` the time of each call on the wire is a row of its own; ``unfolded`` gives each
    of many repeats its row.
    """
    found = rows(trace, wires=wires)
    lines = map(FoldedRow, found) if unfolded else folded(list(found))
    return TraceTree(trace, evidence, tuple(lines), attributes=attributes, full=full)


class TraceTree:
    """A renderable that fits itself to the width it is given.

    Span ids are as short as `resolve_span` takes them; whole with ``full`` and
    wherever the output is no terminal.
    """

    def __init__(
        self,
        trace: Trace,
        evidence: Evidence,
        lines: Sequence[FoldedRow],
        *,
        attributes: bool,
        full: bool,
    ) -> None:
        self._trace = trace
        self._evidence = evidence
        self._lines = lines
        self._alike = {id(each.row): each.alike for each in lines if each.alike}
        self._attributes = attributes
        self._full = full
        self._reference = evidence.reference_stats
        self._extent_ns = extent_ns(trace)
        self._told: list[tuple[Mapping[str, AttributeValue], Scope, str]] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw heading, tree and legend."""
        self._told.clear()
        yield self._heading()
        full = self._full or not options.is_terminal
        ids = [span.span_id for span in self._trace]
        short = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
        yield self._table(console, options.max_width, short)
        yield from self._remarks()
        yield from self._lost_lines()
        yield Text(_LEGEND, style="dim")

    def _lost_lines(self) -> Iterator[Text]:
        """What was written inside spans that never came: all that is left of them."""
        lines = self._evidence.lines_of_lost_spans(self._trace)
        if lines:
            yield Text(f"{counted(len(lines), 'log line')} of spans that never came", style="dim")
        for line in lines[:MOST_LINES]:
            said = f"{line.service} {line.severity.lower()}: {line.body.partition(chr(10))[0]}"
            yield Text.assemble("  ", clean(said), (f"  span {clean(line.span_id or '')}", "dim"))

    def _heading(self) -> Text:
        start_ns, end_ns = self._extent_ns
        text = Text.assemble("trace ", (self._trace.trace_id, "cyan"))
        request = self._evidence.request_of.get(self._trace.trace_id)
        if request is None:
            return text.append(f"\n{duration((end_ns - start_ns) / 1e6)} from first to last\n")
        size = f" with {data_size(request.answer_bytes)}" if request.answer_bytes else ""
        text.append("\n" + clean(in_words(request, size)))
        return text.append(f"; {standing(self._evidence.weight(request.trace_id))}\n", style="dim")

    def _table(self, console: Console, width: int, short: dict[str, str]) -> Table:
        wide = width >= _WIDE
        digits = max((len(each) for each in short.values()), default=_LEAST_DIGITS)
        numbers = 3 * 7 + (6 if self._reference.operations else 0)
        axis = _AXIS + 1 if wide else 0
        label_width = max(_LEAST_LABEL, width - digits - 1 - numbers - axis)
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column("id", no_wrap=True, min_width=digits)
        table.add_column("span", no_wrap=True, min_width=min(label_width, _LEAST_LABEL))
        for _ in range(3):
            table.add_column(justify="right", no_wrap=True, min_width=6)
        if self._reference.operations:
            table.add_column(justify="right", no_wrap=True, min_width=5)
        if wide:
            table.add_column(no_wrap=True, min_width=_AXIS)
        heading = ["id", "span", "took", "self", "wire"]
        heading += ["usual"] if self._reference.operations else []
        table.add_row(*(Text(word, style="dim") for word in heading), *([""] if wide else []))
        shown = (each.row for each in self._lines[:MOST_ROWS])
        for row, guides, below in with_guides(shown):
            label = self._label(console, row, guides, below, label_width)
            cells = [label, *self._numbers(row)]
            cells += [self._bar(row)] if wide else []
            table.add_row(_id_of(row, short), *cells)
        return table

    def _label(self, console: Console, row: Row, guides: str, below: str, width: int) -> Text:
        times = len(self._alike.get(id(row), ()))
        lines = [_title(self._trace, row, times), *self._details(row)]
        label = Text()
        for n, line in enumerate(lines):
            room = max(8, width - max(len(guides), len(below)) - 2)
            for m, part in enumerate(line.wrap(console, room, overflow="fold")):
                start = guides if m == 0 and n == 0 else below
                indent = "" if m == 0 and n == 0 else "  "
                part.rstrip()
                label.append("\n" if label else "").append(start, style="dim")
                label.append(indent).append_text(part)
        return label

    def _details(self, row: Row) -> Iterator[Text]:
        span = row.item
        if not isinstance(span, Span):
            return
        if alike := self._alike.get(id(row)):
            yield _of_the_like(alike)
        if row.outlives_parent_ms:
            after = duration(row.outlives_parent_ms)
            yield Text(f"ends {after} after its parent", style="yellow")
        yield from _errors(span)
        for link in span.links:
            yield Text(f"⇢ linked to trace {link.trace_id} span {link.span_id}", style="cyan")
            if self._attributes:
                yield from _pairs({**link.attributes, **context_of(link)}, "  ")
        yield from self._all_of(span) if self._attributes else _events(span)

    def _all_of(self, span: Span) -> Iterator[Text]:
        """Every attribute and event; what made it and where it ran, where that is new."""
        yield from _pairs(span.attributes)
        yield from _pairs(context_of(span), "context ")
        for event in span.events:
            yield Text(_event(span, event), style="magenta")
            yield from _pairs(event.attributes, "  ")
        origin = span.resource, span.scope, span.resource_schema_url
        if origin not in self._told:
            self._told.append(origin)
            scope = span.scope
            if scope.name or scope.version:
                yield Text(f"scope {clean(f'{scope.name} {scope.version}', 160)}", style="dim")
            yield from _pairs(_with_url(scope.attributes, scope.schema_url), "scope ")
            yield from _pairs(_with_url(span.resource, span.resource_schema_url), "resource ")

    def _numbers(self, row: Row) -> list[Text]:
        item = row.item
        usual = [Text("")] if self._reference.operations else []
        if isinstance(item, Missing):
            return [Text("")] * 3 + usual
        if isinstance(item, Gap | Wire):
            return [Text(duration(item.length_ms), style="yellow"), Text(""), Text(""), *usual]
        wire = wire_of(self._trace, item)
        itself = duration(self._trace.self_time_ms(item)) if item.is_timed else ""
        return [
            Text(took(item), style="" if item.is_timed else "yellow"),
            Text(itself, style="dim"),
            Text("" if wire is None else duration(wire.length_ms), style="dim"),
            *([self._usual(item)] if usual else []),
        ]

    def _usual(self, span: Span) -> Text:
        stats = self._reference.for_span(span)
        if stats is None:
            is_new = self._reference.is_new(span, self._trace)
            return Text("new" if is_new else "", style="yellow")
        times = stats.times(span.duration_ms)
        if times is None:
            return Text("")
        return Text(times_usual(times), style="bold yellow" if times >= 2 else "dim")

    def _bar(self, row: Row) -> Text:
        item = row.item
        first_ns, last_ns = self._extent_ns
        if isinstance(item, Missing) or last_ns <= first_ns:
            return Text("")
        if isinstance(item, Wire):
            return Text(self._cells("░", *item.stretches_ns), style="yellow")
        stretch = item.start_ns, item.end_ns
        if isinstance(item, Gap):
            return Text(self._cells("░", stretch), style="yellow")
        if item.is_undated:
            return Text("")
        colour = "red" if item.status is Status.ERROR else "blue"
        if item.is_unfinished:
            return Text(self._cells("╌", (item.start_ns, last_ns)), colour)
        return Text(self._cells("━", stretch), colour)

    def _cells(self, mark: str, *stretches_ns: tuple[int, int]) -> str:
        """The time axis with ``mark`` wherever a stretch is, in one cell at least."""
        first_ns, last_ns = self._extent_ns
        cell_ns = (last_ns - first_ns) / _AXIS
        cells = [" "] * _AXIS
        for start_ns, end_ns in stretches_ns:
            start = min(_AXIS - 1, int((start_ns - first_ns) / cell_ns))
            length = max(1, round((end_ns - start_ns) / cell_ns))
            cells[start : start + length] = [mark] * min(length, _AXIS - start)
        return "".join(cells).rstrip()

    def _remarks(self) -> Iterator[Text]:
        trace = self._trace
        more = len(self._lines) - MOST_ROWS
        if more > 0:
            yield Text(f"… and {more} more rows; --json has them all")
        if self._alike:
            hidden = sum(len(alike) - 1 for alike in self._alike.values())
            yield Text(f"× {hidden} repeats are folded; --all gives each its row", style="dim")
        if (apart_ms := most_apart_ms(trace)) > 0:
            told = (
                f"▲ clocks apart by {duration(apart_ms)} at least: a span begins before its caller"
            )
            yield Text(told, style="yellow")
        for word, number in (
            ("end: unfinished, drawn to the end of the trace", _count(trace, "is_unfinished")),
            ("start: not drawn", _count(trace, "is_undated")),
        ):
            if number:
                yield Text(f"╌ {counted(number, 'span')} without {word}", style="yellow")
        count = counted(len(trace.by_id), "span")
        if trace.is_whole and silent_callees(trace, self._reference.speakers):
            yield Text(why(trace, Seal.SEALED, self._reference.speakers), style="yellow")
            return
        if trace.is_whole:
            yield Text(f"{count}, none missing")
            return
        problems = [f"{counted(len(trace.roots), 'span')} without a parent instead of one"]
        problems = problems if len(trace.roots) != 1 else []
        problems += ["a span is its own ancestor"] if trace.is_cyclic else []
        problems += [f"parent {each} never came" for each in sorted(trace.missing_parents)[:3]]
        yield Text(f"{count}, NOT WHOLE: {'; '.join(problems)}", style="bold yellow")


def _id_of(row: Row, short: dict[str, str]) -> Text:
    return Text(short[row.item.span_id] if isinstance(row.item, Span) else "", style="cyan")


def _title(trace: Trace, row: Row, times: int) -> Text:
    item = row.item
    if isinstance(item, Missing):
        return Text(f"? parent {item.span_id} never came", style="bold yellow")
    if isinstance(item, Gap):
        return Text("░ no span", style="yellow")
    if isinstance(item, Wire):
        return Text(f"⇄ on the wire to {clean(item.answer.service, 40)} and back", style="yellow")
    mark, style = MARKS[item.status]
    title = Text(f"×{times} " if times else "", style="bold yellow")
    title.append(f"{mark} " if mark else "", style=style)
    title.append(f"{KIND_MARKS[item.kind]} ", style="dim")
    title.append_text(service_text(item.service)).append(" ")
    title.append(
        clean(operation_without_statement(trace, item), 120) or "(no name)", style="default"
    )
    if item.peer:
        title.append(f" ({clean(item.peer, 40)})", style="dim")
    if answered := _answered(item):
        title.append(f" {answered}", style="dim")
    return title


def _answered(span: Span) -> str:
    """How much came back, where the span says so: bytes of a body, or rows."""
    for key, say in _SIZES.items():
        if type(size := span.attributes.get(key)) is int:
            return say(size)
    return ""


_SIZES: Final[Mapping[str, Callable[[int], str]]] = {
    "http.response.body.size": data_size,
    "db.response.returned_rows": lambda rows: counted(rows, "row"),
}


def _of_the_like(alike: Sequence[Span]) -> Text:
    took = [each.duration_ms for each in alike]
    each = f"{duration(min(took))} to {duration(max(took))} each, {duration(sum(took))} together"
    return Text(f"the slowest of {len(alike)}: {each}", style="yellow")


def _events(span: Span) -> Iterator[Text]:
    """Its events in a line each; exceptions are told as errors."""
    found = [event for event in span.events if event.name != "exception"]
    for event in found[:MOST_EVENTS]:
        said = ", ".join(f"{key}={value_text(value)}" for key, value in event.attributes.items())
        line = f"{_event(span, event)}{f' ({clean(said, 160)})' if said else ''}"
        yield Text(line, style="magenta")
    if len(found) > MOST_EVENTS:
        yield Text(f"◆ {len(found) - MOST_EVENTS} more events; --attributes has them", "magenta")


def _event(span: Span, event: Event) -> str:
    after = duration((event.time_ns - span.start_ns) / 1e6) if span.start_ns else "?"
    return f"◆ {clean(event.name, 120) or '(no name)'} at {after}"


def _pairs(attributes: Mapping[str, AttributeValue], before: str = "") -> Iterator[Text]:
    for key, value in sorted(attributes.items()):
        yield Text(f"{before}{clean(key, 120)} = {clean(value_text(value), 300)}", style="dim")


def _with_url(
    attributes: Mapping[str, AttributeValue], schema_url: str
) -> Mapping[str, AttributeValue]:
    return {**attributes, "schema url": schema_url} if schema_url else attributes


def _count(trace: Trace, mark: str) -> int:
    return sum(getattr(span, mark) for span in trace)


def _errors(span: Span) -> Iterator[Text]:
    exceptions = [event for event in span.events if event.name == "exception"]
    for event in exceptions:
        kind = clean(str(event.attributes.get("exception.type", "exception")), 80)
        message = clean(str(event.attributes.get("exception.message", "")), 200)
        yield Text(f"! {kind}: {message}" if message else f"! {kind}", style="red")
    if span.status_message and not exceptions:
        yield Text(f"! {clean(span.status_message, 200)}", style="red")
