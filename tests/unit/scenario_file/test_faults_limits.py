"""A scenario file, its JSON Schema and the warden draw the same limits of each toxic."""

from __future__ import annotations

import json
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.fault import TOXIC_LIMITS, Fault, Toxic
from lab.scenario_file import json_schema
from lab.scenario_file.values import up_to
from tests.unit.scenario_file.test_reading import changed, problems, read

EDGE = "gateway-catalog"
PLAIN = {"rate", "bytes", "average_size", "size_variation"}
ATTRIBUTES = [(toxic, name) for toxic, limits in TOXIC_LIMITS.items() for name in limits]
VALIDATOR = jsonschema.Draft202012Validator(json.loads(json_schema()))


def spelled(toxic: Toxic, name: str, value: int) -> str:
    if name in PLAIN:
        return str(value)
    return f"{Decimal(value) / (10**6 if toxic is Toxic.SLICER else 1000):f}s"


def fault(toxic: Toxic, **values: int | str) -> dict[str, int | str]:
    """One fault as a file holds it: each attribute at its least but for ``values``."""
    found: dict[str, int | str] = {"edge": EDGE, "toxic": str(toxic)}
    for name, limits in TOXIC_LIMITS[toxic].items():
        value = values.get(name, limits.least)
        text = spelled(toxic, name, value) if isinstance(value, int) else value
        found[name] = int(text) if name in PLAIN else text
    return found


def file_with(entry: dict[str, int | str]) -> str:
    return changed(faults=json.dumps([entry]))


def schema_allows(entry: dict[str, int | str]) -> bool:
    at_faults = VALIDATOR.evolve(
        schema={**VALIDATOR.schema, **VALIDATOR.schema["properties"]["faults"]}
    )
    return bool(at_faults.is_valid([entry]))


@pytest.mark.parametrize(("toxic", "name"), ATTRIBUTES, ids=str)
def test_the_least_and_the_most_can_be_written(toxic: Toxic, name: str) -> None:
    """And reach the domain as they are, in which nothing is wrong with them."""
    for value in TOXIC_LIMITS[toxic][name]:
        more = {"average_size": value} if name == "size_variation" and value else {}
        entry = fault(toxic, **{name: value}, **more)
        [found] = read(file_with(entry)).faults
        assert found.attributes[name] == value
        assert found.problems() == ()
        assert schema_allows(entry), entry


@pytest.mark.parametrize(("toxic", "name"), ATTRIBUTES, ids=str)
def test_one_step_beyond_is_refused_with_its_line(toxic: Toxic, name: str) -> None:
    """By the file, by the schema an editor has, and by the domain, which the warden asks."""
    limits = TOXIC_LIMITS[toxic][name]
    for value, sign in ((limits.least - 1, ">="), (limits.most + 1, "<=")):
        entry = fault(toxic, **{name: value})
        [problem] = problems(file_with(entry))
        assert f"scenario.yaml:6 faults[0].{name}: must be {sign} " in problem
        assert not schema_allows(entry), entry
        attributes = {
            each: value if each == name else other.least
            for each, other in TOXIC_LIMITS[toxic].items()
        }
        assert any(name in each for each in Fault(EDGE, toxic, attributes).problems())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"average_size": 0}, "faults[0].average_size: must be >= 1, got 0"),
        (
            {"average_size": 2000, "size_variation": 2001},
            (
                "faults[0].size_variation: expected size_variation <= average_size, "
                "which is 2000, found 2001"
            ),
        ),
    ],
)
def test_slices_that_would_end_toxiproxy_are_refused(values: dict[str, int], told: str) -> None:
    [problem] = problems(file_with(fault(Toxic.SLICER, **values)))
    assert problem.endswith(f"scenario.yaml:6 {told}")


def test_slices_may_vary_by_their_own_size() -> None:
    [found] = read(file_with(fault(Toxic.SLICER, average_size=7, size_variation=7))).faults
    assert found.problems() == ()


def test_what_a_scenario_may_vary_is_looked_at_as_well() -> None:
    """A size that comes below the variation in some runs alone would end those."""
    entry = fault(Toxic.SLICER, size_variation=100) | {"average_size": "$(size)"}
    assert read(file_with(entry) + "vary: {size: [2000, 100]}\n").faults
    [problem] = problems(file_with(entry) + "vary: {size: [2000, 99]}\n")
    assert "average_size, which is 99, found 100 (with size=99)" in problem


@pytest.mark.parametrize(
    ("text", "is_fine"), [("0.000001", True), ("0.3", True), ("0.3333333", False)]
)
def test_a_toxicity_is_one_that_toxiproxy_can_show(text: str, is_fine: bool) -> None:
    """It keeps 32 bits, and a run whose fault reads back otherwise would end in its crime."""
    written = changed(faults=f"[{{edge: {EDGE}, toxic: timeout, timeout: 0ms, toxicity: {text}}}]")
    if is_fine:
        assert read(written).faults[0].problems() == ()
    else:
        [problem] = problems(written)
        assert "6 faults[0].toxicity: expected at most 6 decimals, got 0.3333333" in problem


@given(
    limit=st.tuples(st.integers(1, 9), st.integers(-3, 12)),
    number=st.decimals(0, 10**13, places=4),
    near=st.decimals(-1, 1, places=4),
)
def test_a_pattern_holds_the_numbers_up_to_its_limit(
    limit: tuple[int, int], number: Decimal, near: Decimal
) -> None:
    most = Decimal(limit[0]).scaleb(limit[1])
    schema = {"type": "string", "pattern": f"^({up_to(most)})$"}
    for each in (number, most, abs(most + near), Decimal(0)):
        for text in (f"{each:f}", f"00{each:f}"):
            assert jsonschema.Draft202012Validator(schema).is_valid(text) is (each <= most), text
