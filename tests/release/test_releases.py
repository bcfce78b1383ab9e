"""The ledger and the supervisor: idempotent, healed after a kill, and nothing left after a stop."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from deployed import QUICK, eventually, get, is_gone

from shipway.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    ShipwayError,
    UsageError,
)
from shipway.release import environment, processes, secrets_file
from shipway.release.ledger import Ledger
from shipway.release.record import Release, Status, release_id
from shipway.release.releases import Candidate, Releases, supervised
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence


def supervisor(releases: Releases) -> int:
    known = json.loads((releases.secrets_path("demo").parent / "supervisor.json").read_text())
    return int(known["pid"])


def kill_supervisor(releases: Releases) -> None:
    pid = supervisor(releases)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_gone(pid) and not supervised(Ledger(releases.home).of("demo")))


def test_a_deploy_that_is_repeated_changes_nothing(releases: Releases, candidate) -> None:
    once = releases.deploy(candidate("one"))
    assert releases.deploy(candidate("one")) == once
    newer = releases.deploy(candidate("two"))
    assert releases.deploy(candidate("one")).id == once.id  # an old order, delivered again
    assert get(newer.port)["version"] == "two"
    assert [one.id for one in releases.list()] == [newer.id, once.id]


def test_a_deploy_from_two_sides_at_once_is_one_deploy(releases: Releases, candidate) -> None:
    results: list[Release] = []
    threads = [
        threading.Thread(target=lambda: results.append(releases.deploy(candidate("one"))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len({one.pid for one in results}) == 1
    assert len(releases.list()) == 1


def test_who_stands_still_in_a_deploy_keeps_nobody_from_it_and_does_nothing_later(
    releases: Releases, candidate
) -> None:
    """As a worker does that was stopped, taken for dead, and wakes up again."""
    stopped, wake, woke = threading.Event(), threading.Event(), list[Release]()
    given = candidate("one")

    def fill(tree: Path) -> None:
        given.fill(tree)
        stopped.set()
        assert wake.wait(30)

    sleeper = threading.Thread(
        target=lambda: woke.append(releases.deploy(replace(given, fill=fill)))
    )
    sleeper.start()
    assert stopped.wait(10)
    once = releases.deploy(given)
    wake.set()
    sleeper.join(30)
    assert woke == [once] == releases.list()
    assert releases.state("demo").line == (once.id,)
    log = (releases.secrets_path("demo").parent / "supervisor.log").read_text()
    assert log.count(f"{once.id} is live") == 1
    assert not list(releases.tree_path(once.id).parent.glob("tree.*"))


def test_a_client_that_is_killed_does_not_stop_the_deploy(
    releases: Releases, candidate, home: Path, tmp_path: Path
) -> None:
    first = releases.deploy(candidate("first"))
    slow = candidate("slow", timing=replace(QUICK, observe=1.0))
    reader, writer = os.pipe()
    client = os.fork()
    if client == 0:
        releases.deploy(slow, say=lambda text: os.write(writer, text[:1].encode()))
        os._exit(0)
    while os.read(reader, 1) != b"h":  # "healthy; watching ..."
        pass
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    done = releases.deploy(slow)
    assert done.status is Status.LIVE
    assert get(first.port)["pid"] == done.pid
    os.close(reader)
    os.close(writer)


def test_a_killed_supervisor_is_noticed_and_the_last_good_release_restored(
    releases: Releases, candidate
) -> None:
    releases.deploy(candidate("one"))
    live = releases.deploy(candidate("two"))
    kill_supervisor(releases)
    eventually(lambda: is_gone(live.pid))  # releases die with their supervisor
    assert releases.live("demo") is None
    [healed] = releases.heal()
    assert healed.restored
    assert healed.release == live.id
    assert "had died" in healed.message
    assert get(live.port)["version"] == "two"
    assert releases.view(live.id).status is Status.LIVE
    assert releases.heal() == []


def test_healing_falls_back_when_the_live_release_does_not_start_any_more(
    releases: Releases, candidate
) -> None:
    good = releases.deploy(candidate("good"))
    bad = releases.deploy(candidate("bad"))
    (releases.secrets_path("demo").parent / "data" / "broken-bad").touch()
    kill_supervisor(releases)
    [healed] = releases.heal()
    assert healed.restored
    assert healed.release == good.id
    assert get(good.port)["version"] == "good"
    assert releases.view(bad.id).status is Status.FAILED


def test_healing_says_so_when_the_port_was_taken_meanwhile(releases: Releases, candidate) -> None:
    live = releases.deploy(candidate("one"))
    kill_supervisor(releases)
    eventually(lambda: is_gone(live.pid))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", live.port))
        other.listen()
        [healed] = releases.heal()
        assert not healed.restored
        assert f"port {live.port} is in use" in healed.message
    [healed] = releases.heal()
    assert healed.restored


def test_the_next_deploy_works_after_the_supervisor_was_killed(
    releases: Releases, candidate
) -> None:
    one = releases.deploy(candidate("one"))
    kill_supervisor(releases)
    two = releases.deploy(candidate("two"))
    assert two.port == one.port
    assert get(two.port)["version"] == "two"
    assert releases.rollback("demo").id == one.id


def test_a_deploy_cut_off_with_its_supervisor_is_recorded_and_can_be_repeated(
    releases: Releases, candidate
) -> None:
    one = releases.deploy(candidate("one"))
    slow = candidate("slow", timing=replace(QUICK, observe=30))
    failure: list[Exception] = []

    def deploy() -> None:
        try:
            releases.deploy(slow, cancel=cancel)
        except ShipwayError as error:
            failure.append(error)

    cancel = threading.Event()
    thread = threading.Thread(target=deploy)
    thread.start()
    identity = release_id("demo", slow.run, slow.commit)
    eventually(lambda: identity in [r.id for r in releases.list()] and releases.view(identity).pid)
    cancel.set()
    thread.join(10)
    assert failure
    assert releases.view(identity).status is Status.FAILED
    assert "cancelled" in (releases.view(identity).reason or "")
    assert get(one.port)["version"] == "one"


def test_stop_leaves_nothing_behind(releases: Releases, candidate) -> None:
    """Not even what a release started and hid: a grandchild in a session of its own."""
    first = releases.deploy(candidate("first", start="escapes"))
    second = releases.deploy(candidate("second", start="escapes"))
    holder = supervisor(releases)
    home = releases.home
    assert processes.marked(home / "releases" / "demo" / second.id)
    eventually(lambda: not processes.marked(home / "releases" / "demo" / first.id))
    stopped = releases.stop(all=True)
    assert {one.id for one in stopped} == {first.id, second.id}
    assert {one.status for one in releases.list()} == {Status.STOPPED}
    assert processes.marked(home) == {}
    assert is_gone(holder)
    at = releases.secrets_path("demo").parent
    assert not [
        one.name for one in at.iterdir() if one.suffix == ".sock" or one.name == "supervisor.json"
    ]
    with socket.socket() as free, pytest.raises(ConnectionRefusedError):
        free.connect(("127.0.0.1", first.port))


def test_stop_after_the_supervisor_was_killed_leaves_nothing_either(
    releases: Releases, candidate
) -> None:
    release = releases.deploy(candidate("one", start="escapes"))
    kill_supervisor(releases)
    assert [one.id for one in releases.stop(release.id)] == [release.id]
    assert processes.marked(releases.secrets_path("demo").parents[2]) == {}
    assert releases.heal() == []


def test_a_stopped_service_comes_back_with_its_port_and_its_data(
    releases: Releases, candidate
) -> None:
    first = releases.deploy(candidate("first"))
    assert get(first.port, "/count") == 1
    assert [one.id for one in releases.stop("demo")] == [first.id]
    assert releases.view(first.id[:6]).status is Status.STOPPED
    assert releases.rollback("demo").id == first.id
    second = releases.deploy(candidate("second"))
    assert second.port == first.port
    assert get(second.port, "/count") == 2


def test_a_port_in_use_is_a_clear_error(releases: Releases, candidate) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {taken} is in use") as caught:
            releases.deploy(candidate("one", port=taken))
        assert caught.value.hint
    assert releases.deploy(candidate("one", port=taken)).port == taken
    with pytest.raises(ConflictError, match=f"is live on port {taken}"):
        releases.deploy(candidate("two", port=taken + 1))


def test_two_homes_cannot_share_a_port(releases: Releases, tmp_path: Path, candidate) -> None:
    one = releases.deploy(candidate("one"))
    other = Releases(tmp_path / "other")
    with pytest.raises(ConflictError, match=f"port {one.port} is in use"):
        other.deploy(candidate("one", port=one.port))
    assert get(one.port)["pid"] == one.pid


def test_secrets_are_made_once_for_what_is_declared_and_shown_nowhere(
    releases: Releases, candidate, home: Path
) -> None:
    said: list[str] = []
    first = releases.deploy(candidate("one"), say=said.append)
    path = releases.secrets_path("demo")
    made = secrets_file.read(path)
    assert set(made) == {"DEMO_API_KEYS", "DEMO_USERS"}
    assert made["DEMO_USERS"].startswith("shipway:")
    assert len(made["DEMO_API_KEYS"]) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert any(str(path) in line for line in said)
    path.write_text(path.read_text().replace(made["DEMO_API_KEYS"], "mine"))
    path.chmod(0o644)
    second = releases.deploy(candidate("two"))
    assert get(second.port, "/secrets")["DEMO_API_KEYS"] == "mine"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shown = "".join(said) + json.dumps([first.to_dict(), second.to_dict()])
    files = [one for one in home.rglob("*") if one.is_file() and one != path]
    shown += "".join(one.read_text(errors="replace") for one in files)
    assert made["DEMO_USERS"] not in shown
    assert made["DEMO_API_KEYS"] not in shown


def test_control_works_below_a_path_too_long_for_a_socket(tmp_path: Path, candidate) -> None:
    deep = tmp_path / ("a directory with a long name " * 4) / ("ü" * 60)
    releases = Releases(deep)
    try:
        release = releases.deploy(candidate("one"))
        control = releases.secrets_path("demo").parent / "control.sock"
        assert len(os.fsencode(control)) > 108
        assert stat.S_IMODE(control.stat().st_mode) == 0o600
        assert get(release.port)["version"] == "one"
    finally:
        releases.stop(all=True)


def test_trees_of_old_releases_are_removed_their_records_stay(
    releases: Releases, home: Path, candidate
) -> None:
    keeping_two = Releases(home, keep=2)
    deployed = [keeping_two.deploy(candidate(f"v{number}")) for number in range(4)]
    root = releases.secrets_path("demo").parents[2] / "releases" / "demo"
    trees = [one.id for one in deployed if (root / one.id / "tree").exists()]
    assert trees == [one.id for one in deployed[-2:]]
    assert len(releases.list()) == 4
    assert releases.state("demo").line == tuple(trees)


@pytest.mark.parametrize("name", ["../up", "", "a/b", "UPPER", ".hidden", "x" * 70, "nul\0"])
def test_a_hostile_service_name_is_refused(releases: Releases, candidate, name: str) -> None:
    with pytest.raises(UsageError, match="name of the service"):
        releases.deploy(Candidate(name, "run", "a" * 40, "b" * 40, lambda _: None))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "has no .shipway/service.yaml"),
        ("start: [", "is not YAML"),
        ("start: python app.py\n", "start"),
        ("start: [python]\nport: 1\n", "port"),
        ("start: [python]\nrequirements: [../../etc/passwd]\n", "inside the tree"),
        ("start: [python]\nenvironment: [PATH]\n", "set by Shipway"),
    ],
)
def test_a_tree_that_does_not_say_how_to_start_is_refused(
    releases: Releases, candidate, text: str | None, reason: str
) -> None:
    def fill(tree: Path) -> None:
        if text is not None:
            (tree / ".shipway").mkdir()
            (tree / ".shipway/service.yaml").write_text(text)

    with pytest.raises(ConfigurationError, match=reason):
        releases.deploy(Candidate("demo", "run", "a" * 40, "b" * 40, fill))
    [release] = releases.list()
    assert release.status is Status.FAILED


def test_a_command_that_does_not_exist_is_a_failed_release(releases: Releases) -> None:
    def fill(tree: Path) -> None:
        (tree / ".shipway").mkdir()
        (tree / ".shipway/service.yaml").write_text("start: [no-such-command]\n")

    with pytest.raises(ShipwayError, match="exited with code 127") as caught:
        releases.deploy(Candidate("demo", "run", "a" * 40, "b" * 40, fill))
    assert "cannot start no-such-command" in caught.value.details["log"]


@pytest.mark.parametrize("ref", ["", "r-", "nonsense", "../demo", "r-000000000000"])
def test_a_release_that_is_not_there_is_not_found(releases: Releases, candidate, ref: str) -> None:
    with pytest.raises(NotFoundError):
        releases.view(ref)


def test_a_full_log_is_rotated(tmp_path: Path) -> None:
    from shipway.release.logfile import LogFile, tail

    log = LogFile(tmp_path / "log", limit=1000)
    for number in range(100):
        log.write(f"line {number:04} {'x' * 40}\n".encode())
    log.close()
    assert (tmp_path / "log").stat().st_size <= 1000
    assert (tmp_path / "log.1").stat().st_size <= 1000
    assert len(list(tmp_path.iterdir())) == 2
    assert tail(tmp_path / "log", 60).startswith("line 0099")


def test_the_supervisor_uses_the_standard_library_only() -> None:
    code = (
        "import sys, shipway.release.supervisor\n"
        "found = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(found - {'__main__', 'shipway'}))"
    )
    root = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_socket_that_a_release_shut_down_is_repaired(releases: Releases, candidate) -> None:
    """A service may break the shared socket; the next release still gets all the traffic."""
    first = releases.deploy(candidate("first", term="shuts down the socket"))
    for number in range(3):
        releases.deploy(candidate(f"v{number}", term="shuts down the socket"))
    assert get(first.port)["version"] == "v2"


def test_a_release_keeps_its_environment_when_the_cache_is_deleted(
    home: Path, tmp_path: Path, candidate
) -> None:
    cache = tmp_path / "cache"
    python = Path(getattr(sys, "_base_executable", "") or sys.executable)
    releases = Releases(home, Environments(cache, Fence("strict"), python))

    def with_requirements(version: str) -> Candidate:
        plain = candidate(version)

        def fill(tree: Path) -> None:
            plain.fill(tree)
            (tree / "requirements.txt").touch()

        return replace(plain, fill=fill)

    try:
        one = releases.deploy(with_requirements("one"))
        shutil.rmtree(cache)
        own = home / "services" / "demo" / "environments"
        assert get(one.port)["python"].startswith(f"{own}/")
        os.kill(one.pid, signal.SIGKILL)
        assert get(one.port)["version"] == "one"
        two = releases.deploy(with_requirements("two"))
        assert two.python == one.python
        assert len(list(own.iterdir())) == 1
    finally:
        releases.stop(all=True)


def test_scripts_of_a_kept_environment_start_its_own_python(tmp_path: Path) -> None:
    built = tmp_path / "cache" / "abc"
    (built / "bin").mkdir(parents=True)
    (built / "bin" / "tool").write_text(f"#!{built}/bin/python\nprint(1)\n")
    (built / "bin" / "python").symlink_to(sys.executable)
    python = environment.keep(built, tmp_path / "own")
    assert python == tmp_path / "own" / "abc" / "bin" / "python"
    assert (python.parent / "tool").read_text() == f"#!{python}\nprint(1)\n"
    assert environment.keep(built, tmp_path / "own") == python
    environment.drop_unused(tmp_path / "own", set())
    assert list((tmp_path / "own").iterdir()) == []
