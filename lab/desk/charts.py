"""Charts as numbers: where each bar, line and label of an SVG stands. Drawn by ``charts.html``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.domain.wording import duration
from lab.investigation.reading.edge_signals import Bucket, Signals

WIDTH: Final = 440
HEIGHT: Final = 180
_LEFT: Final = 52
_RIGHT: Final = 10
_TOP: Final = 26
_BOTTOM: Final = 26


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
class Chart:
    """A whole drawing, and the table that says the same."""

    key: str
    title: str
    legend: tuple[Series, ...]
    shades: tuple[Box, ...]
    bars: tuple[Box, ...]
    lines: tuple[Line, ...]
    slots: tuple[Box, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    base: int = HEIGHT - _BOTTOM
    top: int = _TOP


def three_signals(
    signals: Signals, *, fault: Sequence[tuple[float, float]] = ()
) -> tuple[Chart, ...]:
    """Request rate, errors and latency; ``fault`` marks when harm was on, once that is no secret.

    ``fault`` counts in seconds as the signals do.
    """
    step_s = signals.step_s
    rate = (Series("requests/s", "all", lambda each: each.requests / step_s),)
    errors = (
        Series("errors/s", "error", lambda each: each.errors / step_s),
        Series("rejected/s", "rejected", lambda each: each.rejected / step_s),
    )
    latency = (
        Series("p95", "p95", lambda each: each.p95_ms),
        Series("median", "p50", lambda each: each.p50_ms),
    )
    shades = (*_windows(signals), *_fault(signals, fault))
    return (
        _bars("rate", "Requests per second", signals, rate, shades),
        _bars("errors", "Errors per second", signals, errors, shades),
        _lines("latency", "Latency", signals, latency, shades),
    )


def _bars(
    key: str, title: str, signals: Signals, series: tuple[Series, ...], shades: tuple[Box, ...]
) -> Chart:
    """Bars, the series on top of each other."""
    highest = max((sum(_values(each, series)) for each in signals.buckets), default=0.0)
    scale = _Scale(signals, _nice(highest))
    bars = []
    for bucket in signals.buckets:
        below = 0.0
        for each in series:
            value = each.value(bucket) or 0.0
            if value:
                x, width = scale.span(bucket.start_s, signals.step_s)
                y, foot = scale.y(below + value), scale.y(below)
                bars.append(Box(x + 0.75, y, max(0.5, width - 1.5), foot - y, each.kind))
            below += value
    return _chart(key, title, signals, series, shades, scale, _number, bars=tuple(bars))


def _lines(
    key: str, title: str, signals: Signals, series: tuple[Series, ...], shades: tuple[Box, ...]
) -> Chart:
    """Lines through the middle of each bucket, broken where nothing was measured."""
    highest = max((value for each in signals.buckets for value in _values(each, series)), default=0)
    scale = _Scale(signals, _nice(highest))
    lines = [
        Line(points, each.kind) for each in series for points in _strokes(signals, each, scale)
    ]
    return _chart(key, title, signals, series, shades, scale, duration, lines=tuple(lines))


def _strokes(signals: Signals, series: Series, scale: _Scale) -> Iterable[str]:
    points: list[str] = []
    for bucket in signals.buckets:
        value = series.value(bucket)
        if value is not None:
            x = scale.x(bucket.start_s + signals.step_s / 2)
            points.append(f"{x:.1f},{scale.y(value):.1f}")
        elif points:
            yield _visible(points)
            points = []
    if points:
        yield _visible(points)


def _visible(points: list[str]) -> str:
    """A line through one point has no length; with its point twice, round caps make it a dot."""
    return " ".join(points if len(points) > 1 else points * 2)


def _chart(
    key: str,
    title: str,
    signals: Signals,
    series: tuple[Series, ...],
    shades: tuple[Box, ...],
    scale: _Scale,
    word: Callable[[float], str],
    bars: tuple[Box, ...] = (),
    lines: tuple[Line, ...] = (),
) -> Chart:
    rows = tuple(
        (
            f"{bucket.start_s:g} s",
            bucket.window or "",
            *("" if value is None else word(value) for value in _all(bucket, series)),
        )
        for bucket in signals.buckets
    )
    slots = tuple(
        Box(*_slot(scale, bucket, signals.step_s), "slot", _says(bucket, series, word))
        for bucket in signals.buckets
    )
    return Chart(
        key=key,
        title=title,
        legend=series,
        shades=shades,
        bars=bars,
        lines=lines,
        slots=slots,
        x_ticks=tuple(Tick(scale.x(at), f"{at:g} s") for at in _every(signals.end_s)),
        y_ticks=tuple(_y_tick(scale, share, word) for share in (0.0, 0.5, 1.0)),
        headings=("from", "window", *(each.name for each in series)),
        rows=rows,
    )


def _y_tick(scale: _Scale, share: float, word: Callable[[float], str]) -> Tick:
    value = share * scale.most
    return Tick(scale.y(value), word(value) if value else "0")


class _Scale:
    """From seconds and values to places in the drawing."""

    def __init__(self, signals: Signals, most: float) -> None:
        self._end_s = signals.end_s or 1.0
        self.most = most

    def x(self, at_s: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * at_s / self._end_s, 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * value / self.most, 1)

    def span(self, start_s: float, length_s: float) -> tuple[float, float]:
        start = self.x(start_s)
        return start, round(self.x(start_s + length_s) - start, 1)


def _slot(scale: _Scale, bucket: Bucket, step_s: float) -> tuple[float, float, float, float]:
    x, width = scale.span(bucket.start_s, step_s)
    return x, _TOP, width, HEIGHT - _BOTTOM - _TOP


def _windows(signals: Signals) -> tuple[Box, ...]:
    scale = _Scale(signals, 1.0)
    return tuple(
        Box(*_across(scale, each.start_s, each.end_s), f"window {each.word}", each.word)
        for each in signals.windows
    )


def _fault(signals: Signals, fault: Sequence[tuple[float, float]]) -> tuple[Box, ...]:
    scale = _Scale(signals, 1.0)
    return tuple(Box(*_across(scale, start, end), "fault", "") for start, end in fault)


def _across(scale: _Scale, start_s: float, end_s: float) -> tuple[float, float, float, float]:
    x, width = scale.span(start_s, end_s - start_s)
    return x, _TOP, width, HEIGHT - _BOTTOM - _TOP


def _says(bucket: Bucket, series: tuple[Series, ...], word: Callable[[float], str]) -> str:
    told = ", ".join(
        f"{each.name} {word(value)}"
        for each, value in zip(series, _all(bucket, series), strict=True)
        if value is not None
    )
    where = f" ({bucket.window})" if bucket.window else ""
    return f"{bucket.start_s:g} s{where}: {told or 'no request'}"


def _all(bucket: Bucket, series: tuple[Series, ...]) -> list[float | None]:
    return [each.value(bucket) for each in series]


def _values(bucket: Bucket, series: tuple[Series, ...]) -> list[float]:
    return [value for value in _all(bucket, series) if value is not None]


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


def _every(end_s: float) -> list[float]:
    """Round moments, at most nine of them."""
    step_s = next((step for step in (1, 2, 5, 10, 20, 30, 60, 120, 300) if end_s / step <= 7), 600)
    return [float(n * step_s) for n in range(int(end_s / step_s) + 1)]


def _number(value: float) -> str:
    return f"{value:g}" if value == round(value, 1) else f"{value:.1f}"
