"""The private folder of one run: whose it is, when it last gave a sign, what it wrote down.

A run writes into ``.run-<case id>`` until its case is opened. The folder names the
process that owns it, so that a run that died is told from one at work.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from lab.adapters.cases import case_folder
from lab.adapters.cases.journal_file import read_journal
from lab.domain.journal import RunRecord

_WORKING: Final = ".run-"


def name_for(case_id: str) -> str:
    """What the folder is called while the run goes on; never listed as a case."""
    return _WORKING + case_id


def is_of_a_run(folder: Path) -> bool:
    """Whether its name says so."""
    return folder.name.startswith(_WORKING)


def case_id_of(folder: Path) -> str:
    """The id in the name of a run's folder, or of a case's."""
    return folder.name.removeprefix(_WORKING)


def own(folder: Path) -> None:
    """Write down that this process owns the folder."""
    import psutil

    me = psutil.Process()
    owner = {"pid": me.pid, "started_unix_s": me.create_time()}
    (folder / case_folder.OWNER).write_text(json.dumps(owner), encoding="utf-8")


def disown(folder: Path) -> None:
    """Forget whose the folder was."""
    (folder / case_folder.OWNER).unlink(missing_ok=True)


def is_owned(folder: Path) -> bool:
    """Whether the process that owns the folder is alive."""
    # Slow to import, and only a run, or who lists runs that died, comes here.
    import psutil

    try:
        owner = json.loads((folder / case_folder.OWNER).read_text(encoding="utf-8"))
        process = psutil.Process(int(owner["pid"]))
        # A pid is given again; together with its start it is not.
        return abs(process.create_time() - float(owner["started_unix_s"])) < 1.0
    except (OSError, ValueError, TypeError, KeyError, psutil.Error):
        return False


def last_sign_s(folder: Path) -> float:
    """When the run last wrote into its journal (Unix seconds), or began where it never did."""
    journal = folder / case_folder.JOURNAL
    return (journal if journal.exists() else folder).stat().st_mtime


def record_of(folder: Path) -> RunRecord:
    """What the run wrote down, be it dead or at work."""
    return RunRecord(
        case_id_of(folder),
        read_journal(folder / case_folder.JOURNAL),
        is_case=False,
        is_at_work=is_owned(folder),
    )
