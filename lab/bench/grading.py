"""Grade an accusation against a task's answer, with nothing but Python: no judge, no model.

This file is copied into each task, and runs there as it is: ``grade.py ACCUSATION ANSWER TASK
REWARDS``. It says what the lab's judge says; a test compares both on every case.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

FORMAT = "deadspan-accusation-1"

Found = dict[str, Any]
Key = tuple[str, str]
"""Trace id and span id."""
Charge = tuple[str, str, str | None]
MOST_SPANS = 1_000
MOST_CLAIMS = 32
COUNTS = ("calls", "bytes_read", "seconds")


class Unreadable(Exception):
    """The accusation cannot be meant; every problem is told."""


def check(found: Any) -> Found:
    """The accusation with all its fields; Unreadable lists what is wrong with it."""
    if not isinstance(found, dict):
        raise Unreadable(f"expected an object, found {type(found).__name__}")
    if problems := [*_wrong_fields(found)]:
        raise Unreadable("; ".join(problems))
    empty = {"nobody": False, "spans": [], "mechanisms": [], "scope": None}
    return {**empty, "path": [], "evidence": [], **found}


def _wrong_fields(found: Found) -> Iterator[str]:
    pairs = f"a list of [trace id, span id], at most {MOST_SPANS}"
    claims = f"a list of objects with trace_id, span_id and shows, at most {MOST_CLAIMS}"
    expected = {
        "format": (FORMAT, found.get("format") == FORMAT),
        "spans": (pairs, _are_pairs(found.get("spans", []))),
        "path": (pairs, _are_pairs(found.get("path", []))),
        "mechanisms": ("a list of words", _are_words(found.get("mechanisms", []))),
        "nobody": ("true or false", isinstance(found.get("nobody", False), bool)),
        "scope": ("a word or null", isinstance(found.get("scope"), (str, type(None)))),
        "evidence": (claims, _are_claims(found.get("evidence", []))),
    }
    for key in COUNTS:
        expected[key] = ("a number of at least 0, or null", _is_count(found.get(key)))
    for key, (what, is_so) in expected.items():
        if not is_so:
            yield f"{key}: expected {what}, found {found.get(key)!r:.60}"
    for key in sorted(found.keys() - expected.keys() - {"task", "who"}):
        yield f"{key:.60}: expected no such field"


def _is_count(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (is_number and 0 <= value < 1e15)


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_pairs(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_SPANS
        and all(
            isinstance(each, list) and len(each) == 2 and all(isinstance(i, str) for i in each)
            for each in value
        )
    )


def _are_claims(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_CLAIMS
        and all(
            isinstance(each, dict)
            and isinstance(each.get("trace_id"), str)
            and isinstance(each.get("span_id"), str)
            and isinstance(each.get("shows"), dict)
            for each in value
        )
    )


def verdict(accusation: Found, answer: Found, known: Container[Key]) -> str:
    """What the judge would say, as the word of its class; ``none`` where nothing was accused."""
    charges = _charges(accusation)
    if accusation["nobody"]:
        return _of_nobody(accusation, answer)
    if not charges:
        return "none"
    if any((trace, span) not in known for trace, span, _ in charges):
        return "unknown-trace"
    if any(trace not in answer["harmed"] for trace, _, _ in charges):
        return "wrong-evidence"
    for trace, span, _ in charges:
        if _guilt(answer, trace, span) is None:
            return str(answer["acquitted"].get(trace, {}).get(span, "innocent"))
    return "solved" if _is_whole(charges, accusation, answer) else "close"


def _of_nobody(accusation: Found, answer: Found) -> str:
    if accusation["spans"] or not answer["nobody"]:
        return "somebody"
    wrong = set(accusation["mechanisms"]) - set(answer["mechanisms"])
    return "close" if wrong else "solved"


def _charges(accusation: Found) -> list[Charge]:
    """Trace, span and mechanism; None for a mechanism that nobody told to its span."""
    spans, words = accusation["spans"], accusation["mechanisms"]
    told: list[Any] = words if len(words) == len(spans) else [None] * len(spans)
    if len(words) == 1:
        told = words * len(spans)
    return [(pair[0], pair[1], how) for pair, how in zip(spans, told, strict=True)]


def _guilt(answer: Found, trace: str, span: str) -> Any:
    return answer["guilty"].get(trace, {}).get(span)


def _is_whole(charges: list[Charge], accusation: Found, answer: Found) -> bool:
    """Whether mechanisms, both parties and the scope are right as well."""
    guilt = [_guilt(answer, trace, span) for trace, span, _ in charges]
    parties = {party for each in guilt for party in each["parties"]}
    return (
        all(how in each["how"] for each, (_, _, how) in zip(guilt, charges, strict=True))
        and parties >= set(answer["needed"])
        and (not answer["asks_scope"] or accusation["scope"] == answer["scope"])
    )


def names_the_path(accusation: Found, answer: Found) -> bool:
    """Whether the path goes from the edge to an accused culprit, by each service between."""
    named = [tuple(each) for each in accusation["path"]]
    for trace, span in accusation["spans"]:
        guilt = _guilt(answer, trace, span)
        if guilt is None or not named:
            continue
        way = [tuple(each[:2]) for each in guilt["path"]]
        services = {tuple(each[:2]): each[2] for each in guilt["path"]}
        places = [way.index(each) if each in services else -1 for each in named]
        is_in_order = places == sorted(set(places)) and places[0] == 0
        if is_in_order and {services[e] for e in named if e in services} == set(services.values()):
            return places[-1] == len(way) - 1
    return False


# --- evidence, looked up again ---


def spans_of(task: Found) -> dict[Key, Any]:
    """(trace id, span id) → the span as a claim is compared with it, of a task's document."""
    found: dict[Key, Any] = {}
    for document in task["traces"]:
        for resource in document["resourceSpans"]:
            about = _attributes(resource.get("resource", {}))
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    seen = found.setdefault((span["traceId"], span["spanId"]), span)
                    seen["_resource"] = about
    return found


def _attributes(owner: Found) -> Found:
    return {each["key"]: _value(each["value"]) for each in owner.get("attributes", [])}


def _value(value: Found) -> Any:
    for key, found in value.items():
        if key == "intValue":
            return int(found)
        return [_value(each) for each in found.get("values", [])] if key == "arrayValue" else found
    return None


def shown(accusation: Found, spans: dict[Key, Any]) -> int:
    """How many of the claims their spans bear out."""
    children: dict[Any, list[Any]] = {}
    for (trace, _), span in spans.items():
        children.setdefault((trace, span.get("parentSpanId")), []).append(span)
    right = 0
    for claim in accusation["evidence"]:
        key = (claim["trace_id"], claim["span_id"])
        span, shows = spans.get(key), claim["shows"]
        if span is not None and shows:
            below = children.get(key, [])
            right += all(_bears_out(span, below, name, each) for name, each in shows.items())
    return right


def _bears_out(span: Found, children: list[Any], name: str, claimed: Any) -> bool:
    status = ("unset", "ok", "error")[span.get("status", {}).get("code", 0)]
    told = {"service": span["_resource"].get("service.name"), "operation": span.get("name")}
    told["status"] = status
    if name in told:
        return bool(claimed == told[name])
    if name in ("duration_ms", "self_ms"):
        took_ms = _length_ms(span) if name == "duration_ms" else _self_ms(span, children)
        is_number = isinstance(claimed, (int, float)) and not isinstance(claimed, bool)
        return is_number and abs(claimed - took_ms) <= max(0.5, 0.02 * took_ms)
    if name == "exception":
        kinds = [_attributes(e).get("exception.type") for e in span.get("events", [])]
        return isinstance(claimed, str) and claimed in kinds
    if name == "attributes" and isinstance(claimed, dict) and claimed:
        has = {**span["_resource"], **_attributes(span)}
        return all(key in has and str(has[key]) == str(each) for key, each in claimed.items())
    return False


def _length_ms(span: Found) -> float:
    return max(0, int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e6


def _self_ms(span: Found, children: list[Any]) -> float:
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    covered, reached = 0, start
    for child in sorted(children, key=lambda each: int(each["startTimeUnixNano"])):
        begins = max(int(child["startTimeUnixNano"]), reached)
        ends = min(int(child["endTimeUnixNano"]), end)
        if ends > begins:
            covered, reached = covered + ends - begins, ends
    return max(0, end - start - covered) / 1e6


# --- one task ---


def grade(accusation: Found, answer: Found, task: Found) -> Found:
    """A task's scores by name: 0 or 1, or None where a task does not ask; and its verdict."""
    spans = spans_of(task)
    said = verdict(accusation, answer, spans)
    charges = _charges(accusation)
    guilt = [_guilt(answer, t, s) if t in answer["harmed"] else None for t, s, _ in charges]
    is_span = bool(guilt) and None not in guilt
    somebody = not answer["nobody"]
    how = is_span and all(
        each is not None and how in each["how"]
        for each, (_, _, how) in zip(guilt, charges, strict=True)
    )
    scope = is_span and accusation["scope"] == answer["scope"]
    return {
        "verdict": said,
        "solved": float(said == "solved"),
        "right_span": float(is_span) if somebody else None,
        "right_mechanism": float(how) if somebody else None,
        "right_scope": float(scope) if somebody and answer["asks_scope"] else None,
        "path_named": None if not somebody else float(names_the_path(accusation, answer)),
        "false_accusation": None if somebody else float(bool(accusation["spans"])),
        "evidence_cited": len(accusation["evidence"]),
        "evidence_shown": shown(accusation, spans),
        **{key: accusation.get(key) for key in COUNTS},
    }


def nothing_said(answer: Found) -> Found:
    """The scores of who wrote no accusation that can be read."""
    empty = {"format": FORMAT, "nobody": False}
    return {**grade(check(empty), answer, {"traces": []}), "verdict": "none"}


def main(accusation_path: str, answer_path: str, task_path: str, rewards_path: str) -> None:
    """Grade the file, write the rewards as Harbor reads them, and say what was found."""
    answer = json.loads(Path(answer_path).read_text(encoding="utf-8"))
    task = json.loads(gzip.decompress(Path(task_path).read_bytes()))
    try:
        accusation = check(json.loads(Path(accusation_path).read_text(encoding="utf-8")))
        scores = grade(accusation, answer, task)
    except (OSError, ValueError, RecursionError, Unreadable) as error:
        print(f"no accusation that can be read: {error}")  # noqa: T201
        scores = nothing_said(answer)
    told = {key: each for key, each in scores.items() if isinstance(each, float)}
    folder = Path(rewards_path)
    folder.mkdir(parents=True, exist_ok=True)
    rewards = {"reward": scores["solved"], **told}
    (folder / "reward.json").write_text(json.dumps(rewards), encoding="utf-8")
    (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    print(json.dumps(scores))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:5])
