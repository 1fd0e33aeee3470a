"""Twins as a scenario writes them: what is left out or set otherwise, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from lab.domain.fault import SettingValue
from lab.domain.twin import Drop, Part, Twin
from lab.scenario_file.values import (
    Entry,
    ExpectationWord,
    Refused,
    Text,
    condition_problem,
    refuse_each,
)

_DROP: Final = r"(conditions|load|(faults|ambient)(\[[0-9]{1,3}\])?)"


def _drop(value: object) -> Drop:
    if not isinstance(value, str) or not re.fullmatch(_DROP, value):
        raise Refused(
            "expected what to leave out: faults, faults[0], ambient, ambient[0], "
            f"conditions or load, got {value!r}"
        )
    part, _, number = value.rstrip("]").partition("[")
    return Drop(Part(part), int(number) if number else None)


DropText = Annotated[
    Drop,
    BeforeValidator(_drop),
    WithJsonSchema({"type": "string", "pattern": f"^{_DROP}$", "examples": ["faults[0]"]}),
]


class TwinEntry(Entry):
    """The same run but for one thing: the culprit (`healed`), or only a decoy (`unchanged`)."""

    name: Text = Field(min_length=1, max_length=60, description="What is left out, in words.")
    drop: list[DropText] = Field([], description="What of the scenario does not happen.")
    set: dict[Text, SettingValue] = Field(
        {}, description="`service.setting: value`, laid over the conditions."
    )
    expect: ExpectationWord = Field(description="What becomes of the symptom.")

    @field_validator("set")
    @classmethod
    def _known_settings(cls, value: dict[str, SettingValue]) -> dict[str, SettingValue]:
        problems = {(name,): condition_problem(name, setting) for name, setting in value.items()}
        refuse_each({place: why for place, why in problems.items() if why})
        return value

    @model_validator(mode="after")
    def _differs(self) -> TwinEntry:
        if not (self.drop or self.set):
            raise Refused("expected drop or set: this twin differs in nothing")
        return self

    def twin(self) -> Twin:
        """As the domain has it."""
        return Twin(self.name, self.expect, tuple(self.drop), dict(self.set))


def drop_problem(drop: Drop, has: Mapping[Part, int]) -> str | None:
    """Why a scenario that has so much of each part cannot do without ``drop``; None if it can."""
    if (drop.number or 0) < has[drop.part]:
        return None
    what = "a load that changes" if drop.part is Part.LOAD else f"{has[drop.part]} of {drop.part}"
    if not has[drop.part]:
        what = f"no {what.removeprefix('a ').removeprefix('0 of ')}"
    return f"expected something the scenario has, got {drop}: it has {what}"
