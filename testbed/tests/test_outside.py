"""The probe of this machine: files and processes as they are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transport_testbed._faults import Sessions
from transport_testbed._outside import LocalProbe, ServerLog
from transport_testbed.conformance import HarnessError

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
    for argv, env in ((SLEEP, {"X": "tt-marker"}), ([*SLEEP, "tt-marker"], {})):
        with subprocess.Popen(argv, env=env) as process:
            # Between fork and exec it has our argv.
            end = time.monotonic() + 5
            while (found := PROBE.processes("tt-marker")) != [process.pid]:
                assert time.monotonic() < end, found
            assert any(b"time.sleep(60)" in line for line in PROBE.command_lines())
            process.kill()
            end = time.monotonic() + 5
            while PROBE.processes("tt-marker"):
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


def test_a_cut_that_cuts_nothing_is_an_error_of_the_testbed() -> None:
    """A fault that was not there has tested nothing."""
    with (
        pytest.raises(HarnessError, match="nothing broken"),
        Sessions(daemon=os.getpid(), user="nobody").cut(),
    ):
        pass
