"""Charts as numbers: where each bar, line and point stands. Drawn by ``charts.html``.

Across, places are percentages, so that a chart is as wide as its page; down, they are pixels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from lab.domain.evidence import Interval
from lab.domain.load import Request
from lab.domain.wording import counted, duration
from lab.frozen import dataclass
from lab.investigation.reading.edge_signals import Bucket, Restart, Signals, Stretch
from lab.investigation.reading.requests import outcome_of

WIDTH: Final = 100.0
"""Percent of the drawing, and the units of whatever is stretched over it."""

HEIGHT: Final = 150
TALL: Final = 260
"""The height of a scatter in pixels; points need more room than a line."""

_TOP: Final = 24
_BOTTOM: Final = 22

MOST_POINTS: Final = 2_000
"""What is more is counted by place: so many points hide each other, and cost a browser time."""

HEAT_COLUMNS: Final = 120
HEAT_ROWS: Final = 24
HEAT_LEVELS: Final = 5
MOST_STRETCHES: Final = 60
"""So many parts of the time can be chosen by a click; by dragging, any part."""

_ROUND_S: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_ROUND_MS: Final = tuple(digit * 10.0**power for power in range(-2, 8) for digit in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the drawing; ``kind`` becomes its class, ``says`` its title or label."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of the time, from top to bottom of the drawing; it may lead to its requests."""

    x: float
    width: float
    start_s: float
    end_s: float
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """Points of a polyline as SVG writes them; a gap in the data begins another line."""

    points: str
    kind: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis, and where."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Series:
    """One of a chart's quantities: its name, the class it is drawn with, and its value."""

    name: str
    kind: str
    value: Callable[[Bucket], float | None]


@dataclass(frozen=True, slots=True)
class Frame:
    """What any drawing over time stands in; times in seconds since the first window's start."""

    start_s: float
    end_s: float
    height: int
    base: int
    shades: tuple[Box, ...]
    slots: tuple[Slot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    top: int = _TOP


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole drawing, and the table that says the same: a row for each slot.

    ``restarts`` are labels at places across; several may share a place.
    """

    key: str
    title: str
    frame: Frame
    legend: tuple[Series, ...]
    bars: tuple[Box, ...]
    lines: tuple[Line, ...]
    restarts: tuple[Tick, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something did not go well: percent across, pixels down; ``kind`` is the outcome."""

    x: float
    y: float
    kind: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """Latency over time, on a logarithmic scale from ``low_ms`` at the base to ``high_ms``.

    ``dots`` has a stroke of no length for each request that is ok, in thousandths of the width
    and in pixels. Above `MOST_POINTS` it is empty: then ``heat`` has the cells of each level of
    crowd, in columns and rows from the top, and a mark says that some of a cell did not go well.
    """

    frame: Frame
    low_ms: float
    high_ms: float
    counts: Mapping[str, int]
    dots: str
    heat: tuple[str, ...]
    marks: tuple[Mark, ...]


def three_signals(
    signals: Signals,
    *,
    fault: Sequence[tuple[float, float]] = (),
    restarts: Sequence[Restart] = (),
) -> tuple[Chart, ...]:
    """Request rate, errors and latency; ``fault`` marks when harm was on, once that is no secret.

    ``fault`` counts in seconds as the signals do. ``restarts`` are what spans tell anybody.
    """
    step_s = signals.step_s
    across = _Across(0.0, signals.end_s)
    harm = tuple(_shade(across, each, "fault", "") for each in fault)
    ticks = tuple(Tick(across.x(each.by_s), f"{each.service} restarted") for each in restarts)
    draw = _Drawing(signals, across, (*_windows(signals.windows, across), *harm), ticks)
    rate = (Series("requests/s", "all", lambda each: each.requests / step_s),)
    errors = (
        Series("errors/s", "error", lambda each: each.errors / step_s),
        Series("rejected/s", "rejected", lambda each: each.rejected / step_s),
    )
    latency = (
        Series("p95", "p95", lambda each: each.p95_ms),
        Series("median", "p50", lambda each: each.p50_ms),
    )
    return (
        draw.bars("rate", "Requests per second", rate),
        draw.bars("errors", "Errors per second", errors),
        draw.lines("latency", "Latency", latency),
    )


class _Across:
    """From seconds to percent of the width."""

    def __init__(self, start_s: float, end_s: float) -> None:
        self.start_s = start_s
        self.end_s = end_s if end_s > start_s else start_s + 1.0

    def x(self, at_s: float) -> float:
        share = (at_s - self.start_s) / (self.end_s - self.start_s)
        return round(WIDTH * min(1.0, max(0.0, share)), 2)

    def span(self, start_s: float, end_s: float) -> tuple[float, float]:
        start = self.x(start_s)
        return start, round(self.x(end_s) - start, 2)

    def step_s(self, most: int) -> float:
        """A round length of which at most so many fit."""
        long_s = self.end_s - self.start_s
        return next((each for each in _ROUND_S if long_s / each <= most), long_s / most)

    def ticks(self) -> tuple[Tick, ...]:
        """Round moments, at most nine of them."""
        step_s = self.step_s(7)
        first, last = math.ceil(self.start_s / step_s), math.floor(self.end_s / step_s + 1e-9)
        moments = (round(n * step_s, 3) for n in range(first, last + 1))
        return tuple(Tick(self.x(at), f"{at:g} s") for at in moments)


class _Drawing:
    """What the three charts share: one time axis, its windows, and what was restarted."""

    def __init__(
        self,
        signals: Signals,
        across: _Across,
        shades: tuple[Box, ...],
        restarts: tuple[Tick, ...],
    ) -> None:
        self._signals = signals
        self._across = across
        self._shades = shades
        self._restarts = restarts

    def bars(self, key: str, title: str, series: tuple[Series, ...]) -> Chart:
        """Bars, the series on top of each other."""
        buckets = self._signals.buckets
        most = _nice(max((sum(_values(each, series)) for each in buckets), default=0.0))
        bars = []
        for bucket in buckets:
            below = 0.0
            x, width = self._across.span(bucket.start_s, bucket.start_s + self._signals.step_s)
            for each in series:
                value = each.value(bucket) or 0.0
                if value:
                    y, foot = _y(below + value, most), _y(below, most)
                    kind, thick = each.kind, round(0.84 * width, 2)
                    bars.append(Box(round(x + 0.08 * width, 2), y, thick, foot - y, kind))
                below += value
        return self._chart(key, title, series, most, _number, bars=tuple(bars))

    def lines(self, key: str, title: str, series: tuple[Series, ...]) -> Chart:
        """Lines through the middle of each bucket, broken where nothing was measured."""
        buckets = self._signals.buckets
        most = _nice(max((value for each in buckets for value in _values(each, series)), default=0))
        lines = [Line(each, one.kind) for one in series for each in self._strokes(one, most)]
        return self._chart(key, title, series, most, duration, lines=tuple(lines))

    def _strokes(self, series: Series, most: float) -> Iterable[str]:
        points: list[str] = []
        for bucket in self._signals.buckets:
            value = series.value(bucket)
            if value is not None:
                x = self._across.x(bucket.start_s + self._signals.step_s / 2)
                points.append(f"{x:g},{_y(value, most):g}")
            elif points:
                yield _visible(points)
                points = []
        if points:
            yield _visible(points)

    def _chart(
        self,
        key: str,
        title: str,
        series: tuple[Series, ...],
        most: float,
        word: Callable[[float], str],
        bars: tuple[Box, ...] = (),
        lines: tuple[Line, ...] = (),
    ) -> Chart:
        buckets, step_s = self._signals.buckets, self._signals.step_s
        headings = ("from", "window", *(each.name for each in series))
        rows = tuple(_row(each, series, word) for each in buckets)
        slots = tuple(
            Slot(*self._across.span(at_s, at_s + step_s), at_s, at_s + step_s, _says(headings, row))
            for at_s, row in zip((each.start_s for each in buckets), rows, strict=True)
        )
        y_ticks = (Tick(_y(most * n / 2, most), word(most * n / 2) if n else "0") for n in range(3))
        frame = Frame(
            self._across.start_s,
            self._across.end_s,
            HEIGHT,
            HEIGHT - _BOTTOM,
            self._shades,
            slots,
            self._across.ticks(),
            tuple(y_ticks),
        )
        return Chart(key, title, frame, series, bars, lines, self._restarts, headings, rows)


def _visible(points: list[str]) -> str:
    """A line through one point has no length; with its point twice, round caps make it a dot."""
    return " ".join(points if len(points) > 1 else points * 2)


def _y(value: float, most: float) -> float:
    base = HEIGHT - _BOTTOM
    return round(base - (base - _TOP) * value / most, 1)


def _windows(windows: Sequence[Stretch], across: _Across, height: int = HEIGHT) -> tuple[Box, ...]:
    return tuple(
        _shade(across, (each.start_s, each.end_s), f"window {each.word}", each.word, height)
        for each in windows
        if each.start_s < across.end_s and across.start_s < each.end_s
    )


def _shade(
    across: _Across, span_s: tuple[float, float], kind: str, says: str, height: int = HEIGHT
) -> Box:
    x, width = across.span(*span_s)
    return Box(x, _TOP, width, height - _BOTTOM - _TOP, kind, says)


def _row(
    bucket: Bucket, series: tuple[Series, ...], word: Callable[[float], str]
) -> tuple[str, ...]:
    values = (each.value(bucket) for each in series)
    told = ("" if value is None else word(value) for value in values)
    return (f"{bucket.start_s:g} s", bucket.window or "", *told)


def _says(headings: tuple[str, ...], row: tuple[str, ...]) -> str:
    named = zip(headings[2:], row[2:], strict=True)
    told = ", ".join(f"{name} {value}" for name, value in named if value)
    where = f" ({row[1]})" if row[1] else ""
    return f"{row[0]}{where}: {told or 'no request'}"


def _values(bucket: Bucket, series: tuple[Series, ...]) -> list[float]:
    values = (each.value(bucket) for each in series)
    return [value for value in values if value is not None]


def _nice(highest: float) -> float:
    """The next 1, 2, 5 or 10 times a power of ten: an axis that ends on a round number."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return float(
        next(
            step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= highest
        )
    )


def _number(value: float) -> str:
    return f"{value:g}" if value == round(value, 1) else f"{value:.1f}"


# --- latency over time, request by request ---


def scatter(
    requests: Sequence[Request], windows: Sequence[Stretch], zero_s: float, across_s: Interval
) -> Scatter:
    """Every request, or how many there are where, between two moments of the time axis.

    ``zero_s`` is where the axis begins, in Unix seconds, and ``across_s`` counts from there.
    """
    across = _Across(across_s.start_s, across_s.end_s)
    down = _Down([each.latency_ms for each in requests])
    places = [(each.start_s - zero_s, each.latency_ms, outcome_of(each)) for each in requests]
    step_s = across.step_s(MOST_STRETCHES)
    crowd = Counter(int((at_s - across.start_s) / step_s) for at_s, _, _ in places)
    starts = (across.start_s + n * step_s for n in range(MOST_STRETCHES + 1))
    slots = tuple(
        Slot(
            *across.span(at_s, at_s + step_s),
            round(at_s, 3),
            round(at_s + step_s, 3),
            f"from {at_s:g} s: {counted(crowd[n], 'request')}",
        )
        for n, at_s in enumerate(starts)
        if at_s < across.end_s - 1e-9
    )
    shades, ticks = _windows(windows, across, TALL), down.ticks()
    base = TALL - _BOTTOM
    frame = Frame(across.start_s, across.end_s, TALL, base, shades, slots, across.ticks(), ticks)
    counts = Counter(outcome for _, _, outcome in places)
    drawn = _crowded if len(places) > MOST_POINTS else _scattered
    return Scatter(frame, down.low_ms, down.high_ms, counts, *drawn(places, across, down))


class _Down:
    """From latencies to pixels: logarithmic, between round numbers that hold them all."""

    def __init__(self, latencies: Sequence[float]) -> None:
        least, most = min(latencies, default=1.0), max(latencies, default=100.0)
        self.low_ms = max((each for each in _ROUND_MS if each <= least), default=_ROUND_MS[0])
        above = (each for each in _ROUND_MS if each >= most and each > self.low_ms)
        self.high_ms = next(above, _ROUND_MS[-1])
        self.ratio = math.log(self.high_ms / self.low_ms)

    def share(self, latency_ms: float) -> float:
        """0 at the base, 1 at the top."""
        return min(1.0, math.log(max(latency_ms, self.low_ms) / self.low_ms) / self.ratio)

    def y(self, latency_ms: float) -> float:
        return round(TALL - _BOTTOM - (TALL - _BOTTOM - _TOP) * self.share(latency_ms), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """All round numbers, or where they are many, powers of ten."""
        found = [each for each in _ROUND_MS if self.low_ms <= each <= self.high_ms]
        tens = [each for each in found if math.log10(each) % 1 == 0]
        shown = found if len(found) <= 6 else tens
        return tuple(Tick(self.y(each), duration(each)) for each in shown)


_Places = Sequence[tuple[float, float, str]]
"""When in seconds of the axis, how long in ms, and the outcome."""

_Drawn = tuple[str, tuple[str, ...], tuple[Mark, ...]]


def _scattered(places: _Places, across: _Across, down: _Down) -> _Drawn:
    at = [(across.x(at_s), down.y(ms), outcome) for at_s, ms, outcome in places]
    dots = "".join(f"M{10 * x:.0f} {y:g}h0" for x, y, outcome in at if outcome == "ok")
    return dots, (), tuple(Mark(*each) for each in at if each[2] != "ok")


def _crowded(places: _Places, across: _Across, down: _Down) -> _Drawn:
    per_s = HEAT_COLUMNS / (across.end_s - across.start_s)
    per_log, low_ms, start_s = HEAT_ROWS / down.ratio, down.low_ms, across.start_s
    counts = Counter(
        (int(per_s * (at_s - start_s)), int(per_log * math.log(max(ms, low_ms) / low_ms)), outcome)
        for at_s, ms, outcome in places
    )
    crowd: Counter[tuple[int, int]] = Counter()
    worst: dict[tuple[int, int], str] = {}
    for (column, up, outcome), number in counts.items():
        cell = min(HEAT_COLUMNS - 1, column), max(0, HEAT_ROWS - 1 - up)
        crowd[cell] += number
        if outcome != "ok" and worst.get(cell) != "error":
            worst[cell] = outcome
    levels = [""] * HEAT_LEVELS
    fullest = math.log(max(crowd.values()) + 1)
    for (column, row), number in sorted(crowd.items()):
        level = min(HEAT_LEVELS - 1, int(HEAT_LEVELS * math.log(number) / fullest))
        levels[level] += f"M{column} {row}h1v1h-1z"
    tall = (TALL - _BOTTOM - _TOP) / HEAT_ROWS
    marks = tuple(
        Mark(round((c + 0.5) * WIDTH / HEAT_COLUMNS, 2), round(_TOP + (r + 0.5) * tall, 1), kind)
        for (c, r), kind in sorted(worst.items())
    )
    return "", tuple(levels), marks
