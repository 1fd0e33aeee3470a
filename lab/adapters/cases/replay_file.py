"""What a case's spans were called each time it was replayed: a line a replay, beside the case."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from lab.adapters.cases.json_lines import whole_lines
from lab.domain.replay import Replay

REPLAYS: Final = "replays.jsonl"

_SALT: Final = re.compile(r"[0-9a-f]{32}")


def write_replay(replay: Replay, to: str, at_unix_s: float) -> str:
    """One line, without its end; ``to`` says where it went."""
    line = {"time_unix_s": at_unix_s, "to": to, "salt": replay.salt, "shift_ns": replay.shift_ns}
    return json.dumps(line)


def read_replays(path: Path) -> tuple[Replay, ...]:
    """Each replay, newest first; a line that is none is left out: it only ever adds names."""
    found = []
    for _, line in whole_lines(path):
        try:
            entry = json.loads(line)
            salt, shift_ns = entry["salt"], entry["shift_ns"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if isinstance(salt, str) and _SALT.fullmatch(salt) and isinstance(shift_ns, int):
            found.append(Replay(salt, shift_ns))
    return tuple(reversed(found))
