"""From texts to a scenario, or to every problem they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.domain.scenario import Scenario
from lab.domain.variation import Plan, Variation
from lab.errors import ScenarioError
from lab.scenario_file.exhibit_links import exhibit_problems
from lab.scenario_file.placeholders import (
    filled_text,
    names_in,
    placeholder_problems,
    with_placeholders,
)
from lab.scenario_file.positioned_yaml import control_character
from lab.scenario_file.shape import ScenarioEntry
from lab.scenario_file.validating import validated
from lab.scenario_file.variants import FIELD as VARY

SCENARIO: Final = "scenario.yaml"
BRIEFING: Final = "briefing.md"
DEBRIEF: Final = "debrief.md"
FILES: Final = (SCENARIO, BRIEFING, DEBRIEF)
"""The files of a scenario's folder; a proof rests on them, and a recording holds them."""

GRAFANA: Final = "grafana.md"
"""How to go about the case in Grafana: the one file that may be missing, and may change."""

LARGEST_FILE_BYTES: Final = 64 * 1024

_TOO_LARGE: Final = f"expected at most {LARGEST_FILE_BYTES // 1024} KiB, found more"

_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def load(folder: Path) -> Scenario:
    """The scenario in ``folder``; `ScenarioError` with all its problems."""
    texts: dict[str, str] = {}
    unread: list[str] = []
    for name in FILES:
        try:
            texts[name] = _read_file(folder / name)
        except (OSError, ValueError) as error:
            unread.append(f"{_shown(folder.name, name)}: {_file_problem(error)}")
    return _parse(texts, folder.name, unread)


def grafana_path(folder: Path) -> str | None:
    """How to go about the scenario of ``folder`` in Grafana, as Markdown; None without a file.

    `ScenarioError` where the file is there and is no text.
    """
    try:
        text = _read_file(folder / GRAFANA)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ScenarioError((f"{_shown(folder.name, GRAFANA)}: {_file_problem(error)}",)) from error
    if problems := [f"{_shown(folder.name, GRAFANA)}{p}" for p in _text_problems(GRAFANA, text)]:
        raise ScenarioError(tuple(problems))
    return text


def folders(directory: Path) -> tuple[Path, ...]:
    """Every scenario's folder below ``directory``; those that begin with . or _ are none."""
    if not directory.is_dir():
        raise ScenarioError((f"{directory}: expected a folder of scenarios, found none",))
    found = sorted(path for path in directory.iterdir() if path.is_dir())
    return tuple(path for path in found if not path.name.startswith((".", "_")))


def load_all(directory: Path) -> dict[str, Scenario]:
    """Every scenario below ``directory`` by id; `ScenarioError` with all problems of all."""
    scenarios: dict[str, Scenario] = {}
    problems: list[str] = []
    for folder in folders(directory):
        try:
            scenarios[folder.name] = load(folder)
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(tuple(problems))
    return scenarios


def parse(texts: Mapping[str, str], folder_name: str, plan: Plan | None = None) -> Scenario:
    """The scenario that ``texts`` (file name → text) hold; its id is the folder's name.

    Without ``plan`` it is as written, and everything it may vary is looked at; with one
    it is as that says, and refused where it may not vary so.
    """
    return _parse({name: texts.get(name, "") for name in FILES}, folder_name, plan=plan)


def varied(scenario: Scenario, seed: int) -> Scenario:
    """The same scenario as ``seed`` varies it; unchanged where it has nothing to vary."""
    return _as_planned(scenario, scenario.variation.drawn(seed, scenario.id))


def variants(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario under every plan it has, as written first; `ScenarioError` if one is bad."""
    for plan in scenario.variation.plans():
        yield _as_planned(scenario, plan)


def _as_planned(scenario: Scenario, plan: Plan) -> Scenario:
    return scenario if plan == scenario.plan else parse(scenario.source, scenario.id, plan)


def _parse(
    texts: Mapping[str, str],
    folder_name: str,
    unread: Sequence[str] = (),
    plan: Plan | None = None,
) -> Scenario:
    """The same, where files that could not be read have left their problems behind."""
    problems = [
        *unread,
        *(
            f"{_shown(folder_name, name)}{problem}"
            for name, text in texts.items()
            for problem in _text_problems(name, text)
        ),
    ]
    if not _ID.fullmatch(folder_name):
        problems.append(
            f"scenarios/{folder_name}: expected a folder name of lower-case words "
            "joined by hyphens, such as db-timeout"
        )
    entry, text = None, texts.get(SCENARIO, "")
    variation = Variation()
    if text.strip() and len(text) <= LARGEST_FILE_BYTES:
        entry, variation, found = validated(text, plan, _names_in_prose(texts))
        problems += [f"{_shown(folder_name, SCENARIO)}:{problem}" for problem in found]
    if plan is None:
        plan = variation.as_written
    problems += _prose_problems(texts, folder_name, plan)
    if entry is not None:
        prose = {name: texts.get(name, "") for name in (BRIEFING, DEBRIEF)}
        problems += [
            f"{_shown(folder_name, file or SCENARIO)}:{line} {problem}"
            for file, line, problem in exhibit_problems(entry, text, prose, all_read=not problems)
        ]
    if problems or entry is None:
        raise ScenarioError(tuple(problems))
    return _scenario(entry, texts, folder_name, variation, plan)


def json_schema() -> str:
    """The JSON Schema of ``scenario.yaml``, as committed beside the scenarios."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **with_placeholders(ScenarioEntry.model_json_schema(), but_for=VARY),
        "title": "Deadspan scenario",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _scenario(
    entry: ScenarioEntry,
    texts: Mapping[str, str],
    folder_name: str,
    variation: Variation,
    plan: Plan,
) -> Scenario:
    return Scenario(
        id=folder_name,
        title=entry.title,
        difficulty=entry.difficulty,
        skill=entry.skill,
        load=entry.loads(),
        durations_s=entry.windows.durations_s() if entry.windows else {},
        pauses=entry.windows is None or entry.windows.pause,
        is_recorded=entry.recorded,
        symptom=entry.symptom.symptom(),
        truth=entry.truth.truth(),
        briefing=filled_text(texts[BRIEFING].strip(), plan),
        debrief=filled_text(texts[DEBRIEF].strip(), plan),
        conditions=dict(entry.conditions),
        ambient=tuple(each.fault() for each in entry.ambient),
        faults=tuple(each.fault() for each in entry.faults),
        decoys=tuple(each.decoy() for each in entry.decoys),
        hints=tuple(str(hint) for hint in entry.hints),
        checks=tuple(each.check() for each in entry.checks),
        exhibits={name: each.check() for name, each in entry.exhibits.items()},
        observation=entry.evidence.observation(),
        briefing_may_name=dict(entry.briefing_may_name),
        min_requests=1 if entry.recorded else entry.min_requests,
        scope_counts=entry.scope_counts,
        dice=entry.dice.dice() if entry.dice else None,
        tier=entry.tier,
        twins=tuple(each.twin() for each in entry.twins),
        instrumentation=dict(entry.instrumentation),
        variation=variation,
        plan=plan,
        source={name: texts[name] for name in FILES},
    )


def _text_problems(name: str, text: str) -> Iterator[str]:
    """What is wrong with a file as a text; YAML is looked at value by value instead."""
    if not text.strip():
        yield ": expected a text, found nothing"
    if len(text) > LARGEST_FILE_BYTES:
        yield f": {_TOO_LARGE}"
    elif name != SCENARIO:
        for number, line in enumerate(text.split("\n"), start=1):
            if found := control_character(line.removesuffix("\r")):
                yield f":{number} expected plain text, found the control character {found!r}"


def _names_in_prose(texts: Mapping[str, str]) -> frozenset[str]:
    return names_in(texts.get(BRIEFING, "")) | names_in(texts.get(DEBRIEF, ""))


def _prose_problems(texts: Mapping[str, str], folder_name: str, plan: Plan) -> Iterator[str]:
    """Placeholders of the briefing and the debrief that lead nowhere."""
    for name in (BRIEFING, DEBRIEF):
        for number, line in enumerate(texts.get(name, "").split("\n"), start=1):
            for problem in placeholder_problems(line, plan):
                yield f"{_shown(folder_name, name)}:{number} {problem}"


def _shown(folder_name: str, file_name: str) -> str:
    return f"scenarios/{folder_name}/{file_name}"


def _read_file(path: Path) -> str:
    if path.exists() and not path.is_file():
        # To open a named pipe would wait for whoever writes to it, maybe for ever.
        raise ValueError("expected a regular file, found something else of this name")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE_BYTES + 1)
    if len(content) > LARGEST_FILE_BYTES:
        raise ValueError(_TOO_LARGE)
    return content.decode()


def _file_problem(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"expected UTF-8, found byte 0x{error.object[error.start]:02x} at {error.start}"
    if isinstance(error, FileNotFoundError):
        return "expected this file, found none"
    if isinstance(error, OSError):
        return f"expected a readable file, found: {error.strerror}"
    return str(error)
