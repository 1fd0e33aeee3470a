"""`lab import` through the door people use: files of every kind, a pipe, and two backends."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from lab.adapters.otlp.traces import read_traces, write_traces
from lab.cli import app
from lab.domain.trace import Event, Kind, Link, Scope, Span, Status, Trace
from lab.errors import CaseError, LabError, TraceStoreError, UsageError
from lab.settings import CHECKOUT
from tests.support.personal_data import FORMS, INNOCENT, LEAK, WHOLE_VALUES
from tests.support.sample_case import fatal_trace, healthy_trace
from tests.support.trace_formats import EXAMPLES, SHAPES, SPANS, TRACE_ID

RECORDING: Final = CHECKOUT / "scenarios" / "db-timeout" / "recorded.case.zip"
Lab = Callable[..., Any]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The command line over an empty state folder."""

    def run(*words: str, given: bytes | None = None) -> Any:
        result = CliRunner().invoke(
            app, words, env={"LAB_STATE_DIR": str(tmp_path / "state")}, input=given
        )
        if isinstance(result.exception, LabError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def traces_in(lab: Lab, case_id: str) -> dict[str, Trace]:
    """Every trace of a case, as `lab trace --json` tells it."""
    rows = json.loads(lab("traces", case_id, "--limit", "1000", "--json").output)
    found: dict[str, Trace] = {}
    for row in rows:
        told = lab("trace", row["trace_id"], "--case", case_id, "--json").output
        found |= read_traces(json.loads(told))
    return found


# --- files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [each for each in sorted(EXAMPLES.iterdir()) if each.name != "otlp-no-spans.json"],
    ids=lambda path: path.name,
)
def test_what_is_imported_exported_and_imported_again_stays_the_same(
    path: Path, lab: Lab, tmp_path: Path
) -> None:
    """Every format becomes a case, and that becomes OTLP which becomes the same case."""
    first = json.loads(lab("import", str(path), "--json").output)
    out = tmp_path / "out.jsonl"
    lab("export", first["case"], "--otlp", "--to", str(out))
    second = json.loads(lab("import", str(out), "--strict", "--again", "--json").output)
    assert (second["spans"], second["traces"]) == (first["spans"], first["traces"])
    assert (second["duplicates"], second["remarks"]) == (0, {})
    assert traces_in(lab, second["case"]) == traces_in(lab, first["case"])


@pytest.mark.parametrize("shape", ["snake_case", "protobuf in parts, zstd", "UTF-16"])
def test_the_spans_of_a_case_are_those_of_the_file(shape: str, lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(SHAPES[shape]())
    lab("import", str(path), "--strict")
    (trace,) = traces_in(lab, "imported-1").values()
    assert (trace.trace_id, trace.spans) == (TRACE_ID, SPANS)


def test_what_a_spans_context_carries_is_shown(lab: Lab, tmp_path: Path) -> None:
    """Trace state, flags and the conventions that it is to be read by; its link's as well."""
    path = tmp_path / "it.json"
    path.write_bytes(SHAPES["one document"]())
    lab("import", str(path))
    told = lab("trace", TRACE_ID[:8], "--attributes").output
    for each in (
        "context trace state = vendor=opaque",
        "context flags = 0x00000301",
        "  trace state = vendor=linked",
        "resource schema url = https://opentelemetry.io/schemas/1.29.0",
        "scope schema url = https://opentelemetry.io/schemas/1.30.0",
    ):
        assert each in told


def test_many_files_of_many_kinds_become_one_case(lab: Lab, tmp_path: Path) -> None:
    """Rotated parts of one writer, a folder with others, a file that is none: all is accounted."""
    good, bad = healthy_trace("ab" * 16), fatal_trace("cd" * 16)
    lines = [json.dumps(write_traces([each])) for each in (good, bad)]
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / ".hidden").write_text("x")
    (tmp_path / "in" / "traces.jsonl").write_text(f"{lines[0]}\n{lines[1]}\n")
    (tmp_path / "in" / "traces-1.jsonl.gz").write_bytes(gzip.compress(lines[0].encode()))
    (tmp_path / "in" / "deeper" / "notes.csv").write_text("a,b,c\n1,2,3\n")
    said = lab("import", str(tmp_path / "in"), str(EXAMPLES / "jaeger-ui.json")).output
    assert said.startswith(
        "imported-1: read 20 spans in 3 traces of 4 files; 6 duplicates dropped; "
        "1 piece that could not be read skipped: "
    )
    assert "notes.csv: expected traces (OTLP as JSON" in said
    assert "found a table (CSV)" in said
    with pytest.raises(CaseError, match="--strict"):
        lab("import", str(tmp_path / "in"), "--strict")
    assert len(json.loads(lab("cases", "--json").output)) == 1


def test_what_comes_through_a_pipe_is_read_like_a_file(lab: Lab) -> None:
    told = json.loads(lab("import", "-", "--json", given=SHAPES["gzip"]()).output)
    assert (told["case"], told["read"]) == ("imported-1", 2)
    told = json.loads(lab("import", "-", "--json", given=RECORDING.read_bytes()).output)
    assert told["case"] == "db-timeout-1"


def test_a_server_under_its_callers_id_gets_one_of_its_own(lab: Lab) -> None:
    """Below its caller, and with all that the server did below itself; and it is said."""
    path = EXAMPLES / "zipkin-v2-client-and-server-share-a-span-id.json"
    told = json.loads(lab("import", str(path), "--json").output)
    assert told["spans"] == 5
    assert list(told["remarks"].values()) == [1]
    (trace,) = traces_in(lab, "imported-1").values()
    (call,) = (each for each in trace if each.name == "get /api" and each.service == "frontend")
    (answer,) = trace.children(call)
    assert (answer.service, answer.parent_id) == ("backend", call.span_id)
    assert answer.attributes["deadspan.shared_span_id"] == call.span_id
    assert [each.name for each in trace.children(answer)] == ["query", "unfinished"]
    assert trace.is_whole


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("otlp-span-without-end.json", ("unfinished", "1 span without end")),
        ("otlp-span-without-start.json", ("no start", "1 span without start")),
    ],
)
def test_a_time_that_nobody_wrote_down_is_never_a_zero(
    name: str, said: tuple[str, str], lab: Lab
) -> None:
    """It is told, drawn as such, and no part of how long the trace took."""
    lab("import", str(EXAMPLES / name))
    shown = lab("trace", "0af7").output
    assert "1.00s from first to last" in shown
    assert all(each in shown for each in said)
    assert "0.00ms" not in shown
    (row,) = json.loads(lab("traces", "--json").output)
    assert row["duration_ms"] == 1000
    assert row["unfinished"] == (said[0] == "unfinished")


def test_a_trace_is_listed_by_its_root(lab: Lab) -> None:
    lab("import", str(EXAMPLES / "otlp-root-and-child-start-together.json"))
    (row,) = json.loads(lab("traces", "--json").output)
    assert (row["name"], row["services"]) == ("GET /checkout (root)", ["front"])


def test_all_that_a_span_carries_is_shown_with_its_attributes(lab: Lab, tmp_path: Path) -> None:
    """Scope, resource, links and events too; what is no text as JSON."""
    path = tmp_path / "it.json"
    path.write_bytes(SHAPES["one document"]())
    lab("import", str(path))
    shown = lab("trace", "0af7", "--attributes").output
    for each in (
        "scope web 1.0.0", "scope flavour = plain", "resource host.arch = arm64", "why = batch",
        'list = ["a", 1, true]', 'map = {"k": 1}', "◆ exception at 500ms", "exception.type = Boom",
    ):  # fmt: skip
        assert each in shown


def old(case: Path) -> None:
    (case / ".index.jsonl").unlink()


def of_another(case: Path) -> None:
    text = (case / ".index.jsonl").read_text()
    (case / ".index.jsonl").write_text(text.replace('"traces": "', '"traces": "0', 1))


def damaged(case: Path) -> None:
    text = (case / ".index.jsonl").read_text()
    (case / ".index.jsonl").write_text(text.partition("\n")[0] + "\n[1,2]\n")


@pytest.mark.parametrize("spoil", [old, of_another, damaged])
def test_a_case_without_an_index_that_can_be_believed_is_read_anew(
    spoil: Callable[[Path], None], lab: Lab, tmp_path: Path
) -> None:
    """As one from before there was any; the index is there again afterwards."""
    lab("import", str(EXAMPLES / "jaeger-ui.json"))
    case = tmp_path / "state" / "cases" / "imported-1"
    before = lab("traces", "--json").output
    index = (case / ".index.jsonl").read_text()
    spoil(case)
    assert lab("traces", "--json").output == before
    assert (case / ".index.jsonl").read_text() == index
    lab("export", "--to", str(tmp_path / "it.case.zip"))
    lab("import", str(tmp_path / "it.case.zip"), "--again")
    assert lab("traces", "imported-2", "--json").output == before


def test_a_limit_says_how_to_get_past_it(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.adapters.cases import telemetry_case

    monkeypatch.setattr(telemetry_case, "MOST_SPANS", 2)
    with pytest.raises(CaseError, match="shorter stretch of time, or fewer files at once"):
        lab("import", str(EXAMPLES / "zipkin-v2-client-and-server-share-a-span-id.json"))


# --- backends ----------------------------------------------------------------------------

TRACES: Final = tuple(make(f"{n:032x}") for n, make in enumerate((healthy_trace, fatal_trace), 1))


@dataclass
class Backend:
    """A real server on loopback that answers by ``answer(path, parameters, headers)``."""

    answer: Callable[[str, dict[str, str], Any], tuple[int, Any]]
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def serve() -> Iterator[Callable[[Any], Backend]]:
    servers = []

    def start(answer: Any) -> Backend:
        backend = Backend(answer)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                backend.asked.append(self.path)
                parts = urlsplit(self.path)
                parameters = {key: each[0] for key, each in parse_qs(parts.query).items()}
                status, told = backend.answer(parts.path, parameters, self.headers)
                body = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        backend.url = f"http://127.0.0.1:{server.server_port}"
        return backend

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def by_id(path: str) -> Trace:
    return next(each for each in TRACES if each.trace_id == path.rpartition("/")[2])


def found(parameters: dict[str, str]) -> tuple[int, Any]:
    """What Tempo's search answers: ids without their leading zeros."""
    start, end = int(parameters["start"]), int(parameters["end"])
    is_asked = end - start > 1 or "limit" in parameters
    ids = [each.trace_id.lstrip("0") for each in TRACES] if is_asked else []
    return 200, {"traces": [{"traceID": each} for each in ids], "metrics": {}}


def new_tempo(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    if path.endswith("/api/search"):
        return found(parameters)
    assert "/api/v2/traces/" in path
    return 200, {"trace": write_traces([by_id(path)])}


def old_tempo(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    """Without a second API, with batches, and with libraries in place of scopes."""
    if path == "/api/search":
        return found(parameters)
    if "/v2/" in path:
        return 404, b"404 page not found"
    groups = write_traces([by_id(path)])["resourceSpans"]
    for group in groups:
        group["instrumentationLibrarySpans"] = group.pop("scopeSpans")
    return 200, {"batches": groups}


def slow_old_tempo(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    """Which tells of the second trace that there is no second API when the first is here."""
    if "/v2/" in path and path.endswith(TRACES[1].trace_id):
        time.sleep(0.3)
    return old_tempo(path, parameters, headers)


def small_tempo(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    if path == "/api/search" and int(parameters["limit"]) > 40:
        return 400, b"limit 2000 exceeds max limit 40"
    return new_tempo(path, parameters, headers)


def shared_tempo(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    if headers.get("X-Scope-OrgID") != "shop":
        return 401, b"no org id"
    return new_tempo(path, parameters, headers)


@pytest.mark.parametrize("answer", [new_tempo, old_tempo, slow_old_tempo, small_tempo])
def test_a_tempo_of_any_age_and_size_is_read(
    answer: Any, lab: Lab, serve: Callable[[Any], Backend]
) -> None:
    backend = serve(answer)
    told = json.loads(lab("import", "--tempo", backend.url, "--json").output)
    assert (told["traces"], told["skipped"]) == (2, [])
    assert traces_in(lab, told["case"]) == {each.trace_id: each for each in TRACES}


def test_a_tenant_is_asked_for_and_told(lab: Lab, serve: Callable[[Any], Backend]) -> None:
    backend = serve(shared_tempo)
    with pytest.raises(TraceStoreError, match="say --header 'X-Scope-OrgID: NAME'"):
        lab("import", "--tempo", backend.url)
    said = lab("import", "--tempo", backend.url, "--header", "X-Scope-OrgID: shop").output
    assert "read 12 spans in 2 traces of 2 answers" in said


def test_traces_are_chosen_in_the_same_words_of_both(
    lab: Lab, serve: Callable[[Any], Backend]
) -> None:
    tempo, jaeger = serve(new_tempo), serve(new_jaeger)
    words = ("--service", "a b", "--since", "5m", "--limit", "1")
    began_s = time.time() - 300
    lab("import", "--tempo", tempo.url, *words)
    lab("import", "--jaeger", jaeger.url, *words)
    (search, one) = tempo.asked
    asked = parse_qs(urlsplit(search).query)
    assert asked["q"] == ['{ resource.service.name = "a b" }']
    assert asked["limit"] == ["1"]
    assert abs(int(asked["start"][0]) - began_s) < 30
    assert one.startswith("/api/v2/traces/")
    asked = parse_qs(urlsplit(jaeger.asked[-1]).query)
    assert (asked["query.service_name"], asked["query.num_traces"]) == (["a b"], ["1"])


def new_jaeger(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    if path == "/api/v3/services":
        return 200, {"services": ["gateway", "auth", "idle"]}
    assert path == "/api/v3/traces"
    if parameters["query.service_name"] == "idle":
        return 404, {"error": {"httpCode": 404, "message": "No traces found"}}
    return 200, {"result": write_traces(TRACES)}


def old_jaeger(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    """Without version 3; its page has an answer for every path."""
    if path == "/api/services":
        return 200, {"data": ["driver", "mysql"], "total": 2}
    if path == "/api/traces":
        return 200, json.loads((EXAMPLES / "jaeger-ui.json").read_text())
    return 200, b"<!doctype html><html></html>"


@pytest.mark.parametrize(("answer", "spans"), [(new_jaeger, 12), (old_jaeger, 2)])
def test_a_jaeger_of_any_age_is_read(
    answer: Any, spans: int, lab: Lab, serve: Callable[[Any], Backend]
) -> None:
    """A trace that several services took part in comes once."""
    told = json.loads(lab("import", "--jaeger", serve(answer).url, "--json").output)
    assert (told["spans"], told["duplicates"], told["skipped_spans"]) == (spans, 0, 0)


def test_no_error_tells_a_password(lab: Lab, serve: Callable[[Any], Backend]) -> None:
    """Whatever the backend says, and in the case itself neither."""
    backend = serve(lambda path, parameters, headers: (500, b"oops"))
    address = backend.url.replace("http://", "http://me:secret@")
    for option in ("--tempo", "--jaeger"):
        with pytest.raises(TraceStoreError) as refusal:
            lab("import", option, f"{address}/base?key=secret")
        assert "secret" not in str(refusal.value)
    backend.answer = new_tempo
    lab("import", "--tempo", address)
    assert "secret" not in lab("traces").output


def test_a_proxy_of_the_users_is_for_the_outside_world(
    lab: Lab, serve: Callable[[Any], Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never stands before what runs on this machine."""
    proxy = serve(new_tempo)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    lab("import", "--tempo", "http://tempo.example:3200/tempo")
    assert all(each.startswith("http://tempo.example:3200/tempo/api/") for each in proxy.asked)
    here = serve(new_tempo)
    proxy.asked.clear()
    lab("import", "--tempo", here.url)
    assert proxy.asked == []


# --- the list ----------------------------------------------------------------------------


@pytest.fixture
def listed(lab: Lab, tmp_path: Path) -> Lab:
    """A case of ten traces: every third fails, every fourth lacks its root, each is longer."""
    spans = []
    for n in range(10):
        start_ns = 1_700_000_000_000_000_000 + n * 1_000_000_000
        span = Span(
            f"{n:x}" * 32 if n else "a" * 32, f"{n + 1:016x}", "f" * 16 if n % 4 == 3 else None,
            f"GET /{'cart' if n % 2 else 'home'}", Kind.SERVER, "front" if n < 8 else "back",
            start_ns, start_ns + (n + 1) * 10_000_000,
            Status.ERROR if n % 3 == 0 else Status.UNSET,
            attributes={"user.tier": "Gold" if n == 4 else "plain", "amount": n, "city": "Ålesund"},
            resource={"service.name": "front" if n < 8 else "back", "k8s.pod": f"pod-{n}"},
        )  # fmt: skip
        spans.append(span)
    path = tmp_path / "ten.json"
    path.write_text(json.dumps(write_traces([Trace(each.trace_id, (each,)) for each in spans])))
    lab("import", str(path))
    return lab


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--outcome error", "0369"),
        ("--outcome ok", "124578"),
        ("--service back", "89"),
        ("--root cart", "13579"),
        ("--route /HOME", "02468"),
        ("--text gold", "4"),
        ("--text user.tier=gold", "4"),
        ("--text pod-7", "7"),
        ("--text ålesund", "0123456789"),
        ("--text attributes", ""),
        ("--text amount=3", "3"),
        ("--text 55555555", "5"),
        ("--min-ms 90", "89"),
        ("--max-ms 20", "01"),
        ("--from 2023-11-14T22:13:28Z", "89"),
        ("--to 2023-11-14T22:13:22Z", "01"),
        ("--incomplete", "37"),
        ("--incomplete --outcome error", "3"),
        ("--slowest --limit 2", "98"),
        ("--sort duration --limit 2", "01"),
        ("--sort time --descending --limit 3", "987"),
        ("--sort root --limit 3", "981"),
        ("--sort trace --descending --limit 1", "0"),
        ("--sort errors --descending --limit 2", "96"),
        ("--sort whole --limit 2", "37"),
        ("--sort services --limit 1", "0"),
        ("--sort spans --descending --limit 1", "9"),
    ],
)
def test_every_filter_and_every_order_is_for_a_strangers_traces_too(
    words: str, found: str, listed: Lab
) -> None:
    rows = json.loads(listed("traces", *words.split(), "--json").stdout)
    assert [round(row["duration_ms"] / 10) - 1 for row in rows] == [int(each) for each in found]


def test_the_number_of_all_that_fit_is_told_before_the_limit(listed: Lab) -> None:
    assert (
        "3 of 4 traces that fit, of 10 from"
        in listed("traces", "--outcome", "error", "--limit", "3").stdout
    )
    assert (
        "1 of 4 that fit" in listed("traces", "--outcome", "error", "--limit", "1", "--json").stderr
    )
    assert "no trace fits" in listed("traces", "--text", "nowhere").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--outcome rejected", "expected --outcome to be one of ok, error, got 'rejected'"),
        ("--window incident --tenant acme", "expected no --window and no --tenant beside"),
        ("--background", "expected no --background beside imported-1"),
        ("--service frnt", "did you mean front?"),
        ("--sort route", "expected --sort to be one of time, trace, root"),
        ("--slowest --sort time", "expected --slowest, or --sort"),
        ("--from yesterday", "expected a moment such as"),
    ],
)
def test_what_does_not_apply_to_a_strangers_traces_is_told(
    words: str, said: str, listed: Lab
) -> None:
    with pytest.raises(UsageError, match=re.escape(said[:40])):
        listed("traces", *words.split())


# --- masking -----------------------------------------------------------------------------


def test_every_form_of_personal_data_is_masked_before_anything_is_written(
    lab: Lab, tmp_path: Path
) -> None:
    """In every text of a span; by the table that the Collector is tested by."""

    def told(text: str, number: int) -> Trace:
        resource = {"service.name": "shop", "owner": text}
        span = Span(
            f"{number + 1:032x}", f"{number + 1:016x}", None, text, Kind.SERVER, "shop", 10**18,
            10**18 + 1, Status.ERROR, text,
            {"a": text, "list": (text, "b"), "map": json.dumps({"k": text}, ensure_ascii=False)},
            (Event(text, 10**18, {"a": text}),), (Link("ab" * 16, "cd" * 8, {"a": text}, text),),
            resource, Scope(text, "1", {"a": text}), text,
        )  # fmt: skip
        return Trace(span.trace_id, (span,))

    path, kept = tmp_path / "it.json", (*INNOCENT, *WHOLE_VALUES)
    path.write_text(
        "\n".join(
            json.dumps(write_traces([told(*each[::-1])])) for each in enumerate((*FORMS, *kept))
        )
    )
    done = lab("import", str(path), "--mask", "--json")
    masked = json.loads(done.stdout)["remarks"][
        "value in which an address or a card number was masked"
    ]
    assert masked >= 13 * len(FORMS)
    lines = (tmp_path / "state" / "cases" / "imported-1" / "traces.jsonl").read_text().splitlines()
    texts = [
        set(re.findall(r'"(?:name|message|traceState|stringValue)":("(?:[^"\\]|\\.)*")', line))
        for line in lines
    ]
    said = [{json.loads(each) for each in line} - {"service.name", "1"} for line in texts]
    assert [each for line in said[: len(FORMS)] for each in line if LEAK.search(each)] == []
    assert [
        text for text, line in zip(kept, said[len(FORMS) :], strict=True) if text not in line
    ] == []


def test_what_is_no_text_and_what_a_key_says_is_masked_too(lab: Lab, tmp_path: Path) -> None:
    """A card as a number; two names that become alike stay two; a case file is refused."""
    attributes = {"card": 4242424242424242, "bob@example.com": True, "eve@example.com": 4.5, "n": 7}
    span = replace(SPANS[0], attributes=attributes)
    path = tmp_path / "it.json"
    path.write_text(json.dumps(write_traces([Trace(TRACE_ID, (span,))])))
    assert "3 × value in which an address or a card number was masked" in lab(
        "import", str(path), "--mask"
    ).stdout.replace("\n", " ")
    (trace,) = traces_in(lab, "imported-1").values()
    assert trace.spans[0].attributes == {"card": "****", "****": True, "**** 2": 4.5, "n": 7}
    with pytest.raises(UsageError, match="expected no --mask for a case file"):
        lab("import", str(RECORDING), "--mask")
    with pytest.raises(UsageError, match="expected no --mask for a case file"):
        lab("import", "-", "--mask", given=RECORDING.read_bytes())


def test_nothing_is_masked_unasked(lab: Lab, tmp_path: Path) -> None:
    span = replace(SPANS[0], attributes={"who": "bob@example.com"})
    path = tmp_path / "it.json"
    path.write_text(json.dumps(write_traces([Trace(TRACE_ID, (span,))])))
    lab("import", str(path))
    (trace,) = traces_in(lab, "imported-1").values()
    assert trace.spans == (span,)


# --- the same again ----------------------------------------------------------------------


def test_the_same_traces_make_one_case_from_whatever_files(listed: Lab, tmp_path: Path) -> None:
    """The same file, its spans in another order, and in another format; unless one says again."""
    before = (tmp_path / "state" / "cases" / "imported-1" / "traces.jsonl").read_bytes()
    groups = json.loads((tmp_path / "ten.json").read_text())["resourceSpans"]
    for number, half in enumerate((groups[5:], groups[:5])):
        (tmp_path / f"half-{number}.json").write_text(json.dumps({"batches": half}))
    halves = [str(tmp_path / f"half-{number}.json") for number in range(2)]
    for files in ([str(tmp_path / "ten.json")], halves):
        told = listed("import", *files)
        assert "imported-1: read 10 spans" in told.stdout
        assert "were here already; --again makes another" in told.stdout.replace("\n", " ")
    assert json.loads(listed("import", *halves, "--json").stdout)["is_new"] is False
    assert len(json.loads(listed("cases", "--json").stdout)) == 1
    assert (tmp_path / "state" / "cases" / "imported-1" / "traces.jsonl").read_bytes() == before
    again = json.loads(listed("import", *halves, "--again", "--json").stdout)
    assert (again["case"], again["is_new"]) == ("imported-2", True)
    named = [json.loads(listed("import", *halves, "--name", "ours", "--json").stdout) for _ in "ab"]
    assert [(each["case"], each["is_new"]) for each in named] == [
        ("ours-1", True),
        ("ours-1", False),
    ]


def test_traces_that_differ_in_anything_make_a_case_of_their_own(
    listed: Lab, tmp_path: Path
) -> None:
    groups = json.loads((tmp_path / "ten.json").read_text())["resourceSpans"]
    groups[0]["scopeSpans"][0]["spans"][0]["name"] += "!"
    (tmp_path / "other.json").write_text(json.dumps({"resourceSpans": groups}))
    assert json.loads(listed("import", str(tmp_path / "other.json"), "--json").stdout)["is_new"]


# --- deleting ----------------------------------------------------------------------------


def test_cases_are_listed_with_size_and_date_and_deleted_by_name(listed: Lab) -> None:
    shown = listed("cases").stdout
    assert re.search(r"imported-1 +20\d\d-\d\d-\d\d \d\d:\d\d", shown)
    assert re.search(r"\d\.\d\d kB", shown)
    (row,) = json.loads(listed("cases", "--json").stdout)
    assert (row["traces"], row["spans"]) == (10, 10)
    assert 5_000 < row["size_bytes"] < 20_000
    done = listed("cases", "--delete", "imported-1", "--yes")
    assert "imported-1 is deleted" in done.stdout
    assert re.search(r"ten.json, \d\.\d\d kB", done.stderr)
    assert json.loads(listed("cases", "--json").stdout) == []


def test_nothing_is_deleted_without_a_yes(listed: Lab) -> None:
    with pytest.raises(UsageError, match="found no terminal; `--yes` goes ahead unasked"):
        listed("cases", "--delete", "imported-1")
    with pytest.raises(UsageError, match="expected --yes beside --delete"):
        listed("cases", "--yes")
    with pytest.raises(CaseError, match="did you mean imported-1"):
        listed("cases", "--delete", "importd-1", "--yes")
    assert len(json.loads(listed("cases", "--json").stdout)) == 1
