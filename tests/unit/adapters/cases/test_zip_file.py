"""The case file: as its page and its schema describe it, and refused where it is hostile."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.adapters import bounds
from lab.adapters.cases import case_folder, zip_file
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import bring_file
from lab.adapters.cases.case_folder import read_case_file, write_case, write_checksums
from lab.adapters.cases.manifest import case_file_schema
from lab.adapters.cases.zip_file import pack_folder, read_zip, unpack
from lab.errors import CaseError
from lab.settings import CHECKOUT
from tests.support.sample_case import sample_case

PAGE = (CHECKOUT / "docs" / "case-file.md").read_text(encoding="utf-8")


def packed(folder: Path) -> bytes:
    write_case(folder, sample_case())
    target = io.BytesIO()
    pack_folder(folder, target)
    return target.getvalue()


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    """The members of a whole case file, by name."""
    (tmp_path / "made").mkdir()
    with zipfile.ZipFile(io.BytesIO(packed(tmp_path / "made"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """The empty folder that an archive is unpacked into."""
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


def zipped(path: Path, members: dict[str, bytes], **more: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **more)
    return path


def resealed(members: dict[str, bytes]) -> dict[str, bytes]:
    """The same with checksums that fit."""
    lines = (
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in members.items()
        if name != "checksums"
    )
    return members | {"checksums": "".join(lines).encode()}


def test_the_committed_schema_is_the_one_the_code_means() -> None:
    """Where it is not, `lab schema --case-file` writes it."""
    committed = (CHECKOUT / "docs" / "case-file.schema.json").read_text(encoding="utf-8")
    assert committed == case_file_schema()
    named = set(json.loads(committed)["$defs"])
    assert {"Manifest", "TelemetryManifest", "Request", "JournalEntry", "LogRecord"} < named


def test_the_page_names_every_member(members: dict[str, bytes]) -> None:
    assert [name for name in members if name.rpartition("/")[2] not in PAGE] == []


def test_the_page_names_every_limit() -> None:
    """Numbers in prose grow old; these are read from the code."""
    for number in (zip_file.MOST_MEMBERS, zip_file.MOST_RATIO):
        assert f" {number} " in PAGE
    for size in (zip_file.MOST_PACKED_BYTES, zip_file.MOST_BYTES):
        assert f"{size // 2**20} MiB" in PAGE
    assert "20,000 traces or 500,000 spans" in PAGE
    listed = [most for each in bounds.MOST_IN.values() for most in each.values()]
    for most in (*bounds.MOST_OF_OTLP.values(), *listed):
        assert f" {most:,} " in PAGE
    limits = (bounds.MOST_REQUESTS, bounds.MOST_LOG_LINES, bounds.MOST_RECORDS)
    for limit in (*limits, bounds.MOST_JOURNAL_ENTRIES, int(case_folder.LONGEST_WINDOW_S)):
        assert f" {limit:,} " in PAGE


def test_what_was_packed_is_unpacked(members: dict[str, bytes], tmp_path: Path, room: Path) -> None:
    unpack(zipped(tmp_path / "a.zip", members), room)
    assert read_case_file(room) == sample_case()


def test_a_folder_of_the_archive_of_its_own_is_no_member(
    members: dict[str, bytes], tmp_path: Path, room: Path
) -> None:
    """`zip -r` writes one for the scenario's folder."""
    unpack(zipped(tmp_path / "a.zip", {"scenario/": b""} | members), room)
    assert read_case_file(room).case_id == "db-timeout-1"


def test_a_member_of_a_later_lab_is_kept_and_not_looked_at(
    members: dict[str, bytes], tmp_path: Path, room: Path
) -> None:
    """Version 1 can grow: what is sealed and has an honest name does no harm."""
    path = zipped(tmp_path / "a.zip", resealed(members | {"db-log.jsonl": b"{}\n"}))
    unpack(path, room)
    assert read_case_file(room) == sample_case()
    assert (room / "db-log.jsonl").read_bytes() == b"{}\n"


@pytest.mark.parametrize(
    "name",
    [
        "../escaped", "../../escaped.txt", "/etc/escaped.txt", "C:/escaped.txt",
        "a\\..\\escaped.txt", "scenario/../../escaped.txt", "scenario/deep/escaped.txt",
        "other/escaped.txt",
        ".imported.json", ".owner.json", "scenario/.hidden", "a\x1b[2J.txt", "nul\x00.txt",
        "ﬁle.txt", " manifest.json", "manifest.json/",
    ],
)  # fmt: skip
def test_a_member_that_could_lie_elsewhere_is_refused(
    members: dict[str, bytes], tmp_path: Path, room: Path, name: str
) -> None:
    """Whatever its checksum says; and nothing at all is unpacked."""
    path = zipped(tmp_path / "a.zip", resealed({name: b"x"} | members))
    with pytest.raises(CaseError, match=r"a member .*no name of a file in a case|two|nul") as told:
        unpack(path, room)
    assert str(told.value).isprintable()
    assert list(room.iterdir()) == []
    assert not list(tmp_path.glob("**/*escaped*"))


def add_twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("traces.jsonl", b"")


def add_link(path: Path) -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")


def add_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.txt", bytes(4 * 2**20))


def add_many(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(zip_file.MOST_MEMBERS):
            archive.writestr(f"more{number}.txt", b"")


def add_another_method(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("packed.txt", b"x" * 100)


def add_unsealed(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("unsealed.txt", b"x")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def encrypt(path: Path) -> None:
    """Set the flag in every header, local and central."""
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(signature, at + 4)
    path.write_bytes(content)


def lie_about_a_size(path: Path) -> None:
    """Claim in the table of contents that a member is shorter than it is."""
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = (7).to_bytes(4, "little")
    path.write_bytes(content)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (add_twice, r"'traces\.jsonl' twice"),
        (add_link, r"'link\.txt', which is no regular file"),
        (add_bomb, "claims to unpack to 4194304 bytes"),
        (add_many, "members, where one has at most 64"),
        (add_another_method, "packed by method 14; only deflate"),
        (add_unsealed, "unsealed.txt, which its checksums do not know"),
        (cut, "no zip that can be read"),
        (encrypt, "'manifest.json', encrypted"),
        (lie_about_a_size, "manifest.json (damaged|of another length)"),
        (flip_a_bit, "damaged"),
    ],
)
def test_a_hostile_archive_is_refused(
    members: dict[str, bytes],
    tmp_path: Path,
    room: Path,
    harm: Callable[[Path], None],
    complaint: str,
) -> None:
    """Each for its own reason, in a sentence that says what to do."""
    path = zipped(tmp_path / "a.zip", members)
    harm(path)
    with pytest.raises(CaseError, match=complaint) as told:
        unpack(path, room)
    assert str(told.value).endswith("or ask there for another export")


def test_all_that_is_wrong_with_an_archive_is_told_at_once(
    members: dict[str, bytes], tmp_path: Path, room: Path
) -> None:
    path = zipped(tmp_path / "a.zip", members)
    for harm in (add_link, add_bomb, add_another_method):
        harm(path)
    with pytest.raises(CaseError, match=r"link\.txt.*zeros\.txt.*packed\.txt"):
        unpack(path, room)


@pytest.mark.parametrize("limit", ["MOST_PACKED_BYTES", "MOST_BYTES"])
def test_an_archive_above_a_limit_is_refused(
    members: dict[str, bytes],
    tmp_path: Path,
    room: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    monkeypatch.setattr(zip_file, limit, 1000)
    with pytest.raises(CaseError, match=r"MiB, where one has at most|more than 0 MiB"):
        unpack(zipped(tmp_path / "a.zip", members), room)


def test_what_is_no_archive_is_told_apart_from_none(tmp_path: Path, room: Path) -> None:
    with pytest.raises(CaseError, match="found none"):
        unpack(tmp_path / "nowhere.zip", room)
    with pytest.raises(CaseError, match="found something else"):
        unpack(tmp_path, room)


# --- what would keep a page, a chart or a learner busy without end ---


def changed(
    members: dict[str, bytes], name: str, change: Callable[[Any], None]
) -> dict[str, bytes]:
    """The same with ``change`` made in the first JSON document of a member."""
    first, newline, rest = members[name].partition(b"\n" if name.endswith("l") else b"\0")
    document = json.loads(first)
    change(document)
    return resealed(members | {name: json.dumps(document).encode() + newline + rest})


def window(name: str, **ends: float) -> Callable[[Any], None]:
    return lambda manifest: manifest["windows"][name].update(ends)


def moved_away(manifest: Any) -> None:
    recovery = manifest["windows"]["recovery"]
    recovery.update(start_s=recovery["start_s"] + 1e5, end_s=recovery["end_s"] + 1e5)


def request(**values: object) -> Callable[[Any], None]:
    return lambda found: found.update(values)


@pytest.mark.parametrize(
    ("member", "change", "complaint"),
    [
        ("manifest.json", window("crime", end_s=1e12), "manifest.json"),
        ("manifest.json", window("crime", end_s=2e11), "at most 3600 s"),
        ("manifest.json", window("crime", end_s=0), "windows of more than 0"),
        ("manifest.json", window("reference", end_s=float("inf")), "manifest.json"),
        ("manifest.json", window("reference", start_s=float("nan")), "manifest.json"),
        ("manifest.json", moved_away, "within 7200 s of each other"),
        ("requests.jsonl", request(start_s=float("nan")), "finite numbers in line 1"),
        ("requests.jsonl", request(latency_ms=float("inf")), "finite numbers in line 1"),
        ("requests.jsonl", request(latency_ms=1e12), "none of over an hour"),
        ("requests.jsonl", request(start_s=1e12), "requests of these windows"),
    ],
)
def test_numbers_that_no_run_has_are_refused(
    members: dict[str, bytes],
    member: str,
    change: Callable[[Any], None],
    complaint: str,
    tmp_path: Path,
    room: Path,
) -> None:
    """A window until the year 30,000 would have a column for each second of it."""
    path = zipped(tmp_path / "a.zip", changed(members, member, change))
    with pytest.raises(CaseError, match=complaint):
        read_zip(path, room)


def test_windows_in_another_order_are_refused(
    members: dict[str, bytes], tmp_path: Path, room: Path
) -> None:
    def swap(manifest: Any) -> None:
        windows = manifest["windows"]
        windows["reference"], windows["crime"] = windows["crime"], windows["reference"]

    with pytest.raises(CaseError, match="windows one after the other"):
        read_zip(zipped(tmp_path / "a.zip", changed(members, "manifest.json", swap)), room)


@pytest.mark.parametrize(
    ("member", "limit"),
    [
        ("requests.jsonl", "MOST_REQUESTS"),
        ("logs.jsonl", "MOST_LOG_LINES"),
        ("journal.jsonl", "MOST_JOURNAL_ENTRIES"),
    ],
)
def test_more_lines_than_a_run_has_are_refused(
    members: dict[str, bytes],
    member: str,
    limit: str,
    tmp_path: Path,
    room: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(case_folder, limit, 2)
    longer = resealed(members | {member: b"{}\n" * 3})
    with pytest.raises(CaseError, match="at most 2 lines"):
        read_zip(zipped(tmp_path / "a.zip", longer), room)


def many(number: int) -> dict[str, str]:
    return {f"name-{n}": "x" for n in range(number)}


RECORD_LINE = {"name": "calls", "source": "logs", "records": [{"attributes": {}}]}
LOG_LINE = {"time_unix_s": 0.0, "body": "x", "attributes": {}}


def put(*path: str | int, value: object) -> Callable[[Any], None]:
    """Put ``value`` into a JSON document, at the end of the path."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


NAMES, ATTRIBUTES, ELEMENTS = bounds.MOST_NAMES, bounds.MOST_ATTRIBUTES, bounds.MOST_ELEMENTS
TOO_MANY = {
    "versions": ("manifest.json", put("versions", value=many(NAMES + 1)), NAMES),
    "plan": ("manifest.json", put("plan", value=many(NAMES + 1)), NAMES),
    **{
        kind: (
            "manifest.json",
            put("topology", kind, value=["a"] * (NAMES + 1)),
            NAMES,
        )
        for kind in ("services", "databases", "edges")
    },
    "samples": (
        "manifest.json",
        put("samples", "affected", value=["ab" * 16] * (bounds.MOST_TRACES + 1)),
        bounds.MOST_TRACES,
    ),
    "findings": (
        "proof.json",
        lambda proof: proof["findings"].extend(proof["findings"][:1] * bounds.MOST_FINDINGS),
        bounds.MOST_FINDINGS,
    ),
    "data": ("journal.jsonl", put("data", value=many(ELEMENTS + 1)), ELEMENTS),
    "data, deep down": (
        "journal.jsonl",
        put("data", "a", value=[{"b": [0] * (ELEMENTS + 1)}]),
        ELEMENTS,
    ),
    "attributes of a record": (
        "records.jsonl",
        put("records", 0, "attributes", value=many(ATTRIBUTES + 1)),
        ATTRIBUTES,
    ),
    "attributes of a log line": (
        "logs.jsonl",
        put("attributes", value=many(ATTRIBUTES + 1)),
        ATTRIBUTES,
    ),
    "a log line's body": ("logs.jsonl", put("body", value=[0] * (ELEMENTS + 1)), ELEMENTS),
}


@pytest.mark.parametrize("what", TOO_MANY)
def test_every_list_has_a_bound_and_its_error_says_both_numbers(
    members: dict[str, bytes], what: str, tmp_path: Path, room: Path
) -> None:
    """What was expected, and what was found."""
    member, change, most = TOO_MANY[what]
    members |= {
        "records.jsonl": json.dumps(RECORD_LINE).encode() + b"\n",
        "logs.jsonl": json.dumps(LOG_LINE).encode() + b"\n",
    }
    path = zipped(tmp_path / "a.zip", changed(members, member, change), compresslevel=0)
    with pytest.raises(
        CaseError, match=rf"{member}.*at most {most} elements.*found \d+"
    ) as refusal:
        unpack_and_read(path, room)
    found = int(str(refusal.value).rpartition("found ")[2].partition(";")[0].rstrip(")"))
    assert most < found <= most + 100


def unpack_and_read(path: Path, room: Path) -> None:
    unpack(path, room)
    read_case_file(room)


def test_more_names_of_records_than_a_scenario_has_are_refused(
    members: dict[str, bytes], tmp_path: Path, room: Path
) -> None:
    line = json.dumps(RECORD_LINE).encode() + b"\n"
    longer = resealed(members | {"records.jsonl": line * (bounds.MOST_RECORD_NAMES + 1)})
    with pytest.raises(CaseError, match="at most 100 lines, found more"):
        read_zip(zipped(tmp_path / "a.zip", longer), room)


def test_the_schema_has_a_bound_for_every_list() -> None:
    """From the same table; a new field without one is found here."""
    unbounded = [
        f"{name}.{field}"
        for name, definition in json.loads(case_file_schema())["$defs"].items()
        for field, schema in definition.get("properties", {}).items()
        for each in _inside(schema)
        if (each.get("type") == "array" and "maxItems" not in each)
        or ("additionalProperties" in each and "maxProperties" not in each)
    ]
    assert unbounded == []


def _inside(schema: dict[str, Any]) -> list[dict[str, Any]]:
    further = [*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")]
    inside = (_inside(each) for each in further if isinstance(each, dict))
    return [schema, *(found for each in inside for found in each)]


def _longer(member: str, size: int) -> bytes:
    """A member of so many bytes that is as it should be, but for its length."""
    step = {"time_unix_s": 1.0, "monotonic_s": 1.0, "step": "crime", "event": "looked"}
    line = {
        "journal.jsonl": step | {"data": {f"d{n}": "\x1b[2J" * 9 for n in range(20)}},
        "logs.jsonl": LOG_LINE | {"body": "[x](javascript:1) " * 20},
        "records.jsonl": RECORD_LINE | {"records": [{"attributes": {"a": "b" * 9}}] * 2_000},
    }[member]
    text = json.dumps(line).encode() + b"\n"
    return text * (size // len(text))


@pytest.mark.parametrize("member", ["journal.jsonl", "logs.jsonl", "records.jsonl"])
def test_a_long_case_takes_time_by_its_length_alone(
    members: dict[str, bytes], member: str, tmp_path: Path
) -> None:
    """Four times the bytes, of more than 4 MB, take no more than eight times as long."""
    took_s = []
    for size in (1_100_000, 4_400_000):
        folder = tmp_path / str(size)
        for name, content in (members | {member: _longer(member, size)}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        write_checksums(folder)
        began_s = time.process_time()
        read_case_file(folder)
        took_s.append(time.process_time() - began_s)
    assert took_s[1] <= 8 * max(took_s[0], 0.05)


@pytest.mark.parametrize("ledger", sorted(case_folder.LEDGERS))
def test_a_ledger_is_never_imported(members: dict[str, bytes], ledger: str, tmp_path: Path) -> None:
    """Neither that somebody solved it, nor how long the next accusation is to wait."""
    solved = b'{"verdict": "solved", "at_unix_s": 9e9}\n'
    archive = FolderArchive(tmp_path / "cases")
    brought = bring_file(archive, zipped(tmp_path / "a.zip", members | {ledger: solved}))
    [case] = archive.cases()
    assert (case.case_id, case.solved, case.accusations) == (brought.case_id, False, 0)
    assert not (archive.folder(case.case_id) / ledger).exists()
