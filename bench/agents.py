"""Measure `lab mcp`, and who answers the benchmark's public split without a model.

``make bench-agents`` writes ``bench/agents.md``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import psutil
from results import circumstances

from lab.adapters.cases.recording_file import RECORDING, read_recording, recordings
from lab.bench.harbor import Graded, exported, write_task
from lab.bench.scores import as_markdown, scored
from lab.bench.tasks import PUBLIC_SEED, tasks_of
from lab.mcp.answers import Arguments
from lab.mcp.exam import ExamRoom
from lab.mcp.rooms import dossier_of
from lab.mcp.tempo import TEMPO
from lab.mcp.traces import JAEGER
from lab.settings import CHECKOUT

RESULTS: Final = CHECKOUT / "bench" / "agents.md"
STARTS: Final = 9
START_WITHIN_S: Final = 0.6
CALL_WITHIN_S: Final = 0.1
_HELLO: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}


def start_s() -> float:
    """Processor time of `lab mcp` until it has answered its client's first message."""
    with tempfile.TemporaryDirectory() as state:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab", "mcp"],
            env={"LAB_STATE_DIR": state, "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(_HELLO) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        times = psutil.Process(process.pid).cpu_times()
        process.stdin.close()
        process.wait()
    return times.user + times.system


def calls_s(name: str) -> Iterator[tuple[str, float]]:
    """Each tool that looks at traces, asked of a recorded case, and its processor time."""
    case = read_recording(CHECKOUT / "scenarios" / name / RECORDING)
    room = ExamRoom(dossier_of(case), Path("none"))
    trace_id = case.support_code or next(iter(case.evidence.traces))
    trace = case.evidence.traces[trace_id]
    given: dict[str, Arguments] = {
        "get_span_names": {"service_name": trace.spans[0].service},
        "search_traces": {"search_depth": 100},
        "get_span_details": {"trace_id": trace_id, "span_ids": [trace.spans[0].span_id]},
        "search_tempo_traces": {"query": "{ status = error }", "limit": 200},
        "diff_tempo_traces": {"base_trace_id": trace_id, "compare_trace_id": trace_id},
        "list_tempo_attribute_values": {"name": "span.http.route"},
    }
    for tool in (*JAEGER, *TEMPO):
        needs = any(each.name == "trace_id" for each in tool.params)
        arguments = given.get(tool.name, {"trace_id": trace_id} if needs else {})
        began_s = time.process_time()
        tool.answer(room, arguments)
        yield f"{tool.name} of {name}", time.process_time() - began_s


def promises() -> list[str]:
    """What must hold of the server."""
    starts = sorted(start_s() for _ in range(STARTS))
    calls = [each for name in recordings(CHECKOUT / "scenarios") for each in calls_s(name)]
    slowest = max(calls, key=lambda each: each[1])
    rows = [
        (f"`lab mcp` until its first answer, processor s: {_spread(starts)}", median(starts),
         START_WITHIN_S),
        (f"slowest first call of {len(calls)}, processor s: {slowest[0]}", slowest[1],
         CALL_WITHIN_S),
    ]  # fmt: skip
    lines = ["| What | Measured | Must be | |", "| --- | --- | --- | --- |"]
    for what, measured, most in rows:
        verdict = "holds" if measured <= most else "**missed**"
        lines.append(f"| {what} | {measured:.3f} | <= {most} | {verdict} |")
    return lines


def _spread(values: Sequence[float]) -> str:
    return f"{values[0]:.2f} / {median(values):.2f} / {values[-1]:.2f} (n={len(values)})"


def export(folder: Path) -> list[Graded]:
    """The public split, made now."""
    for name, path in recordings(CHECKOUT / "scenarios").items():
        sys.stderr.write(f"{name}\n")
        for task in tasks_of(read_recording(path), PUBLIC_SEED):
            write_task(folder, task, "public")
    return list(exported(folder))


def main() -> None:
    """Measure, and write it down."""
    load = os.getloadavg()[0]
    own = promises()
    with tempfile.TemporaryDirectory() as folder:
        table = scored(export(Path(folder)), {}, baselines=True)
    kinds = {"all": None, "recorded cases": "recorded", "variants": "variant"}
    text = f"# Agents, measured\n\n{circumstances(load, 'make bench-agents')}\n\n## The server\n\n"
    text += "\n".join(own) + "\n"
    for title, kind in kinds.items():
        part = {
            who: [each for each in found if kind is None or each["kind"].split()[0] == kind]
            for who, found in table.items()
        }
        text += f"\n## The public split: {title}\n\n{as_markdown(part)}"
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
