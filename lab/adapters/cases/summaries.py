"""A sealed case as a list shows it, from its manifest and its ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from lab.adapters import own_folders
from lab.adapters.cases import case_folder
from lab.adapters.cases.json_lines import whole_lines
from lab.adapters.cases.manifest import AnyManifest, Manifest, read_manifest
from lab.domain.case import CaseSummary


def summary_of(folder: Path) -> CaseSummary:
    """The case as a list shows it; CaseError where it cannot be read."""
    # Whoever only looks at traces does not wait for what was accused.
    from lab.domain.ledger import Ledger

    manifest = read_manifest(folder)
    of_a_case = manifest if isinstance(manifest, Manifest) else None
    ledger = Ledger.of(accusations(folder), of_a_case.difficulty if of_a_case else None)
    return CaseSummary(
        case_id=folder.name,
        scenario_id=of_a_case.scenario_id if of_a_case else None,
        title=manifest.title,
        difficulty=of_a_case.difficulty if of_a_case else None,
        opened_unix_s=opened_unix_s(folder, manifest),
        verdict=of_a_case.verdict if of_a_case else None,
        accusations=len(ledger.accusations),
        solved=ledger.solved is not None,
        points=ledger.points,
        size_bytes=own_folders.size_bytes(folder),
        traces=_count_kept(manifest) if isinstance(manifest, Manifest) else manifest.traces,
        spans=None if isinstance(manifest, Manifest) else manifest.spans,
    )


def _count_kept(manifest: Manifest) -> int:
    return len(set(chain.from_iterable(manifest.samples.values())))


def opened_unix_s(folder: Path, manifest: AnyManifest) -> float:
    """When the case was opened here (Unix seconds), or brought here."""
    return _arrived_unix_s(folder) or manifest.opened_unix_s


def _arrived_unix_s(folder: Path) -> float | None:
    """When it was brought here (Unix seconds); None of a case that was made here."""
    try:
        return float(
            json.loads((folder / case_folder.ARRIVED).read_text(encoding="utf-8"))["unix_s"]
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def accusations(folder: Path) -> Iterator[dict[str, object]]:
    """What a learner did with the case, in order; what nobody wrote so is left out."""
    for _, line in whole_lines(folder / case_folder.ACCUSATIONS):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry
