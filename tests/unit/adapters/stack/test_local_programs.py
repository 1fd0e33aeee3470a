"""What the local stack runs, derived from the topology and the settings."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
from ruamel.yaml import YAML

from lab.adapters import loopback
from lab.adapters.stack import local_parts, local_programs, postgres
from lab.errors import StackNotReady
from lab.settings import CHECKOUT, Settings, Signals
from lab.shop.topology import EDGES, SERVICES

TOOL_NAMES = ("toxiproxy", "door", "tempo", "jaeger", "otelcol", "prometheus", "loki")
BINARIES = {name: Path("/bin") / name for name in TOOL_NAMES}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / ".lab", port_offset=500)


def test_every_edge_has_its_proxy_before_the_real_callee(settings: Settings) -> None:
    """On loopback only; a database's upstream is the server itself."""
    proxies = {proxy["name"]: proxy for proxy in local_programs.proxies(settings)}

    assert set(proxies) == {edge.name for edge in EDGES}
    assert proxies["gateway-auth"]["listen"] == f"127.0.0.1:{settings.port('gateway-auth')}"
    assert proxies["gateway-auth"]["upstream"] == f"127.0.0.1:{settings.port('auth')}"
    assert proxies["auth-users_db"]["upstream"] == f"127.0.0.1:{settings.port('postgres')}"


def test_a_server_of_the_users_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    """No PostgreSQL is started; proxies and the shop go where the DSN says."""
    settings = Settings(
        state_dir=tmp_path, postgres_dsn="postgresql://me:p%40ss@10.0.0.9:6543/postgres"
    )

    names = [program.name for program in local_programs.programs(settings, BINARIES)]
    upstreams = {str(proxy["upstream"]) for proxy in local_programs.proxies(settings)}
    server = postgres.server_of(settings)

    assert "postgres" not in names
    assert "10.0.0.9:6543" in upstreams
    assert server.dsn("users") == "postgresql://me:p%40ss@10.0.0.9:6543/users"
    assert local_programs.environment(settings)["PGPASSWORD"] == "p@ss"


def test_the_shells_own_settings_stay_outside(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would redirect the lab's telemetry or connections is not inherited."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://elsewhere.example")
    monkeypatch.setenv("PGHOST", "elsewhere.example")
    monkeypatch.setenv("LAB_PORT_OFFSET", "900")
    monkeypatch.setenv("EDITOR", "vi")

    environment = local_programs.environment(settings)

    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in environment
    assert "PGHOST" not in environment
    assert environment["LAB_PORT_OFFSET"] == "500"
    assert environment["EDITOR"] == "vi"


def test_a_folders_name_is_no_yaml_and_no_variable(tmp_path: Path) -> None:
    """Tempo and Loki put it between double quotes; the Collector would expand what is in it."""
    name = 'a "quoted\\ ${HOME} #é'
    settings = Settings(state_dir=tmp_path / name, signals="full")
    environment = local_programs.environment(settings)
    for variable in ("TEMPO_DATA_DIR", "TEMPO_GENERATOR_DIR", "LOKI_DATA_DIR"):
        read = YAML(typ="safe").load(f'"{environment[variable]}"')
        assert read.startswith(str(settings.data_dir))
    assert environment["OTELCOL_SIGNALS_DIR"] == str(settings.log_dir).replace("${", "$${")


def test_every_folder_in_a_configuration_stands_between_quotes() -> None:
    """Else a `` #`` in it would end the line."""
    for name in ("tempo/tempo.yaml", "loki/loki.yaml"):
        lines = (CHECKOUT / "deploy" / name).read_text().splitlines()
        folders = [line for line in lines if "_DIR" in line and "${" in line]
        assert folders
        assert all(re.search(r': "\$\{[A-Z_]+_DIR(:-)?\}[a-z/]*"$', line) for line in folders)


@pytest.mark.parametrize(
    "wishes",
    [{}, {"signals": "full"}, {"store": "jaeger"}, {"signals": "full", "backend": "jaeger"}],
    ids=["tempo", "full", "jaeger", "both"],
)
def test_every_part_is_waited_for(tmp_path: Path, wishes: dict[str, Any]) -> None:
    """Each program and each service has a probe, and ports that are its own."""
    settings = Settings(state_dir=tmp_path / ".lab", **wishes)
    parts = local_parts.local_parts(settings, loopback.client())
    programs = {program.name for program in local_programs.programs(settings, BINARIES)}

    assert {part.program for part in parts if part.starts} == programs
    assert {part.name for part in parts if not part.starts} == set(SERVICES)
    ports = [port for part in parts if part.starts for port in part.ports]
    assert len(ports) == len(set(ports))


def test_full_signals_add_two_stores_and_what_feeds_them(tmp_path: Path) -> None:
    """The Collector reads a second file, and Tempo makes metrics; both only then."""

    def configured(signals: Signals) -> tuple[str, str]:
        settings = Settings(state_dir=tmp_path / ".lab", signals=signals)
        programs = local_programs.programs(settings, BINARIES)
        collector = next(each for each in programs if each.name == "otelcol")
        environment = local_programs.environment(settings)
        return " ".join(collector.command), environment.get("TEMPO_GENERATOR_PROCESSORS", "")

    command, processors = configured("full")
    assert "otelcol/signals.yaml" in command
    assert "service-graphs" in processors
    command, processors = configured("traces")
    assert "otelcol/signals.yaml" not in command
    assert processors == ""


@pytest.mark.parametrize(
    ("wishes", "stores", "doors"),
    [
        ({}, {"tempo"}, {"tempo_http"}),
        ({"backend": "jaeger"}, {"tempo", "jaeger"}, {"tempo_http", "jaeger"}),
        ({"backend": "jaeger", "jaeger_otlp_grpc": "10.0.0.9:4317"}, {"tempo"}, {"tempo_http"}),
        ({"store": "jaeger"}, {"jaeger"}, {"jaeger"}),
    ],
    ids=["as it is", "beside", "of one's own", "alone"],
)
def test_jaeger_runs_where_it_is_asked_for(
    tmp_path: Path, wishes: dict[str, Any], stores: set[str], doors: set[str]
) -> None:
    """With its door, and with the Collector sending to it; a Jaeger of one's own is left alone."""
    settings = Settings(state_dir=tmp_path / ".lab", **wishes)
    found = {each.name for each in local_programs.programs(settings, BINARIES)}
    assert found & {"tempo", "jaeger"} == stores
    listens = {str(door["listen"]) for door in local_programs.doors(settings)}
    assert listens == {f"127.0.0.1:{settings.port(name)}" for name in (*doors, "otelcol_otlp_http")}
    own = f"127.0.0.1:{settings.port('jaeger_otlp_grpc')}"
    sent_to = local_programs.environment(settings)["JAEGER_OTLP_GRPC"]
    assert sent_to == wishes.get("jaeger_otlp_grpc", own)


def test_all_that_jaeger_listens_on_is_of_this_machine(tmp_path: Path) -> None:
    """Every address of its configuration is the lab's, and of its extensions three run."""
    text = (CHECKOUT / "deploy" / "jaeger" / "jaeger.yaml").read_text(encoding="utf-8")
    config = YAML(typ="safe").load(text)
    assert set(config["extensions"]) == {"jaeger_storage", "jaeger_query", "healthcheckv2"}
    assert config["extensions"]["healthcheckv2"]["http"]["config"] == {"enabled": False}
    assert config["extensions"]["jaeger_storage"]["backends"]["memory"]["memory"]["max_traces"] > 0
    assert set(config["receivers"]) == {"otlp"}
    environment = local_programs.environment(Settings(state_dir=tmp_path, store="jaeger"))
    names = set(re.findall(r"(?:endpoint|host): \$\{env:(\w+)\}", text))
    assert len(names) == 5
    for name in names - {"JAEGER_QUERY_SOCKET"}:
        assert environment[name].startswith("127.0.0.1")
    assert environment["JAEGER_QUERY_SOCKET"].startswith("jaeger.sock")


def test_tempo_takes_only_what_is_left_over(settings: Settings) -> None:
    """It alone: finishing a block must not take from the shop while a window is measured."""
    found = {each.name: each.command for each in local_programs.programs(settings, BINARIES)}
    patient = {name for name, command in found.items() if "nice" in command}
    assert patient == {"tempo"}
    assert ("nice", "-n", "10", str(BINARIES["tempo"])) == found["tempo"][4:8]


def test_a_socket_that_a_killed_program_left_is_no_obstacle(tmp_path: Path) -> None:
    """It is removed before the program starts, which keeps the process that was begun."""
    settings = Settings(state_dir=tmp_path / ".lab", backend="jaeger")
    for program in local_programs.programs(settings, BINARIES):
        if "lab.adapters.stack.fresh_socket" in program.command:
            assert program.directory == settings.run_dir
            (tmp_path / program.command[3]).touch()
            begun = [*program.command[:4], "sh", "-c", "echo $$; ls"]
            with subprocess.Popen(begun, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
                assert run.communicate()[0].split() == [str(run.pid)]


def test_a_door_lets_in_what_is_listed_and_no_more(tmp_path: Path) -> None:
    """Whatever a store's API can change or end, nobody reaches by a port, at any signals."""
    settings = Settings(state_dir=tmp_path / ".lab", signals="full", backend="jaeger")
    doors = {str(door["listen"]): door for door in local_programs.doors(settings)}
    assert len(doors) == 5
    assert {settings.port(part.behind) for part in parts_of(settings) if part.behind} == {
        int(listen.rpartition(":")[2]) for listen in doors
    }
    allowed = {str(pattern) for door in doors.values() for pattern in list_of(door["allow"])}
    assert {pattern.partition(" ")[0] for pattern in allowed} == {"GET", "POST", "OPTIONS"}
    writes = {pattern for pattern in allowed if not pattern.startswith("GET /")}
    words = {word for pattern in writes for word in pattern.replace("/", " ").split()}
    assert words.isdisjoint({"shutdown", "flush", "delete", "admin", "quit", "reload"})


def list_of(value: object) -> list[object]:
    assert isinstance(value, list | tuple)
    return list(value)


def parts_of(settings: Settings) -> tuple[local_parts.Part, ...]:
    return local_parts.local_parts(settings, loopback.client())


def test_nobody_guesses_where_prometheus_is(tmp_path: Path) -> None:
    """It listens on no socket: the path below which it answers comes of the stack's secret."""
    settings = Settings(state_dir=tmp_path / ".lab", signals="full")
    settings.run_dir.mkdir(parents=True)
    assert settings.secret_file is not None
    prefixes = []
    for told in ("one", "one", "other"):
        settings.secret_file.write_text(told)
        inside = next(d["to"] for d in local_programs.doors(settings) if "http:" in str(d["to"]))
        prefix = str(inside).rpartition("/")[2]
        program = next(
            each
            for each in local_programs.programs(settings, BINARIES)
            if each.name == "prometheus"
        )
        assert f"--web.route-prefix=/{prefix}" in program.command
        prefixes.append(prefix)
    assert prefixes[0] == prefixes[1] != prefixes[2]


def test_the_shop_waits_for_its_tables_at_the_first_start_only(settings: Settings) -> None:
    """Later it starts beside the database, which saves a second."""

    def needs(*, first_start: bool) -> tuple[str, ...]:
        parts = local_parts.local_parts(settings, loopback.client(), first_start=first_start)
        return next(part.needs for part in parts if part.name == "shop")

    assert needs(first_start=True) == ("postgres",)
    assert needs(first_start=False) == ()


def test_data_of_another_major_version_is_refused(settings: Settings) -> None:
    """It says which version wrote the folder, and touches nothing."""
    folder = settings.data_dir / "postgres"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("15\n")

    with pytest.raises(StackNotReady, match="found that of 15"):
        postgres.LocalPostgres(settings).prepare()

    assert [entry.name for entry in folder.iterdir()] == ["PG_VERSION"]


def test_a_killed_server_that_nobody_reaped_does_not_keep_the_next_from_starting(
    settings: Settings,
) -> None:
    """To PostgreSQL a zombie with the number in its lock is alive; one that lives keeps it."""
    folder = settings.data_dir / "postgres"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text(f"{postgres.MAJOR}\n")
    lock = folder / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as server:
        lock.write_text(f"{server.pid}\n{folder}\n")
        postgres.LocalPostgres(settings).prepare()
        assert lock.exists()
        server.kill()
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        postgres.LocalPostgres(settings).prepare()
        assert not lock.exists()


def test_root_without_namespaces_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as somebody else, or bring a server: nothing is changed to make it work."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda _: None)

    reason = postgres.can_start_servers()

    assert reason is not None
    assert "ordinary user" in reason
    assert "LAB_POSTGRES_DSN" in reason


def test_root_where_namespaces_are_forbidden_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own words are in the message."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "_UNROOT", ("sh", "-c", "echo not permitted >&2; exit 1"))

    assert "not permitted" in str(postgres.can_start_servers())


@pytest.mark.parametrize("letter", list('"$`\\'))
def test_a_checkout_whose_name_a_shell_would_read_is_told_so(
    monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    """By the letter: `initdb` puts its own folder between double quotes for a shell."""
    monkeypatch.setattr(postgres, "CHECKOUT", Path(f"/home/me/a {letter} b"))
    reason = postgres.can_start_servers()
    assert reason is not None
    assert f"the {letter} in /home/me/a {letter} b" in reason
    assert "LAB_POSTGRES_DSN" in reason


def test_a_database_that_cannot_be_asked_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps asyncpg from asking, such as a library of that name that there is none of."""
    monkeypatch.setenv("PGGSSLIB", "none")
    said = anyio.run(postgres.accepts(postgres.Server("127.0.0.1", 1, "shop")))
    assert said is not None
    assert "gsslib" in said.lower()


def test_an_ordinary_user_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No namespace, no wrapper."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert postgres.can_start_servers() is None
