"""Kill wardens and runs at seeded moments, again and again, and count what outlived its lease.

``make soak`` runs this and writes a section of ``bench/results.md``; exit 1 where a
promise is missed. It wants a machine of its own: on a busy one a warden starts late.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from promises import Promise, Row, table
from results import circumstances, write_section
from rich.console import Console
from rich.progress import Progress
from run_kills import RunKill, kill_in_runs
from warden_kills import Moment, WardenKill, kill_wardens

WARDEN_KILLS: Final = 500
RUN_KILLS: Final = 20

GONE: Final = Promise("all harm gone after the lease's end", "s", 3, "max", max)
LEFT: Final = Promise(f"kills with harm left {GONE.at_most:g} s after the lease's end", "kills", 0)
FALSELY: Final = Promise("full runs with a kill in them and *proven*", "runs", 0)
CORRUPT: Final = Promise("case folders that do not read", "folders", 0)


def warden_rows(kills: Sequence[WardenKill]) -> list[Row]:
    """Over all kills, and when all was gone for each moment."""
    rows = [_left_row("warden", kills, f"of {len(kills)} kills")]
    for moment in Moment:
        gone_s = [kill.gone_after_s for kill in kills if kill.moment is moment]
        if gone_s:
            rows.append(GONE.of(f"warden killed {moment}").measured(gone_s))
    return rows


def run_rows(kills: Sequence[RunKill]) -> list[Row]:
    """What kills inside full runs left, and what the runs made of it."""
    victims = ", ".join(sorted({kill.victim for kill in kills}))
    return [
        _left_row("full run", kills, f"of {len(kills)} kills: {victims}"),
        GONE.of("full run").measured([kill.gone_after_s for kill in kills]),
        FALSELY.measured([sum(kill.falsely_proven for kill in kills)]),
        CORRUPT.measured([max(kill.corrupt_cases for kill in kills)]),
    ]


def _left_row(what: str, kills: Sequence[WardenKill | RunKill], remark: str) -> Row:
    left = sum(kill.gone_after_s > GONE.at_most for kill in kills)
    return LEFT.of(what).measured([left], remark)


def _one_or_more(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)


def main() -> int:
    """Kill, count, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="the same seed kills alike")
    parser.add_argument("--warden-kills", type=_one_or_more, default=WARDEN_KILLS)
    parser.add_argument("--run-kills", type=_one_or_more, default=RUN_KILLS)
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("killing wardens", total=options.warden_kills)
        wardens: list[WardenKill] = []
        for done in kill_wardens(options.warden_kills, options.seed):
            wardens += done
            progress.advance(bar, len(done))
        bar = progress.add_task("killing in full runs", total=options.run_kills)
        runs: list[RunKill] = []
        for kill in kill_in_runs(options.run_kills, options.seed):
            runs.append(kill)
            progress.advance(bar)
    rows = [*warden_rows(wardens), *run_rows(runs)]
    about = circumstances(load_before, f"make soak SEED={options.seed}")
    text = f"{about}\n\n{table(rows)}"
    write_section("Soak", text)
    sys.stdout.write(f"{text}\n")
    return int(any(row.is_missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
