"""The shape of a ``scenario.yaml``: its fields, and what each becomes in the domain.

From these models come the refusal of a wrong file, field by field, and the JSON
Schema that editors complete from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import (
    Field,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lab.domain.load import LoadShape, Window
from lab.domain.scenario import WARMUP_S
from lab.domain.twin import Part, Tier
from lab.domain.variation import SettingValue
from lab.scenario_file.evidence import EvidenceEntry, unknown_records
from lab.scenario_file.faults import DiceEntry, FaultEntry
from lab.scenario_file.loads import Load, LoadEntry, PhasedLoadEntry
from lab.scenario_file.record_checks import AnyCheckEntry
from lab.scenario_file.symptoms import SymptomEntry
from lab.scenario_file.truth import DecoyEntry, TruthEntry, TwinEntry, drop_problem
from lab.scenario_file.values import (
    Count,
    Entry,
    InstrumentationWord,
    Refused,
    Seconds,
    ServiceName,
    SightWord,
    Text,
    TierWord,
    condition_problem,
    refuse_each,
)
from lab.scenario_file.variants import Vary

ExhibitName = Annotated[Text, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Reason = Annotated[Text, Field(min_length=1)]

LONGEST_WINDOW_S: Final = 1800.0
MOST_EXHIBITS: Final = 100
"""Whoever reads a text waits until each of them is measured."""

SHORTEST_RECOVERY_S: Final = 5.0

_OF_A_RUN: Final = (
    *("conditions", "ambient", "faults", "checks", "exhibits", "dice", "twins"),
    *("instrumentation", "vary"),
)


class WindowsEntry(Entry):
    """How long each window lasts; recovery is judged on its last 5 s."""

    reference: Seconds
    warmup: Seconds | None = Field(
        None, description="Load before the crime's window; default: 3s after settings changed."
    )
    pause: bool = Field(
        True,
        strict=True,
        description="Whether load pauses after the warm-up; else the crime inherits its queues.",
    )
    crime: Seconds
    recovery: Seconds

    @field_validator("reference", "warmup", "crime", "recovery")
    @classmethod
    def _neither_empty_nor_endless(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is None:
            return None
        least = SHORTEST_RECOVERY_S if info.field_name == "recovery" else 1.0
        if not least <= value <= LONGEST_WINDOW_S:
            raise Refused(f"expected {least:g}s to {LONGEST_WINDOW_S:g}s, got {value:g}s")
        return value

    def durations_s(self) -> Mapping[Window, float]:
        """As the domain has them."""
        judged = {
            Window.REFERENCE: self.reference,
            Window.CRIME: self.crime,
            Window.RECOVERY: self.recovery,
        }
        return judged if self.warmup is None else {**judged, Window.TRANSITION: self.warmup}


class ScenarioEntry(Entry):
    """A scenario of the Deadspan lab: who loads the shop, what is hurt, what the truth is."""

    title: Text = Field(min_length=1, max_length=80)
    difficulty: Annotated[int, Strict()] = Field(
        ge=0, le=5, description="0 is the worked example: its solution is told, for no points."
    )
    skill: Text = Field(min_length=1, description="What a learner takes home, in one sentence.")
    recorded: bool = Field(
        False,
        strict=True,
        description="true: nothing is run; the case is a recording of an incident that happened, "
        "of any system, so there is no load, no window and no fault.",
    )
    load: Load | None = Field(None, validate_default=True)
    windows: WindowsEntry | None = Field(None, validate_default=True)
    conditions: dict[Text, SettingValue] = Field(
        {}, description="`service.setting: value`, set for the crime's window."
    )
    ambient: list[FaultEntry] = Field([], description="Faults of reference and crime alike.")
    faults: list[FaultEntry] = Field([], description="Faults of the crime.")
    evidence: EvidenceEntry = Field(
        EvidenceEntry(), description="How much evidence is taken, and what is kept beside spans."
    )
    symptom: SymptomEntry
    truth: TruthEntry
    decoys: list[DecoyEntry] = Field([], description="What looks guilty and is not.")
    hints: list[Text] = Field(min_length=1, max_length=9, description="From nudge to solution.")
    briefing_may_name: dict[ServiceName, Reason] = Field(
        {},
        description="A service of the culprit's that title and briefing name, and why they must.",
    )
    checks: list[AnyCheckEntry] = Field([], description="What else is measured to prove the case.")
    exhibits: dict[ExhibitName, AnyCheckEntry] = Field(
        {},
        max_length=MOST_EXHIBITS,
        description="Name: what the texts that link to it, as `[words](exhibit:name)`, rest on; "
        "its label is what it claims.",
    )
    dice: DiceEntry | None = Field(
        None, description="When a fault with a toxicity below 1 was thrown fairly."
    )
    min_requests: Count = Field(
        100, ge=20, description="Requests of the symptom's route the crime must see."
    )
    scope_counts: bool = Field(
        False,
        strict=True,
        description="Whether whom it hit is asked for although it hit all; where it hit some, it "
        "always is.",
    )
    tier: TierWord = Field(Tier.FULL, description="core: proven at every change of the lab.")
    twins: list[TwinEntry] = Field(
        [], description="The same run but for one thing; default: without its culprit, healed."
    )
    instrumentation: dict[InstrumentationWord, SightWord] = Field(
        {},
        description="Level: what most affected traces show of the culprit where the shop is "
        "instrumented so much.",
    )
    vary: Vary = Field(
        {},
        description="Name: what may stand wherever `$(name)` or `$(0.9x name)` is written, as it "
        "is without a seed first; a choice that is a mapping gives `$(name.field)`.",
    )

    @field_validator("load", "windows")
    @classmethod
    def _unless_recorded(cls, value: Any, info: ValidationInfo) -> Any:
        is_recorded = info.data.get("recorded", False)
        if value is None and not is_recorded:
            raise PydanticCustomError("missing", "expected this field, found none")
        if value is not None and is_recorded:
            raise Refused("expected none of it, for what is recorded is not run")
        return value

    @field_validator("windows")
    @classmethod
    def _bursts_come(cls, value: WindowsEntry | None, info: ValidationInfo) -> WindowsEntry | None:
        load: LoadEntry | PhasedLoadEntry | None = info.data.get("load")
        if load is None or value is None:
            return value
        refuse_each(
            {
                (window,): f"expected it to outlast its load's bursts, {least_s:g}s, got {has_s:g}s"
                for window, least_s in load.bursts_over_s().items()
                if (has_s := getattr(value, window) or WARMUP_S) < least_s
            }
        )
        return value

    @field_validator("conditions")
    @classmethod
    def _known_conditions(cls, value: dict[str, SettingValue]) -> dict[str, SettingValue]:
        problems = {(name,): condition_problem(name, setting) for name, setting in value.items()}
        refuse_each({place: why for place, why in problems.items() if why})
        return value

    @field_validator("symptom")
    @classmethod
    def _recorded(cls, value: SymptomEntry, info: ValidationInfo) -> SymptomEntry:
        evidence: EvidenceEntry | None = info.data.get("evidence")
        if evidence is not None and value.recorded is not None:
            place = ("recorded", "records")
            refuse_each(unknown_records({place: value.recorded.records}, evidence.records))
        return value

    @field_validator("checks")
    @classmethod
    def _of_known_records(
        cls, value: list[AnyCheckEntry], info: ValidationInfo
    ) -> list[AnyCheckEntry]:
        evidence: EvidenceEntry | None = info.data.get("evidence")
        if evidence is not None:
            used: dict[tuple[str | int, ...], str | None] = {
                (number, field): getattr(entry, field, None)
                for number, entry in enumerate(value)
                for field in ("records", "to")
            }
            refuse_each(unknown_records(used, evidence.records))
        return value

    @field_validator("exhibits")
    @classmethod
    def _exhibits_of_known_records(
        cls, value: dict[str, AnyCheckEntry], info: ValidationInfo
    ) -> dict[str, AnyCheckEntry]:
        cls._of_known_records(list(value.values()), info)
        return value

    @field_validator("ambient", "faults")
    @classmethod
    def _no_overlap(cls, value: list[FaultEntry], info: ValidationInfo) -> list[FaultEntry]:
        # Also where schedules keep them apart: who looks could not tell whose toxic is there.
        there = [entry.fault() for entry in info.data.get("ambient", [])]
        problems: dict[tuple[str | int, ...], str] = {}
        for number, entry in enumerate(value):
            fault = entry.fault()
            if any(fault.collides_with(other) for other in there):
                problems[(number,)] = f"overlaps with another fault on {fault.edge}"
            there.append(fault)
        refuse_each(problems)
        return value

    @field_validator("ambient", "faults")
    @classmethod
    def _in_time(cls, value: list[FaultEntry], info: ValidationInfo) -> list[FaultEntry]:
        windows: WindowsEntry | None = info.data.get("windows")
        if windows is None:
            return value
        over_s = windows.crime
        if info.field_name == "ambient":
            over_s = min(windows.reference, windows.crime, windows.recovery)
        late: dict[tuple[str | int, ...], str] = {
            (number, "schedule"): f"expected it to come before its window is over at {over_s:g}s, "
            f"got start and jitter of {entry.schedule.latest_s:g}s"
            for number, entry in enumerate(value)
            if entry.schedule and entry.schedule.latest_s >= over_s
        }
        refuse_each(late)
        return value

    @field_validator("dice")
    @classmethod
    def _thrown_once(cls, value: DiceEntry | None, info: ValidationInfo) -> DiceEntry | None:
        faults = [entry.fault() for entry in info.data.get("faults", [])]
        windows: WindowsEntry | None = info.data.get("windows")
        if value and windows and not windows.pause:
            raise Refused("expected windows with a pause, in which the dice are read")
        if value and "faults" in info.data:
            rolled = sum(fault.is_rolled_on(value.edge) for fault in faults)
            refuse_each(
                {}
                if rolled == 1
                else {
                    ("edge",): "expected one fault of it with a toxicity below 1 and no schedule, "
                    f"found {rolled}"
                }
            )
        return value

    @field_validator("twins")
    @classmethod
    def _of_this_scenario(cls, value: list[TwinEntry], info: ValidationInfo) -> list[TwinEntry]:
        has: dict[Part, int] = {Part.LOAD: int(isinstance(info.data.get("load"), PhasedLoadEntry))}
        for part in (Part.FAULTS, Part.AMBIENT, Part.CONDITIONS):
            has[part] = len(info.data.get(part.value) or ())
        names = [entry.name for entry in value]
        problems: dict[tuple[str | int, ...], str] = {
            (number, "name"): "expected a name of its own, got that of another twin"
            for number, name in enumerate(names)
            if name in names[:number]
        }
        for number, entry in enumerate(value):
            for place, drop in enumerate(entry.drop):
                if why := drop_problem(drop, has):
                    problems[(number, "drop", place)] = why
        refuse_each(problems)
        return value

    @model_validator(mode="after")
    def _something_happens(self) -> ScenarioEntry:
        if self.recorded:
            refuse_each(
                {
                    (name,): "expected none of it, for what is recorded is not run"
                    for name in _OF_A_RUN
                    if getattr(self, name)
                }
            )
            return self
        changes = isinstance(self.load, PhasedLoadEntry)
        if not (self.faults or self.conditions or changes):
            raise Refused("expected faults, conditions or a load that changes: nothing happens")
        return self

    def loads(self) -> Mapping[Window, LoadShape]:
        """One shape for each window; none of what is not run."""
        if self.load is None:
            return {}
        if isinstance(self.load, LoadEntry):
            return dict.fromkeys(Window, self.load.shape())
        reference, crime = self.load.reference.shape(), self.load.crime.shape()
        warmup, recovery = self.load.warmup, self.load.recovery
        return {
            Window.SETTLE: reference,
            Window.REFERENCE: reference,
            Window.TRANSITION: warmup.shape() if warmup else crime,
            Window.CRIME: crime,
            Window.RECOVERY: recovery.shape() if recovery else reference,
        }
