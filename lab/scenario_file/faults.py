"""Faults and their dice as a scenario writes them: one model a toxic, for its attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from lab.domain.fault import (
    MOST_THROWS,
    TOXIC_LIMITS,
    TOXICITY_DECIMALS,
    Dice,
    Fault,
    Limits,
    Stream,
    Toxic,
)
from lab.domain.schedule import Schedule
from lab.scenario_file.checks import PredicateEntry
from lab.scenario_file.values import (
    Count,
    CountBound,
    EdgeName,
    Entry,
    Refused,
    Seconds,
    StreamWord,
    Text,
    ToxicWord,
    count,
    refuse_each,
    whole_ms,
    whole_us,
)


def _limits(toxic: Toxic, attribute: str) -> Limits:
    return TOXIC_LIMITS[toxic][attribute]


class DiceEntry(Entry):
    """How the roll of a fractional fault is read from the warm-up's traces, and when it is fair."""

    edge: EdgeName = Field(description="The edge of that fault.")
    of: PredicateEntry = Field(description="A span of a connection that was hit.")
    by: Text = Field(min_length=1, description="The attribute that tells connections apart.")
    values: CountBound = Field(description="How many values of it must be hit.")
    throws: Annotated[Count, Field(ge=1, le=MOST_THROWS)] = Field(
        MOST_THROWS, description="How often the dice fall at most before the run is incomplete."
    )

    def dice(self) -> Dice:
        """As the domain has it."""
        return Dice(self.edge, self.of.predicate(), self.by, self.values, self.throws)


class ScheduleEntry(Entry):
    """When a fault comes and goes, counted from the moment all settings and faults are in place."""

    start: Seconds = Field(0.0, description="It comes so long after that moment.")
    on: Seconds | None = Field(None, description="It stays so long; default: until the end.")
    every: Seconds | None = Field(
        None, description="It comes again so long after it was due; default: never."
    )
    jitter: Seconds = Field(
        0.0, description="Each time it is put off by up to this, as the run's seed decides."
    )

    @model_validator(mode="after")
    def _can_be_kept(self) -> ScheduleEntry:
        problems = self.schedule().problems()
        if problems:
            raise Refused("; ".join(problems))
        return self

    @property
    def latest_s(self) -> float:
        """When it comes for the first time, if the jitter is all that it may be."""
        return self.start + self.jitter

    def schedule(self) -> Schedule:
        """As the domain has it."""
        return Schedule(self.start, self.on, self.every, self.jitter)


class HarmEntry(Entry):
    """What every fault has; without `schedule` it is on for as long as its window lasts."""

    edge: EdgeName
    schedule: ScheduleEntry | None = None

    def _schedule(self) -> Schedule | None:
        return self.schedule.schedule() if self.schedule else None


class DownEntry(HarmEntry):
    """The edge is cut: nothing listens where the caller connects."""

    down: Literal[True]

    def fault(self) -> Fault:
        """As the domain has it."""
        return Fault(self.edge, None, schedule=self._schedule())


class ToxicEntry(HarmEntry):
    """What every toxic has; `toxicity` is rolled once a connection, not once a request."""

    toxic: ToxicWord
    stream: StreamWord = Stream.DOWNSTREAM
    toxicity: float = Field(
        1.0, gt=0, le=1, strict=True, description=f"At most {TOXICITY_DECIMALS} decimals."
    )

    @field_validator("toxicity")
    @classmethod
    def _keeps_its_digits(cls, value: float) -> float:
        if round(value, TOXICITY_DECIMALS) != value:
            raise Refused(f"expected at most {TOXICITY_DECIMALS} decimals, got {value!r}")
        return value

    def fault(self) -> Fault:
        """As the domain has it."""
        attributes = {name: getattr(self, name) for name in TOXIC_LIMITS[self.toxic]}
        return Fault(
            self.edge, self.toxic, attributes, self.stream, self.toxicity, self._schedule()
        )


class LatencyEntry(ToxicEntry):
    """Every message is late, one way."""

    toxic: Literal[Toxic.LATENCY]
    latency: Annotated[int, *whole_ms(_limits(Toxic.LATENCY, "latency"))]
    jitter: Annotated[int, *whole_ms(_limits(Toxic.LATENCY, "jitter"))] = 0


class BandwidthEntry(ToxicEntry):
    """So many kB a second and no more."""

    toxic: Literal[Toxic.BANDWIDTH]
    rate: Annotated[int, *count(_limits(Toxic.BANDWIDTH, "rate"))] = Field(description="kB/s")


class SlowCloseEntry(ToxicEntry):
    """A close is passed on late."""

    toxic: Literal[Toxic.SLOW_CLOSE]
    delay: Annotated[int, *whole_ms(_limits(Toxic.SLOW_CLOSE, "delay"))]


class TimeoutEntry(ToxicEntry):
    """Nothing gets through; the connection is closed after `timeout`, with 0ms never."""

    toxic: Literal[Toxic.TIMEOUT]
    timeout: Annotated[int, *whole_ms(_limits(Toxic.TIMEOUT, "timeout"))]


class ResetPeerEntry(ToxicEntry):
    """The connection is reset after `timeout`, at the first data in its direction."""

    toxic: Literal[Toxic.RESET_PEER]
    timeout: Annotated[int, *whole_ms(_limits(Toxic.RESET_PEER, "timeout"))]


class SlicerEntry(ToxicEntry):
    """Data comes in slices, with a pause between two."""

    toxic: Literal[Toxic.SLICER]
    average_size: Annotated[int, *count(_limits(Toxic.SLICER, "average_size"))] = Field(
        description="bytes"
    )
    size_variation: Annotated[int, *count(_limits(Toxic.SLICER, "size_variation"))] = Field(
        0, description="bytes, at most `average_size`"
    )
    delay: Annotated[int, *whole_us(_limits(Toxic.SLICER, "delay"))]

    @model_validator(mode="after")
    def _cuts_within(self) -> SlicerEntry:
        problem = self.fault().slicing_problem()
        refuse_each({("size_variation",): problem} if problem else {})
        return self


class LimitDataEntry(ToxicEntry):
    """The connection is closed after so many bytes."""

    toxic: Literal[Toxic.LIMIT_DATA]
    bytes: Annotated[int, *count(_limits(Toxic.LIMIT_DATA, "bytes"))]


class UnknownToxicEntry(ToxicEntry):
    """Chosen where the toxic is missing or misspelt, so that exactly this is said of it."""

    model_config = ConfigDict(extra="allow")


_TOXIC_ENTRIES: Final = frozenset(str(toxic) for toxic in Toxic)


def _kind_of_fault(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "<unknown>"
    if "down" in value:
        return "<down>"
    toxic = value.get("toxic")
    return f"<{toxic}>" if isinstance(toxic, str) and toxic in _TOXIC_ENTRIES else "<unknown>"


FaultEntry = Annotated[
    Annotated[DownEntry, Tag("<down>")]
    | Annotated[LatencyEntry, Tag("<latency>")]
    | Annotated[BandwidthEntry, Tag("<bandwidth>")]
    | Annotated[SlowCloseEntry, Tag("<slow_close>")]
    | Annotated[TimeoutEntry, Tag("<timeout>")]
    | Annotated[ResetPeerEntry, Tag("<reset_peer>")]
    | Annotated[SlicerEntry, Tag("<slicer>")]
    | Annotated[LimitDataEntry, Tag("<limit_data>")]
    | SkipJsonSchema[Annotated[UnknownToxicEntry, Tag("<unknown>")]],
    Discriminator(_kind_of_fault),
]
