"""The probe of this machine: files and processes as they are."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from transport_testbed._faults import Sessions
from transport_testbed._outside import LocalProbe, ServerLog, content_of, pids, stat_of
from transport_testbed.conformance import HarnessError
from transport_testbed.stack._runs import TOKEN_VARIABLE, Run

PROBE = LocalProbe()
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_files(tmp_path: Path) -> None:
    """What is made has the mode asked for, whatever the umask is."""
    here = os.fsencode(tmp_path)
    before = os.umask(0o077)
    try:
        PROBE.make_dir(here + b"/d", 0o751)
        PROBE.write(here + b"/d/f\xff", b"x", 0o640)
        PROBE.make_link(b"nowhere", here + b"/l")
    finally:
        os.umask(before)
    found = PROBE.lstat(here + b"/d/f\xff")
    folder = PROBE.lstat(here + b"/d")
    assert found is not None
    assert folder is not None
    assert (stat.S_IMODE(found.st_mode), stat.S_IMODE(folder.st_mode)) == (0o640, 0o751)
    assert PROBE.read(here + b"/d/f\xff") == b"x"
    assert PROBE.readlink(here + b"/l") == b"nowhere"
    assert sorted(PROBE.listdir(here)) == [b"d", b"l"]
    assert PROBE.lstat(here + b"/none") is None


def test_processes_are_found_by_environment_and_by_argv() -> None:
    """Not the suite itself, nor what has ended and waits to be collected."""
    # Random: another run of these tests is none of ours.
    marker = f"marker-{secrets.token_hex(16)}"
    for argv, env in ((SLEEP, {"X": marker}), ([*SLEEP, marker], {})):
        with subprocess.Popen(argv, env=env) as process:
            # Between fork and exec it has our argv.
            end = time.monotonic() + 5
            while (found := PROBE.processes(marker)) != [process.pid]:
                assert time.monotonic() < end, found
            assert any(b"time.sleep(60)" in line for line in PROBE.command_lines())
            process.kill()
            end = time.monotonic() + 5
            while PROBE.processes(marker):
                assert time.monotonic() < end


def test_logins_are_counted_in_a_log(tmp_path: Path) -> None:
    """Accepted keys are offers, and not counted."""
    log = tmp_path / "log"
    log.write_text(
        "Accepted key ED25519 SHA256:x found at /k:1\n"
        "Accepted publickey for u from 127.0.0.1 port 1 ssh2: ED25519 SHA256:x\n"
    )
    assert LocalProbe(log=ServerLog(str(log))).logins() == 1
    assert LocalProbe(log=ServerLog(str(log), "u")).logins() == 1
    assert LocalProbe(log=ServerLog(str(log), "v")).logins() == 0
    assert LocalProbe(hop_log=ServerLog(str(log), "u")).offers_at_hop("SHA256:x") == 1
    assert LocalProbe(hop_log=ServerLog(str(log), "u")).offers_at_hop("SHA256:y") == 0
    assert PROBE.logins() is None


@pytest.mark.parametrize(
    ("line", "attempts"),
    (
        ("Connection from 127.0.0.1 port 1 on 127.0.0.1 port 2", 0),
        ("Received disconnect from 127.0.0.1 port 1:9: no [preauth]", 0),
        ("Disconnected from 127.0.0.1 port 1 [preauth]", 0),
        ("Postponed publickey for u from 127.0.0.1 port 1 ssh2 [preauth]", 1),
        ("Failed publickey for u from 127.0.0.1 port 1 ssh2: ED25519 SHA256:x", 1),
        ("Failed none for invalid user u from 127.0.0.1 port 1 ssh2", 1),
        ("Invalid user u from 127.0.0.1 port 1", 1),
        ("Connection closed by authenticating user u 127.0.0.1 port 1 [preauth]", 1),
        ("Connection closed by authenticating user us 127.0.0.1 port 1 [preauth]", 0),
    ),
)
def test_attempts_are_found_in_a_log(line: str, attempts: int, tmp_path: Path) -> None:
    """Who leaves before he says who he is has made none."""
    log = tmp_path / "log"
    log.write_text(f"{COMES}{line}\n")
    assert ServerLog(str(log), "u").attempts() == attempts


COMES = "Connection from 127.0.0.1 port 1 on 127.0.0.1 port 2\n"
LATE = "Connection closed by authenticating user u 127.0.0.1 port 3 [preauth]\n"


def test_attempts_of_who_came_before_are_not_counted(tmp_path: Path) -> None:
    """What is told late of an earlier connection is no attempt of one that is looked at."""
    log = tmp_path / "log"
    log.write_text(COMES.replace("port 1 ", "port 3 "))
    probe = LocalProbe(log=ServerLog(str(log), "u"), hop_log=ServerLog(str(log), "u"))
    with log.open("a") as file:
        file.write(LATE)
    assert (probe.attempts(), probe.attempts_at_hop()) == (0, 0)
    with log.open("a") as file:
        file.write(COMES + LATE + LATE.replace("port 3", "port 1"))
    assert (probe.attempts(), probe.attempts_at_hop()) == (1, 1)


@pytest.fixture
def run() -> Iterator[Run]:
    """A run without a server."""
    made = Run.create(keep=False)
    yield made
    made.end()


def test_a_cut_that_cuts_nothing_is_an_error_of_the_testbed(run: Run) -> None:
    """A fault that was not there has tested nothing."""
    with (
        pytest.raises(HarnessError, match="nothing broken"),
        Sessions(run=run, daemon=os.getpid(), user="nobody").cut(),
    ):
        pass


@pytest.mark.parametrize("carrier", ("it", "its parent", ""))
def test_a_session_of_another_run_is_not_cut(run: Run, carrier: str) -> None:
    """Whatever its title is, and whoever started it: it or what it descends from has the token."""
    user = f"u{secrets.token_hex(8)}"
    own = run.token if carrier == "it" else ""
    how = f"{TOKEN_VARIABLE}={own} bash -c \"exec -a 'sshd: {user}@notty' sleep 60\" & wait"
    environment = {**os.environ, TOKEN_VARIABLE: run.token if carrier == "its parent" else ""}
    sessions = Sessions(run=run, daemon=os.getpid(), user=user)
    with subprocess.Popen(["bash", "-c", how], env=environment, start_new_session=True) as parent:
        try:
            session = titled(f"sshd: {user}@notty")
            assert sessions.pids() == ([session] if carrier else [])
            if carrier:
                with sessions.cut() as ended:
                    assert ended == 1
            else:
                # As if its number had been another's a moment ago.
                run.send([session], signal.SIGKILL, sessions._has)
                assert stat_of(session)[0] == "S"
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def titled(title: str) -> int:
    """The process that shows this title; it is waited for."""
    end = time.monotonic() + 10
    while True:
        for pid in pids():
            if content_of(pid, "cmdline").startswith(title.encode()):
                return pid
        assert time.monotonic() < end
        time.sleep(0.01)
