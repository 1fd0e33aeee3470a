"""Case folders below one folder: made in private, opened in one step, never half there."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from lab.adapters import own_folders
from lab.adapters.cases import case_folder, run_folder
from lab.adapters.cases.journal_file import JournalFile, read_journal
from lab.adapters.cases.json_lines import append_line, whole_lines
from lab.adapters.cases.logs import cut_logs, log_files
from lab.adapters.cases.manifest import Manifest, read_manifest
from lab.adapters.cases.reference_file import (
    remove_reference,
    state_of,
    write_compared,
    write_stretch,
)
from lab.adapters.cases.replay_file import REPLAYS, read_replays, write_replay
from lab.adapters.cases.stretch import stretch_of
from lab.adapters.cases.summaries import accusations, opened_unix_s, summary_of
from lab.adapters.clock import SystemClock
from lab.domain import ids
from lab.domain.case import Case, CaseFile, CaseSummary
from lab.domain.evidence import Evidence, Interval, Sight, Telemetry
from lab.domain.journal import RunRecord
from lab.domain.load import Request
from lab.domain.replay import Replay
from lab.domain.wording import near_names
from lab.errors import CaseAtWork, CaseError, DiskRefused, NotOurs, UnknownCase
from lab.ports.clock import Clock

T = TypeVar("T")

KEPT_LEFTOVERS: Final = 10
"""Runs that became no case and whose journals are kept; older ones go when a run begins."""

LOGS_LAG_S: Final = 5.0
"""How much later than its window a log line of it may be written."""

_ARRIVING: Final = ".import-"
_ABANDONED_AFTER_S: Final = 3600.0
_CASE_ID: Final = re.compile(r"(?P<scenario>[a-z0-9]+(?:-[a-z0-9]+)*)-(?P<number>[1-9][0-9]{0,8})")


class FolderArchive:
    """`CaseArchive` over ``cases_dir``.

    ``log_dir`` holds, at any depth, the Collector's copies of all logs; without it
    a case has none.
    """

    def __init__(
        self, cases_dir: Path, *, log_dir: Path | None = None, clock: Clock | None = None
    ) -> None:
        self._cases_dir = cases_dir
        self._log_dir = log_dir
        self._clock = clock or SystemClock()

    # --- a run at work ---

    def next_case_id(self, scenario_id: str) -> str:
        """The next free id, ``<scenario-id>-<n>``; that of a run that died is not free."""
        taken = [0]
        for folder in self._folders():
            found = _CASE_ID.fullmatch(run_folder.case_id_of(folder))
            if found and found["scenario"] == scenario_id:
                taken.append(int(found["number"]))
        return f"{scenario_id}-{max(taken) + 1}"

    def working_folder(self, case_id: str) -> Path:
        """The private folder of a run's files, made where it is missing.

        Whoever makes one also deletes what runs left behind long ago.
        """
        folder = self._working(case_id)
        with _telling(folder):
            is_new = not folder.exists()
            own_folders.make(self._cases_dir)
            folder.mkdir(mode=0o700, exist_ok=True)
            run_folder.own(folder)
            if is_new:
                for old in self.leftovers()[KEPT_LEFTOVERS:]:
                    own_folders.discard(self._working(old), within=self._cases_dir)
        return folder

    def leftovers(self) -> tuple[str, ...]:
        """The ids of dead runs that became no case, newest first."""
        dead = [folder for folder in self._working_folders() if not run_folder.is_owned(folder)]
        dead.sort(key=run_folder.last_sign_s, reverse=True)
        return tuple(run_folder.case_id_of(folder) for folder in dead)

    def journal(self, case_id: str) -> JournalFile:
        """The diary of the run in that folder."""
        return JournalFile(self._working(case_id) / case_folder.JOURNAL, self._clock)

    def requests(self, case_id: str) -> tuple[Request, ...]:
        """What the load generator wrote into that folder so far."""
        return case_folder.read_requests(self._working(case_id) / case_folder.REQUESTS)

    def logs_of(self, evidence: Evidence) -> tuple[str, ...]:
        """The lines of its traces and of no trace, from the Collector's copies of its windows."""
        windows = evidence.windows.values()
        if self._log_dir is None or not windows:
            return ()
        interval = Interval(
            min(window.start_s for window in windows),
            max(window.end_s for window in windows) + LOGS_LAG_S,
        )
        sources = log_files(self._log_dir, since_s=interval.start_s)
        return tuple(cut_logs(sources, interval, frozenset(evidence.traces)))

    def seal(self, case: Case) -> Path:
        """Turn the working folder into a case, in one step.

        Everything is on disk before the folder gets the name under which it is found;
        what is interrupted stays a leftover.
        """
        folder, sealed = self.working_folder(case.case_id), self._cases_dir / case.case_id
        with _telling(folder):
            if sealed.exists():
                raise CaseError(f"expected no case {case.case_id} yet, found one at {sealed}")
            case_folder.write_case(folder, case)
            folder.rename(sealed)
            own_folders.sync(self._cases_dir)
            run_folder.disown(sealed)
        return sealed

    # --- runs, whatever became of them ---

    def run_record(self, case_id: str | None) -> RunRecord:
        """What one run wrote down (None: the newest), be it a case, a leftover, or at work."""
        if case_id is None:
            working = max(self._working_folders(), key=run_folder.last_sign_s, default=None)
            newest = next(iter(self.cases()), None)
            if working and (
                newest is None or run_folder.last_sign_s(working) > newest.opened_unix_s
            ):
                return run_folder.record_of(working)
        elif (folder := self._working(case_id)).is_dir():
            return run_folder.record_of(folder)
        folder = self._sealed(case_id)
        manifest = case_folder.sealed_manifest(folder)
        if not isinstance(manifest, Manifest):
            raise case_folder.nothing_to_grade(folder, manifest.source)
        return RunRecord(folder.name, read_journal(folder / case_folder.JOURNAL), is_case=True)

    # --- sealed cases ---

    def cases(self) -> tuple[CaseSummary, ...]:
        """All sealed cases that can be read, newest first."""
        found = (summary for _, summary in self._of_each(summary_of))
        return tuple(sorted(found, key=lambda case: case.opened_unix_s, reverse=True))

    def load(self, case_id: str | None, *, at_once: bool = True) -> Case:
        """One case (None: the newest); CaseError says what is damaged, or which there are.

        Unless ``at_once``, a trace is read when it is asked for.
        """
        folder = self._sealed(case_id)
        return replace(case_folder.read_case(folder, at_once=at_once), case_id=folder.name)

    def sight(self, case_id: str | None) -> Sight | Telemetry:
        """What anybody may look at of it; a trace is read when it is asked for."""
        folder = self._sealed(case_id)
        return replace(case_folder.read_sight(folder), case_id=folder.name)

    def joined(self, case_id: str | None) -> Sight | Telemetry:
        """The same, with what else belongs to a request; its scenario alone says how."""
        folder = self._sealed(case_id)
        return replace(case_folder.read_sight(folder, joined=True), case_id=folder.name)

    def open(self, case_id: str | None) -> CaseFile:
        """The whole case, or a stranger's telemetry, which nobody can grade."""
        folder = self._sealed(case_id)
        return replace(case_folder.read_case_file(folder), case_id=folder.name)

    def folder(self, case_id: str | None) -> Path:
        """Where a case lies (None: the newest); for whoever copies its files."""
        return self._sealed(case_id)

    def delete(self, case_id: str) -> None:
        """Remove a case for good with all that was found out in it, or what a dead run left.

        CaseAtWork while a run writes into it. NotOurs where something lies in it that the lab
        did not write, or where the lab did not make the folder of cases: nothing is removed then.
        """
        folder = self._working(case_id)
        if run_folder.is_owned(folder):
            raise CaseAtWork(f"expected a case that no run is at, found that {case_id} is written")
        if not folder.is_dir():
            folder = self._sealed(case_id)
            self._check_is_a_case(folder)
        with _telling(folder):
            # In one step out of sight, so that whatever ends this leaves no half of a case.
            room = Path(tempfile.mkdtemp(prefix=_ARRIVING, dir=self._cases_dir))
            folder.rename(room / folder.name)
            own_folders.sync(self._cases_dir)
            own_folders.discard(room, within=self._cases_dir)

    def _check_is_a_case(self, folder: Path) -> None:
        own_folders.check_part(folder, of=self._cases_dir)
        if others := case_folder.others_in(folder):
            told = ", ".join(str(each.relative_to(folder)) for each in others[:3])
            raise NotOurs(
                f"expected nothing but the lab's own files in {folder}, found {told}; move what "
                "is yours elsewhere, and delete the case then"
            )

    def refer(self, case_id: str, *, stretch: str | None = None, other: str | None = None) -> None:
        """Say what of a stranger's telemetry was healthy: ``FROM..TO``, or all of another one.

        Without either nothing is said of it any more. UsageError where that cannot be meant.
        """
        folder = self._sealed(case_id)
        found = case_folder.read_telemetry(folder)
        with _telling(folder):
            if stretch is not None:
                write_stretch(folder, stretch_of(stretch, found.index))
            elif other is not None:
                healthy = self._sealed(other)
                index = case_folder.read_telemetry(healthy).index
                write_compared(folder, found.index, healthy, index)
            else:
                remove_reference(folder)

    # --- what comes from elsewhere ---

    def now_s(self) -> float:
        """The time by this archive's clock (Unix seconds)."""
        return self._clock.unix()

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """A private folder for what is being brought; gone afterwards unless `adopt` took it."""
        with _telling(self._cases_dir):
            own_folders.make(self._cases_dir)
            for old in self._cases_dir.glob(f"{_ARRIVING}*"):
                if time.time() - old.stat().st_mtime > _ABANDONED_AFTER_S:
                    own_folders.discard(old, within=self._cases_dir, quietly=True)
            folder = Path(tempfile.mkdtemp(prefix=_ARRIVING, dir=self._cases_dir))
        try:
            with _telling(folder):
                yield folder
        finally:
            own_folders.discard(folder, within=self._cases_dir, quietly=True)

    def adopt(self, folder: Path, name: str) -> str:
        """Make a case of what arrived whole, in one step; its id, ``<name>-<n>``.

        The files stay as they were sealed, so the manifest keeps the id that the case had
        where it was made.
        """
        _checked(f"{name}-1")
        arrived = folder / case_folder.ARRIVED
        arrived.write_text(json.dumps({"unix_s": self._clock.unix()}), encoding="utf-8")
        own_folders.sync(folder)
        for _ in range(10):
            case_id = self.next_case_id(name)
            try:
                folder.rename(self._cases_dir / case_id)
            except OSError:
                # Somebody else took this number in the meantime.
                if not (self._cases_dir / case_id).exists():
                    raise
                continue
            own_folders.sync(self._cases_dir)
            return case_id
        raise CaseError(f"expected a free id for {name}, found each taken; try again")

    def twin_of(self, folder: Path, called: str | None = None, *, but_for: str = "") -> str | None:
        """The newest case with the very same files as ``folder``, if there is one.

        Only of those that are ``called`` so, if that is asked for. One file may differ:
        ``but_for`` is its name.
        """
        sums = _sums(folder, but_for)
        ids = (
            each.name
            for each in self._newest_first()
            if called in (None, each.name.rpartition("-")[0])
        )
        return next((each for each in ids if _sums(self._cases_dir / each, but_for) == sums), None)

    def logs(self, case_id: str) -> tuple[str, ...]:
        """The log lines of a case, one JSON object each."""
        return tuple(line for _, line in whole_lines(self._sealed(case_id) / case_folder.LOGS))

    def fingerprint(self, case_id: str) -> str:
        """What tells the case from another that has, or had, the same id."""
        path = self._sealed(case_id) / case_folder.CHECKSUMS
        try:
            found = path.stat()
        except OSError:
            return "none"  # `open` says what is wrong with it.
        return f"{found.st_ino} {found.st_mtime_ns} {found.st_size} {state_of(path.parent)}"

    def holding(self, trace_id: str) -> tuple[str, ...]:
        """The ids of the cases with a trace whose id is, or begins with, that; newest first."""
        return tuple(
            each.name
            for each in self._newest_first()
            if ids.meant(trace_id, self._trace_ids(each.name))
        )

    def _trace_ids(self, case_id: str) -> Iterable[str]:
        """By which ids the case's traces go, here and wherever it was replayed to."""
        manifest = read_manifest(self._cases_dir / case_id)
        here = (
            tuple(chain.from_iterable(manifest.samples.values()))
            if isinstance(manifest, Manifest)
            else tuple(self.open(case_id).evidence.traces)
        )
        return chain(here, *(each.trace_ids(here) for each in self.replays(case_id)))

    def level(self, case_id: str) -> int | None:
        """How difficult the case is; None of a stranger's telemetry."""
        manifest = read_manifest(self._sealed(case_id))
        return manifest.difficulty if isinstance(manifest, Manifest) else None

    def records(self, case_id: str) -> tuple[Mapping[str, object], ...]:
        """All that `record_verdict` wrote, in order; what nobody wrote so is left out."""
        return tuple(accusations(self._sealed(case_id)))

    def replays(self, case_id: str) -> tuple[Replay, ...]:
        """Each replay of the case, newest first: what its spans were called elsewhere."""
        return read_replays(self._sealed(case_id) / REPLAYS)

    def record_replay(self, case_id: str, replay: Replay, to: str) -> None:
        """Keep what a replay calls the case's spans, before the first of them is sent."""
        path = self._sealed(case_id) / REPLAYS
        with _telling(path):
            append_line(path, write_replay(replay, to, self._clock.unix()))

    def record_verdict(self, case_id: str, entry: Mapping[str, object]) -> None:
        """Append one judged accusation, or another thing a learner did, to the case's ledger."""
        path = self._sealed(case_id) / case_folder.ACCUSATIONS
        with _telling(path):
            append_line(path, json.dumps({"time_unix_s": time.time(), **entry}, default=str))

    def _folders(self) -> Iterator[Path]:
        try:
            yield from sorted(path for path in self._cases_dir.iterdir() if path.is_dir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise DiskRefused(
                f"expected to read {self._cases_dir}, found: {error.strerror}"
            ) from error

    def _working_folders(self) -> Iterator[Path]:
        for folder in self._folders():
            if run_folder.is_of_a_run(folder) and _CASE_ID.fullmatch(run_folder.case_id_of(folder)):
                yield folder

    def _working(self, case_id: str) -> Path:
        return self._cases_dir / run_folder.name_for(_checked(case_id))

    def _sealed(self, case_id: str | None) -> Path:
        if case_id is None:
            return self._newest()
        folder = self._cases_dir / _checked(case_id)
        if not folder.is_dir():
            known = [each.name for each in self._newest_first()]
            if self._working(case_id).is_dir():
                raise CaseAtWork(
                    f"expected a case, found that {case_id} is still being written, or that its "
                    "run ended early: `lab journal` tells how far it is"
                )
            near = near_names(case_id, known) or tuple(known[:3])
            hint = f"did you mean {' or '.join(near)}?" if near else "there is none yet"
            raise UnknownCase(f"expected a case of `lab cases`, got {case_id!r}: {hint}")
        return folder

    def _of_each(self, told: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
        """What is ``told`` of each sealed case that can be read."""
        for folder in self._folders():
            if _CASE_ID.fullmatch(folder.name):
                # `load` says what is wrong with it; one damaged case hides no other.
                with suppress(CaseError):
                    yield folder, told(folder)

    def _newest_first(self) -> list[Path]:
        """The folders of all sealed cases that can be read, by their manifests alone."""
        opened_s = dict(self._of_each(lambda each: opened_unix_s(each, read_manifest(each))))
        return sorted(opened_s, key=opened_s.__getitem__, reverse=True)

    def _newest(self) -> Path:
        folders = self._newest_first()
        if not folders:
            raise UnknownCase(
                "expected a case, found none; `lab run db-timeout` makes one, and "
                "`lab practice db-timeout` opens a recorded one"
            )
        return folders[0]


def _checked(case_id: str) -> str:
    # A case id becomes a path, so nothing else may get through.
    if not _CASE_ID.fullmatch(case_id):
        raise UnknownCase(
            f"expected a case id such as db-timeout-1, got {case_id!r}; `lab cases` lists yours"
        )
    return case_id


def _sums(folder: Path, but_for: str) -> frozenset[str]:
    """The lines of the checksums, in whatever order they were written, less that of one file."""
    lines = (line.rstrip() for _, line in whole_lines(folder / case_folder.CHECKSUMS))
    return frozenset(line for line in lines if line.partition("  ")[2] != but_for)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what the system says about ``path`` into a DiskRefused that says what to do."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(path.anchor or os.sep).free // 2**20
        raise DiskRefused(
            f"expected to write {error.filename or path}, found: {error.strerror} "
            f"({free} MiB free); free some space or set LAB_STATE_DIR to a folder of yours"
        ) from error
