"""The fence, tried by commands that want out: real processes, as whoever runs the tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from shipway.errors import FenceError
from shipway.resilience import deadline
from shipway.workspace import fence as fence_module
from shipway.workspace.fence import Command, Fence, Finished, Limits
from shipway.workspace.inside import landlock

PYTHON = sys.executable
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    path = tmp_path / "a desk with spaces"
    path.mkdir()
    return path


def python(
    fence: Fence, desk: Path, code: str, *, limits: Limits | None = None, **given: object
) -> Finished:
    """Run a piece of Python in the fence, with the desk writable."""
    command = Command(
        (PYTHON, "-c", textwrap.dedent(code)),
        desk,
        writable=(desk,),
        limits=limits or Limits(seconds=30),
    )
    return fence.run(command, **given)


def alive(mark: str) -> list[str]:
    """Processes of this machine with a word in their command line."""
    lines = [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline"])
        if process.pid != os.getpid()
    ]
    return [line for line in lines if mark in line]


def gone(mark: str, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def appears(path: Path, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


# -- what works inside ------------------------------------------------------------------------


def test_all_walls_stand_and_are_reported(fence: Fence) -> None:
    report = fence.probe()
    assert (report.mechanism, report.user, report.pids) == ("unshare", True, True)
    assert (report.mounts, report.network) == (True, True)


def test_a_command_writes_into_its_directory_and_its_output_is_kept(
    fence: Fence, desk: Path
) -> None:
    heard: list[str] = []
    done = python(
        fence,
        desk,
        """
        import sys
        open("made.txt", "w").write("here")
        print("one")
        print("two", file=sys.stderr)
        """,
        on_line=heard.append,
    )
    assert done.ok, done.output
    assert (desk / "made.txt").read_text() == "here"
    assert done.stdout == b"one\n"
    assert sorted(done.output.splitlines()) == [b"one", b"two"]
    assert sorted(heard) == ["one", "two"]
    assert done.started_at.endswith("Z")
    assert done.fence.limits["processes"] == 512


def test_standard_input_arrives_and_cannot_be_changed(fence: Fence, desk: Path) -> None:
    code = """
import sys
print(len(sys.stdin.read()), flush=True)
open("/proc/self/fd/0", "r+b", buffering=0).write(b"y")
"""
    command = Command((PYTHON, "-c", code), desk, stdin=b"x" * 200_000, writable=(desk,))
    done = fence.run(command)
    assert done.stdout == b"200000\n"
    assert done.exit_code == 1


def test_the_environment_is_clean_and_the_home_is_empty(
    fence: Fence, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    done = python(
        fence,
        desk,
        """
        import os
        from pathlib import Path
        assert "SECRET_TOKEN" not in os.environ
        assert list(Path.home().iterdir()) == []
        (Path.home() / "x").write_text("x")
        print(sorted(os.environ))
        """,
    )
    assert done.ok, done.output


def test_the_command_has_no_power(fence: Fence, desk: Path) -> None:
    done = python(
        fence,
        desk,
        """
        import os
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0
        assert status["NoNewPrivs"].strip() == "1"
        assert os.getuid() != 0
        assert [p for p in os.listdir("/proc") if p.isdigit()] == ["1", str(os.getpid())]
        os.kill(1, 9)
        """,
    )
    assert done.signal is None
    assert done.exit_code in {0, 1}, done.output
    assert b"AssertionError" not in done.output


def test_a_path_with_a_space_and_a_private_umask(fence: Fence, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        desk = tmp_path / "private desk" / "inner"
        desk.mkdir(parents=True)
        (desk / "given.txt").write_text("given")
        done = python(fence, desk, "open('made.txt', 'w').write(open('given.txt').read())")
    finally:
        os.umask(before)
    assert done.ok, done.output
    assert (desk / "made.txt").read_text() == "given"


def test_two_at_once_do_not_see_each_other(fence: Fence, tmp_path: Path) -> None:
    desks = [tmp_path / "one", tmp_path / "two"]
    for desk in desks:
        desk.mkdir()
    results: dict[int, Finished] = {}
    code = """
        import os, socket, time
        server = socket.create_server(("127.0.0.1", 18765))
        open("/tmp/shared", "x")
        time.sleep(0.5)
        print(len([p for p in os.listdir("/proc") if p.isdigit()]))
        """

    def work(number: int) -> None:
        results[number] = python(fence, desks[number], code)

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number].output for number in (0, 1)] == [b"2\n", b"2\n"]


# -- the file system --------------------------------------------------------------------------


def test_writing_outside_is_refused(fence: Fence, desk: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    places = [Path("/etc"), Path("/usr"), Path("/var"), ROOT, Path.home(), outside]
    targets = [str(place / f"shipway-{os.getpid()}") for place in places]
    done = python(
        fence,
        desk,
        f"""
        import os
        os.symlink({str(outside)!r}, "way-out")
        for target in [*{targets!r}, "way-out/x"]:
            try:
                open(target, "w").write("out")
            except OSError:
                pass
        """,
    )
    assert done.ok, done.output
    assert [target for target in targets if Path(target).exists()] == []
    assert list(outside.iterdir()) == []


def test_the_whole_root_is_read_only_not_just_closed(fence: Fence, desk: Path) -> None:
    code = """
        import os
        for path in ("/", "/etc", "/usr", "/sys", "/dev"):
            assert os.statvfs(path).f_flag & os.ST_RDONLY, path
            assert os.statvfs(path).f_flag & os.ST_NOSUID, path
        assert not os.statvfs(".").f_flag & os.ST_RDONLY
        """
    done = python(fence, desk, code)
    assert done.ok, done.output


def test_hidden_directories_look_empty_but_what_is_bound_is_seen(
    fence: Fence, desk: Path, tmp_path: Path
) -> None:
    shown, closed = tmp_path / "shown", tmp_path / "shown" / "closed"
    closed.mkdir(parents=True)
    for path in (shown, closed, tmp_path):
        (path / "file").write_text("text")
    code = (
        f"import os; print(*(os.listdir(p) for p in {[str(p) for p in (shown, closed, tmp_path)]}))"
    )
    command = Command(
        (PYTHON, "-c", code), desk, writable=(desk,), readable=(shown,), hidden=(closed,)
    )
    done = fence.run(command)
    lists = done.output.decode().replace("['closed', 'file']", "['file', 'closed']")
    assert lists.startswith("['file', 'closed'] [] [")
    assert "'file'" not in lists.partition("[] ")[2]


def test_what_is_readable_is_not_writable(fence: Fence, desk: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir(mode=0o777)
    command = Command(
        (PYTHON, "-c", f"open({str(shown / 'x')!r}, 'w')"),
        desk,
        readable=(shown,),
        writable=(desk,),
    )
    assert b"Read-only file system" in fence.run(command).output


# -- the network ------------------------------------------------------------------------------


def test_there_is_no_network_but_loopback_works(fence: Fence, desk: Path) -> None:
    with_socket = """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        socket.create_connection(server.getsockname(), 5)
        print([name for _, name in socket.if_nameindex()])
        try:
            socket.create_connection(("192.0.2.1", 80), 2)
        except OSError as error:
            print(error.strerror)
        """
    done = python(fence, desk, with_socket)
    assert done.output.splitlines() == [b"['lo']", b"Network is unreachable"]


def test_a_server_outside_cannot_be_reached_unless_the_network_is_declared(
    fence: Fence, desk: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection({server.getsockname()!r}, 2)"
        assert python(fence, desk, code).exit_code == 1
        declared = Command((PYTHON, "-c", code), desk, writable=(desk,), network=True)
        done = fence.run(declared)
    assert done.ok
    assert done.fence.network is False


def test_another_command_can_join_the_network_of_a_service(
    fence: Fence, desk: Path, tmp_path: Path
) -> None:
    serve = """
        import socket
        server = socket.create_server(("127.0.0.1", 18080))
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            connection.sendall(b"hello")
            connection.close()
        """
    client = "import socket; print(socket.create_connection(('127.0.0.1', 18080), 5).recv(9))"
    command = Command((PYTHON, "-c", textwrap.dedent(serve)), desk, writable=(desk,))
    with fence.start(command) as service:
        deadline = time.monotonic() + 10
        while b"ready" not in service.output():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert service.poll() is None
        other = tmp_path / "other"
        other.mkdir()
        assert python(fence, other, client, join=service).output == b"b'hello'\n"
        assert python(fence, other, client).exit_code == 1
        finished = service.stop()
    assert finished.signal == signal.SIGTERM


def test_landlock_keeps_a_command_from_sockets_that_have_no_file(fence: Fence, desk: Path) -> None:
    """Those of an abstract name pass a shared network; only Landlock 6 and newer stops them."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0shipway-{os.getpid()}")
        server.listen()
        name = f"shipway-{os.getpid()}"
        code = f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}'); print('in')"
        done = fence.run(Command((PYTHON, "-c", code), desk, writable=(desk,), network=True))
    assert done.fence.landlock == (landlock.version() > 0)
    assert (b"in" in done.stdout) == (landlock.version() < 6)


def test_names_can_be_looked_up_where_there_is_a_network(fence: Fence, desk: Path) -> None:
    code = "print(open('/etc/resolv.conf').read())"
    done = fence.run(Command((PYTHON, "-c", code), desk, writable=(desk,), network=True))
    assert done.stdout.decode().strip() == Path("/etc/resolv.conf").read_text().strip()


# -- ending -----------------------------------------------------------------------------------

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("escaped", "w").close()
        time.sleep(600)
    os._exit(0)
{then}
"""


def test_a_hanging_command_and_its_escaped_grandchild_die_at_the_time_limit(
    fence: Fence, desk: Path
) -> None:
    mark = f"mark-{os.getpid()}-timeout"
    code = STUBBORN.format(then="time.sleep(600)") + f"# {mark}"
    done = python(fence, desk, code, limits=Limits(seconds=1.5))
    assert (done.timed_out, done.cancelled, done.exit_code) == (True, False, None)
    assert (desk / "escaped").exists()
    assert done.seconds < 5
    assert gone(mark)


def test_an_escaped_grandchild_dies_with_the_end_of_the_command(fence: Fence, desk: Path) -> None:
    mark = f"mark-{os.getpid()}-end"
    wait = "while not os.path.exists('escaped'): time.sleep(0.01)"
    done = python(fence, desk, STUBBORN.format(then=wait) + f"# {mark}")
    assert (done.exit_code, done.timed_out) == (0, False)
    assert gone(mark)


def test_cancel_takes_effect_at_once(fence: Fence, desk: Path) -> None:
    mark = f"mark-{os.getpid()}-cancel"
    cancel = threading.Event()

    def soon() -> None:
        appears(desk / "escaped")
        cancel.set()

    threading.Thread(target=soon).start()
    begun = time.monotonic()
    done = python(fence, desk, STUBBORN.format(then="time.sleep(600)") + f"# {mark}", cancel=cancel)
    assert done.cancelled
    assert time.monotonic() - begun < 5
    assert gone(mark)


def test_everything_dies_when_our_own_process_is_killed(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}-killed"
    desk = tmp_path / "desk"
    desk.mkdir()
    code = STUBBORN.format(then="time.sleep(600)") + f"# {mark}"
    ours = f"""
import sys
from pathlib import Path
from shipway.workspace.fence import Command, Fence
desk = Path({str(desk)!r})
Fence("strict").run(Command((sys.executable, "-c", {code!r}), desk, writable=(desk,)))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen([PYTHON, "-c", ours], env=environment) as process:
        appears(desk / "escaped", 20)
        assert alive(mark)
        process.kill()
    assert gone(mark)


def test_a_missing_command_is_a_fact(fence: Fence, desk: Path) -> None:
    done = fence.run(Command(("no-such-command", "x"), desk, writable=(desk,)))
    assert (done.missing, done.exit_code) == (True, 127)
    assert b"no-such-command" in done.output
    assert done.why() == "was not found: no-such-command"


def test_a_file_that_is_no_program_is_a_fact(fence: Fence, desk: Path) -> None:
    (desk / "notes").write_text("no program")
    done = fence.run(Command(("./notes",), desk, writable=(desk,)))
    assert (done.missing, done.exit_code) == (False, 126)


# -- limits -----------------------------------------------------------------------------------

BOMB = """
import os, time
count = 0
try:
    while count < 2000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
except OSError as error:
    print(count, error.strerror, flush=True)
"""


def test_a_fork_bomb_is_stopped_by_the_kernel(fence: Fence, desk: Path) -> None:
    done = python(fence, desk, BOMB, limits=Limits(seconds=30, processes=50))
    assert done.output == b"49 Resource temporarily unavailable\n"
    again = python(fence, desk, "print('well')", limits=Limits(processes=50))
    assert again.output == b"well\n"


def test_a_fork_bomb_of_an_ordinary_user_is_stopped_by_the_kernel(
    as_ordinary_user: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    done = as_ordinary_user(f"""
import os, sys, tempfile
from pathlib import Path
from shipway.workspace.fence import Command, Fence, Limits
assert os.getuid() != 0
desk = Path(tempfile.mkdtemp())
fence = Fence("strict")
report = fence.probe()
assert (report.user, report.pids, report.mounts, report.network) == (True,) * 4, report
for code in ({BOMB!r}, "import os; open('made', 'w'); print(os.getuid())"):
    limits = Limits(seconds=30, processes=50)
    done = fence.run(Command((sys.executable, "-c", code), desk, writable=(desk,), limits=limits))
    print(done.output.decode().strip())
with fence.start(Command(("sleep", "60"), desk)) as first:
    joined = fence.run(Command(("true",), desk), join=first)
    print(joined.exit_code)
""")
    uid = 65534 if os.geteuid() == 0 else os.getuid()
    lines = ["49 Resource temporarily unavailable", str(uid), "0"]
    assert done.stdout.splitlines() == lines, done.stderr


def test_one_huge_file_is_refused(fence: Fence, desk: Path) -> None:
    code = "f = open('big', 'wb')\nfor _ in range(1024): f.write(bytes(1 << 20))"
    done = python(fence, desk, code, limits=Limits(seconds=60, file_mb=32))
    assert done.exit_code == 1
    assert b"File too large" in done.output
    assert (desk / "big").stat().st_size <= 32 << 20


def test_many_files_of_a_gigabyte_are_stopped(fence: Fence, desk: Path) -> None:
    code = """
        for number in range(128):
            with open(f"big{number}", "wb") as f:
                f.write(bytes(8 << 20))
        """
    done = python(fence, desk, code, limits=Limits(seconds=60, disk_mb=64))
    assert done.exceeded == "disk"
    assert done.why() == "used more disk than it may"


def test_the_temporary_directory_has_a_size(fence: Fence, desk: Path) -> None:
    code = """
        import errno
        try:
            with open("/tmp/big", "wb") as f:
                for _ in range(64):
                    f.write(bytes(1 << 20))
        except OSError as error:
            print(errno.errorcode[error.errno])
        """
    assert python(fence, desk, code, limits=Limits(tmp_mb=16)).output == b"ENOSPC\n"


def test_one_process_cannot_take_more_memory_than_allowed(fence: Fence, desk: Path) -> None:
    done = python(fence, desk, "x = bytearray(600 << 20)", limits=Limits(memory_mb=256))
    assert b"MemoryError" in done.output


def test_many_processes_together_are_stopped_for_their_memory(fence: Fence, desk: Path) -> None:
    code = """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                x = bytearray(os.urandom(1)) * (60 << 20)
                time.sleep(60)
        time.sleep(60)
        """
    done = python(fence, desk, code, limits=Limits(seconds=30, memory_mb=128))
    assert (done.exceeded, done.signal) == ("memory", 9)


def test_a_gigabyte_of_output_is_read_and_thrown_away(fence: Fence, desk: Path) -> None:
    code = """
        import os
        os.write(1, b"first\\n")
        for _ in range(1024):
            data = bytes(1 << 20)
            while data:
                data = data[os.write(1, data):]
        os.write(1, b"last\\n")
        """
    done = python(fence, desk, code, limits=Limits(seconds=60, output_mb=1))
    assert done.ok
    assert done.truncated
    assert len(done.output) < (1 << 20) + 100
    assert done.output.startswith(b"first\n")
    assert done.output.endswith(b"last\n")
    assert b"bytes left out" in done.output


def test_a_second_namespace_cannot_be_made(fence: Fence, desk: Path) -> None:
    done = fence.run(Command(("unshare", "--user", "--map-root-user", "true"), desk))
    assert done.exit_code != 0


# -- policy -----------------------------------------------------------------------------------


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose unshare is refused by the kernel."""
    broken = tmp_path / "bin" / "unshare"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("no_namespaces")
def test_a_strict_fence_refuses_to_run_without_its_walls(desk: Path) -> None:
    with pytest.raises(FenceError, match="lacks: user, pids, mounts, network") as caught:
        python(Fence("strict"), desk, "print('ran')")
    assert "Operation not permitted" in caught.value.message
    assert "SHIPWAY_FENCE=degraded" in str(caught.value.hint)


@pytest.mark.usefixtures("no_namespaces")
def test_a_degraded_fence_runs_and_says_what_is_missing(public_tmp: Path) -> None:
    mark = f"mark-{os.getpid()}-degraded"
    wait = "while not os.path.exists('escaped'): time.sleep(0.01)"
    code = STUBBORN.format(then=wait) + f"print('ran')\n# {mark}"
    command = Command(("/usr/bin/env", "python3", "-c", code), public_tmp, writable=(public_tmp,))
    done = Fence("degraded").run(command)
    assert done.output == b"ran\n"
    assert done.fence.mechanism == "limits"
    assert (done.fence.pids, done.fence.mounts, done.fence.network) == (False, False, False)
    assert gone(mark)


def test_the_fence_user_is_no_user_of_the_machine() -> None:
    import pwd

    assert fence_module.FENCE_UID not in {entry.pw_uid for entry in pwd.getpwall()}


def test_a_command_ends_when_nothing_is_left_to_who_runs_it(fence, desk):
    with deadline.within(0.6):
        done = fence.run(Command(("sleep", "60"), desk, writable=(desk,)))
    assert done.timed_out
    assert done.seconds < 30
