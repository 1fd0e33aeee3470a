"""Run the held-out cases and keep them: each as it is, and without its culprit.

``python bench/held_out.py [NAME…]`` proves every scenario of ``bench/scenarios`` and all of its
twins on a live stack, as ``lab verify --twins`` does, and writes what was proven into
``bench/held_out``: ``NAME.case.zip``, and ``NAME-without.case.zip`` of the twin that is healed.
What is not proven leaves the files that were there. `bench/scenarios/README.md` says what they
are for.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from lab.adapters.cases.recording_file import pack_case, write_recording
from lab.adapters.cases.run_lock import run_lock
from lab.commands.common import console, run_async
from lab.commands.stack import up
from lab.commands.verify import run_all
from lab.domain.case import Case
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.scenario import Scenario
from lab.domain.twin import Expectation, Part, Twin
from lab.domain.variation import AS_WRITTEN_SEED
from lab.errors import RecordingTooLarge
from lab.investigation.proof.but_for import twin_finding, twin_scenario, twins_of
from lab.investigation.running.recording import (
    MOST_BYTES,
    TRACES_KEPT,
    recorded,
    reproven,
    thinned,
)
from lab.investigation.running.verify import NO_CASE, Result, trials
from lab.scenario_file import SCENARIO, load_all, parse
from lab.settings import CHECKOUT, Settings
from lab.terminal.proof_tables import misses_table, proof_table
from lab.terminal.verify_table import result_line

SCENARIOS: Final = CHECKOUT / "bench" / "scenarios"
KEPT: Final = CHECKOUT / "bench" / "held_out"
SUFFIX: Final = ".case.zip"
WITHOUT: Final = "-without"

NO_HARM: Final = ("notifier.batch_size", 50)
"""What a scenario says that does nothing, since one in which nothing happens is refused: the
value that every deployment has."""


def case_file(scenario_id: str, *, without: bool = False) -> Path:
    """Where the case of a scenario is kept, or that of its run without the culprit."""
    return KEPT / f"{scenario_id}{WITHOUT if without else ''}{SUFFIX}"


def healed_twin(scenario: Scenario) -> Twin:
    """The twin that leaves the culprit out; the first, where there are several."""
    return next(each for each in twins_of(scenario) if each.expect is Expectation.HEALED)


def as_it_was_run(scenario: Scenario, twin: Twin) -> Scenario:
    """The scenario of a twin's run, with files that say what was run.

    A case of a twin keeps the files of its scenario, and they tell of harm that was not there.
    """
    yaml = YAML()
    yaml.width = 10_000  # One line each, as it was; a folded one would be no plain YAML.
    data = yaml.load(scenario.source[SCENARIO])
    for drop in sorted(twin.drop, key=lambda each: each.number or 0, reverse=True):
        if drop.part is Part.LOAD:
            data["load"] = data["load"].get("reference", data["load"])
        elif drop.number is None or len(data[drop.part.value]) == 1:
            data.pop(drop.part.value, None)
        else:
            del data[drop.part.value][drop.number]
    data["conditions"] = {**data.get("conditions", {}), **twin.settings}
    run = twin_scenario(scenario, twin)
    if not run.conditions:
        data["conditions"] = dict([NO_HARM])
    if run.dice is None:
        data.pop("dice", None)
    data.pop("twins", None)
    data["title"] = f"{scenario.title}, {twin.name}"
    text = io.StringIO()
    yaml.dump(data, text)
    texts = {**scenario.source, SCENARIO: text.getvalue()}
    return parse(texts, f"{scenario.id}{WITHOUT}")


def packed_without(scenario: Scenario, twin: Twin, case: Case) -> bytes:
    """The case of a twin's run as it is kept: small enough, and its symptom is gone all the same.

    RecordingTooLarge where no such case fits.
    """
    honest = replace(case, scenario=as_it_was_run(scenario, twin))
    for most in TRACES_KEPT:
        thin = reproven(thinned(honest, most))
        packed = pack_case(thin)
        healed = twin_finding(scenario, twin, thin.evidence).outcome is Outcome.HOLDS
        if len(packed) <= MOST_BYTES and healed:
            return packed
    raise RecordingTooLarge(
        f"expected a case of {scenario.id} without its culprit in at most {MOST_BYTES} bytes, "
        "found none; let the scenario have fewer users or shorter windows"
    )


def _kept(result: Result) -> str:
    """Write the case of a proven run, if it is one of the two that are kept; where it lies."""
    scenario, twin = result.trial.scenario, result.trial.twin
    if twin is None:
        target, packed = case_file(scenario.id), recorded(result.case, pack_case)
    elif twin == healed_twin(scenario):
        target = case_file(scenario.id, without=True)
        packed = packed_without(scenario, twin, result.case)
    else:
        return ""
    KEPT.mkdir(exist_ok=True)
    write_recording(target, packed)
    return f"  {len(packed) / 1000:.0f} kB in {target.relative_to(CHECKOUT)}"


def _tell(result: Result) -> bool:
    """Print what came of a run, and keep it if it was proven; whether it was."""
    console.print(result_line(result), soft_wrap=True)
    if result.verdict is ProofVerdict.PROVEN:
        console.print(_kept(result), soft_wrap=True, markup=False)
        return True
    console.print(proof_table(result.proof))
    if result.trial.twin is None and result.case.case_id != NO_CASE:
        console.print(misses_table(result.case))
    return False


def _wanted(names: Iterable[str]) -> list[Scenario]:
    known = load_all(SCENARIOS)
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise SystemExit(f"expected names of {', '.join(known)}, got {', '.join(unknown)}")
    return [each for name, each in known.items() if not names or name in names]


def main(names: Sequence[str]) -> int:
    """Run, prove and keep each; 1 where one was not proven."""
    settings = Settings()
    todo = trials(_wanted(names), twins=True)
    with run_lock(settings.run_dir, "`bench/held_out.py`"):
        up()
        proven: list[bool] = []

        def tell(result: Result) -> None:
            proven.append(_tell(result))

        run_async(partial(run_all, settings, todo, AS_WRITTEN_SEED, tell))
    return 0 if all(proven) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
