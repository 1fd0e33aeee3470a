"""Run published detectives over spans; in an environment of its own, without the lab.

Reads JSON lines from its input, one case each: ``{"id", "inject_us", "spans"}``, a span
being trace id, span id, parent id, service, operation, start and duration in µs. Writes
one line a case: method → ``{"ranks", "seconds", "remark"}``. The files of the package are
loaded by path, because its ``__init__`` asks for far more than these methods need.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import sys
import time
import types
from pathlib import Path
from typing import Any

COLUMNS = [
    "traceID",
    "spanID",
    "parentSpanID",
    "serviceName",
    "methodName",
    "startTime",
    "duration",
]


def module(package: Path, path: str) -> Any:
    """A file of the package under its own name, without what stands above it."""
    name = f"RCAEval.{path.replace('/', '.')}"
    spec = importlib.util.spec_from_file_location(name, package / f"{path}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


def frame(pandas: Any, case: dict[str, Any]) -> Any:
    """The spans as the package wants them."""
    spans = pandas.DataFrame(case["spans"], columns=COLUMNS)
    spans["operationName"] = spans["methodName"]
    return spans


def known_before(spans: Any, inject_us: float) -> Any:
    """Only spans of operations that ran before: these methods have no word for others."""
    label = spans["serviceName"] + "_" + spans["methodName"]
    before = set(label[spans["startTime"] + spans["duration"] < inject_us])
    return spans[label.isin(before)].copy()


def series(spans: Any, inject_us: float) -> Any:
    """The mean duration of each operation in each second, as BARO reads metrics."""
    label = spans["serviceName"] + "_" + spans["methodName"]
    second = (spans["startTime"] // 1_000_000).rename("time")
    table = spans.groupby([second, label])["duration"].mean().unstack()
    table = table.ffill().bfill().fillna(0).reset_index()
    return table, inject_us // 1_000_000


def main(package: Path) -> None:
    """One line out for each line in."""
    pandas = importlib.import_module("pandas")
    for name in ("RCAEval", "RCAEval.io", "RCAEval.e2e"):
        sys.modules[name] = types.ModuleType(name)
    module(package, "io/time_series")
    microrank = module(package, "e2e/microrank").microrank
    tracerca = module(package, "e2e/tracerca").tracerca
    baro = module(package, "e2e/baro").baro

    def by_series(spans: Any, inject_time: float) -> Any:
        table, inject_s = series(spans, inject_time)
        return baro(table, inject_time=inject_s, dataset=None)

    for line in sys.stdin:
        case = json.loads(line)
        answers = {}
        for name, method in (("MicroRank", microrank), ("TraceRCA", tracerca), ("BARO", by_series)):
            answers[name] = answer(pandas, method, case)
        sys.stdout.write(json.dumps({"id": case["id"], **answers}) + "\n")


def answer(pandas: Any, method: Any, case: dict[str, Any]) -> dict[str, Any]:
    """The method's ranking; once more without new operations where those stop it."""
    began, remark = time.process_time(), ""
    spans = frame(pandas, case)
    for attempt in (spans, known_before(spans, case["inject_us"])):
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                found = method(attempt.copy(), inject_time=case["inject_us"])
            ranks = [str(each) for each in found["ranks"] if str(each) != "time"]
            return {"ranks": ranks, "seconds": time.process_time() - began, "remark": remark}
        except Exception as error:  # noqa: BLE001 -- whatever stops a stranger's code is its remark
            remark = f"{type(error).__name__}: {error}"[:120]
    return {"ranks": [], "seconds": time.process_time() - began, "remark": remark}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
