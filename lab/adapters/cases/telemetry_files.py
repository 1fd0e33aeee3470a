"""The telemetry that runs left on disk: case folders, and the Collector's masked copies."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from lab.adapters.cases import case_folder
from lab.adapters.cases.json_lines import whole_lines
from lab.adapters.cases.manifest import MANIFEST, Manifest, read_manifest
from lab.errors import CaseError

_OF_A_CASE: Final = (case_folder.TRACES, case_folder.LOGS, case_folder.REQUESTS)
"""What of a case its learner can query; journal and proof are shown once it is solved."""

_SIGNALS: Final = "signals-*.jsonl"
_WARDENS_JOURNAL: Final = "warden.jsonl"


def case_files(cases_dir: Path, scenario_ids: Collection[str]) -> tuple[Path, ...]:
    """The telemetry of every case of these scenarios below ``cases_dir``.

    CaseError where there is no case at all: an empty folder would pass any check.
    """
    folders = sorted(path.parent for path in cases_dir.glob(f"[!.]*/{MANIFEST}"))
    if not folders:
        raise CaseError(f"expected cases in {cases_dir}, found none; `lab verify` makes them")
    return tuple(
        folder / name
        for folder in folders
        if isinstance(manifest := read_manifest(folder), Manifest)
        and manifest.scenario_id in scenario_ids
        for name in _OF_A_CASE
    )


def signal_files(log_dir: Path) -> tuple[Path, ...]:
    """The Collector's masked copies in ``log_dir``; CaseError where there is none."""
    found = tuple(sorted(log_dir.glob(_SIGNALS)))
    if not found:
        raise CaseError(f"expected {_SIGNALS} in {log_dir}, found none; `lab up` makes them")
    return found


def given_leases(log_dir: Path) -> frozenset[str]:
    """The id of every lease in the warden's own journal in ``log_dir``."""
    entries = (json.loads(line) for _, line in whole_lines(log_dir / _WARDENS_JOURNAL))
    return frozenset(entry["lease"] for entry in entries if entry.get("lease"))
