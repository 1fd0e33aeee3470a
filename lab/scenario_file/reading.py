"""From texts to a scenario, or to every problem they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lab.domain.scenario import Scenario
from lab.errors import ScenarioError
from lab.scenario_file.names import abridged, unknown_name
from lab.scenario_file.positioned_yaml import Document, YamlProblem, control_character, read
from lab.scenario_file.shape import ScenarioEntry

SCENARIO: Final = "scenario.yaml"
BRIEFING: Final = "briefing.md"
DEBRIEF: Final = "debrief.md"
FILES: Final = (SCENARIO, BRIEFING, DEBRIEF)
"""The files of a scenario's folder."""

LARGEST_FILE_BYTES: Final = 64 * 1024

_TOO_LARGE: Final = f"expected at most {LARGEST_FILE_BYTES // 1024} KiB, found more"

LONGEST_MESSAGE: Final = 500
"""In characters; what was found may be long, and what was expected stands before it."""

_PYDANTICS: Final = "Input should be"
_OURS: Final = "expected"

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


def parse(texts: Mapping[str, str], folder_name: str) -> Scenario:
    """The scenario that ``texts`` (file name → text) hold; its id is the folder's name."""
    return _parse({name: texts.get(name, "") for name in FILES}, folder_name)


def _parse(texts: Mapping[str, str], folder_name: str, unread: Sequence[str] = ()) -> Scenario:
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
    if text.strip() and len(text) <= LARGEST_FILE_BYTES:
        entry, found = _entry(text)
        problems += [f"{_shown(folder_name, SCENARIO)}:{problem}" for problem in found]
    if problems or entry is None:
        raise ScenarioError(tuple(problems))
    return _scenario(entry, texts, folder_name)


def json_schema() -> str:
    """The JSON Schema of ``scenario.yaml``, as committed beside the scenarios."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ScenarioEntry.model_json_schema(),
        "title": "Deadspan scenario",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _scenario(entry: ScenarioEntry, texts: Mapping[str, str], folder_name: str) -> Scenario:
    return Scenario(
        id=folder_name,
        title=entry.title,
        difficulty=entry.difficulty,
        skill=entry.skill,
        load=entry.loads(),
        durations_s=entry.windows.durations_s(),
        pauses=entry.windows.pause,
        symptom=entry.symptom.symptom(),
        truth=entry.truth.truth(),
        briefing=texts[BRIEFING].strip(),
        debrief=texts[DEBRIEF].strip(),
        conditions=dict(entry.conditions),
        ambient=tuple(each.fault() for each in entry.ambient),
        faults=tuple(each.fault() for each in entry.faults),
        decoys=tuple(each.decoy() for each in entry.decoys),
        hints=tuple(str(hint) for hint in entry.hints),
        checks=tuple(each.check() for each in entry.checks),
        briefing_may_name=dict(entry.briefing_may_name),
        min_requests=entry.min_requests,
        dice=entry.dice.dice() if entry.dice else None,
        tier=entry.tier,
        twins=tuple(each.twin() for each in entry.twins),
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


def _entry(text: str) -> tuple[ScenarioEntry | None, list[str]]:
    """The validated file, or its problems, each as ``line field: message``."""
    try:
        document = read(text)
    except YamlProblem as problem:
        return None, [f"{problem.line}: {abridged(str(problem), LONGEST_MESSAGE)}"]
    if not isinstance(document.data, dict):
        return None, ["1: expected a mapping of fields such as 'title: …' at the top"]
    fields: dict[int, tuple[str, ...]] = {}
    try:
        return ScenarioEntry.model_validate(document.data, context=fields), []
    except ValidationError as error:
        told = [_told(document, each, fields) for each in error.errors(include_url=False)]
        return None, [f"{line} {problem}" for line, problem in sorted(told)]


def _told(
    document: Document, detail: ErrorDetails, fields: Mapping[int, tuple[str, ...]]
) -> tuple[int, str]:
    """One problem: its line, and its field with what is wrong there."""
    path = document.existing(detail["loc"])
    if detail["type"] == "missing":
        path = (*path, detail["loc"][-1])
    elif detail["type"] == "invalid_key":
        path = (*document.existing(detail["loc"][:-1]), detail["input"])
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path)
    message = _message(document, path, detail, fields)
    said = abridged(message, LONGEST_MESSAGE)
    return document.line(path), f"{where.lstrip('.') or 'file'}: {said}"


def _key(part: object) -> str:
    """A key on one line, whatever it is made of."""
    shown = str(part)
    return abridged(shown if shown.isprintable() else repr(shown))


def _message(
    document: Document,
    path: Sequence[str | int],
    detail: ErrorDetails,
    fields: Mapping[int, tuple[str, ...]],
) -> str:
    got = _abridged(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            parent = document.value(path[:-1])
            return unknown_name("field", str(path[-1]), fields.get(id(parent), ()))
        case "missing":
            return "expected this field, found none"
        case "value_error" | "refused":
            return detail["msg"].removeprefix("Value error, ").replace(_PYDANTICS, _OURS)
        case "invalid_key":
            return "expected a field's name here"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a mapping, got {got}"
        case "union_tag_invalid" | "union_tag_not_found":
            return (
                f"expected 'measure' to be one of {detail.get('ctx', {}).get('expected_tags', '')}"
            )
        case _:
            return f"{detail['msg'].replace(_PYDANTICS, _OURS)}, got {got}"


def _abridged(value: Any) -> str:
    shown = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    shown = {"CommentedMap": "a mapping", "CommentedSeq": "a list"}.get(shown, shown)
    return abridged(shown)
