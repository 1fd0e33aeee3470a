"""The load of a ``scenario.yaml``: who visits, how fast, and with what bursts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Discriminator, Field, Tag, model_validator

from lab.domain.load import Burst, Job, LoadShape
from lab.scenario_file.values import (
    MOST_LOAD,
    ActorName,
    Arrivals,
    Count,
    Entry,
    JobName,
    Refused,
    Seconds,
)

SHORTEST_EVERY_S: Final = 1.0


class BurstEntry(Entry):
    """So many arrivals more than the open loop has anyway, once or again and again."""

    size: Annotated[Count, Field(gt=0, le=MOST_LOAD)]
    at: Seconds = Field(0.0, description="When its first visitor comes, counted in each window.")
    over: Seconds = Field(0.0, description="How long it takes; by default all come at once.")
    every: Annotated[Seconds, Field(ge=SHORTEST_EVERY_S)] | None = Field(
        None, description="From one such burst to the next; by default there is one."
    )

    @model_validator(mode="after")
    def _over_before_the_next(self) -> BurstEntry:
        if self.every is not None and self.over > self.every:
            raise Refused(
                "expected it to be over before it comes again, "
                f"got {self.over:g}s and every {self.every:g}s"
            )
        return self

    def burst(self) -> Burst:
        """As the load generator takes it."""
        return Burst(self.size, self.at, self.over, self.every)


class JobEntry(Entry):
    """The timetable of an actor that comes by the clock, counted in each window."""

    at: Seconds = Field(0.0, description="When it comes for the first time.")
    every: Annotated[Seconds, Field(ge=SHORTEST_EVERY_S)]
    holds: Seconds = Field(description="How long it holds on to what it works on.")

    @model_validator(mode="after")
    def _through_before_the_next(self) -> JobEntry:
        if self.holds >= self.every:
            raise Refused(
                "expected it to be through before it comes again, "
                f"got {self.holds:g}s and every {self.every:g}s"
            )
        return self

    def job(self) -> Job:
        """As the load generator takes it."""
        return Job(self.at, self.every, self.holds)


class LoadEntry(Entry):
    """Who visits the shop: a closed loop of users, or an open one with `rate`."""

    actors: dict[ActorName, Annotated[float, Field(gt=0, le=MOST_LOAD)]] = Field(
        min_length=1,
        description="Actor: its weight; without `users` and `rate`, its number of users.",
    )
    users: Annotated[Count, Field(gt=0, le=MOST_LOAD)] | None = Field(
        None, description="Closed loop: so many users, each waiting for its answer."
    )
    pace: Seconds | None = Field(
        None, description="Closed loop: from the start of a user's visit to that of its next."
    )
    rate: Arrivals | None = Field(
        None, description="Open loop: arrivals a second, whether or not earlier ones were answered."
    )
    bursts: list[BurstEntry] = Field(
        [], description="Open loop: who comes on top of `rate`, or, without one, alone."
    )

    jobs: dict[JobName, JobEntry] = Field(
        {}, description="Who comes by the clock, beside the visitors."
    )

    @property
    def _is_open(self) -> bool:
        return self.rate is not None or bool(self.bursts)

    @model_validator(mode="after")
    def _one_kind_of_loop(self) -> LoadEntry:
        if self._is_open and not (self.users is None and self.pace is None):
            raise Refused(
                "expected users and pace (closed loop) or rate and bursts (open loop), got both"
            )
        if (
            self.users is None
            and not self._is_open
            and not sum(self.actors.values(), 0.0).is_integer()
        ):
            raise Refused("expected whole numbers of users, or weights with users or rate")
        return self

    def shape(self) -> LoadShape:
        """As the load generator takes it."""
        jobs = {name: entry.job() for name, entry in self.jobs.items()}
        if self._is_open:
            bursts = tuple(each.burst() for each in self.bursts)
            rate = self.rate or 0.0
            return LoadShape(dict(self.actors), rate_per_s=rate, bursts=bursts, jobs=jobs)
        users = self.users if self.users is not None else int(sum(self.actors.values()))
        shape = LoadShape(dict(self.actors), users=users, jobs=jobs)
        return shape if self.pace is None else replace(shape, pace_s=self.pace)

    @property
    def last_burst_s(self) -> float:
        """When the last of its bursts is over for the first time; 0 without any."""
        return max((burst.at + burst.over for burst in self.bursts), default=0.0)

    def bursts_over_s(self) -> Mapping[str, float]:
        """Window → the seconds it must last for every burst to come."""
        return dict.fromkeys(("reference", "crime", "recovery"), self.last_burst_s)


class PhasedLoadEntry(Entry):
    """A load that changes; `warmup` runs before the crime's window and counts for nothing."""

    reference: LoadEntry
    crime: LoadEntry
    warmup: LoadEntry | None = Field(None, description="Default: as in the crime.")
    recovery: LoadEntry | None = Field(None, description="Default: as in the reference.")

    def bursts_over_s(self) -> Mapping[str, float]:
        """Window → the seconds it must last for every burst to come."""
        return {
            "reference": self.reference.last_burst_s,
            "warmup": self.warmup.last_burst_s if self.warmup else 0.0,
            "crime": self.crime.last_burst_s,
            "recovery": (self.recovery or self.reference).last_burst_s,
        }


def _kind_of_load(value: Any) -> str:
    phased = isinstance(value, Mapping) and not PhasedLoadEntry.model_fields.keys().isdisjoint(
        value
    )
    return "<phased>" if phased else "<steady>"


Load = Annotated[
    Annotated[LoadEntry, Tag("<steady>")] | Annotated[PhasedLoadEntry, Tag("<phased>")],
    Discriminator(_kind_of_load),
]
