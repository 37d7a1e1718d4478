"""Who leads a command's group, and the scripts that end it, as a real ``sh`` reads them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_ssh import _leader, _wire
from transport_ssh._leader import Leader
from transport_testbed._outside import stat_of

BOOT = "0bd8a5e3-7b0c-4f6e-9a3c-0123456789ab"
STAT = b" S 1 42 42 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 777 2367488 200"
LEADER = Leader(42, BOOT, "777", 42)
# What /bin/sh may be, where it is there.
SHELLS = [
    words
    for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh93"], ["mksh"])
    if shutil.which(words[0])
]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Two processes in a group of their own, that ignore TERM."""
    argv = ["sh", "-c", "trap '' TERM; echo up; sleep 100 & wait; sleep 100"]
    with subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE) as found:
        assert found.stdout is not None
        found.stdout.readline()
        yield found
        found.kill()


def leader_of(pid: int) -> Leader:
    """Return what the begin marker of this process would say."""
    stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2]
    boot = Path(_leader.BOOT.decode()).read_bytes().strip()
    found = _leader.read_leader(b"%d %s %s" % (pid, boot, stat))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (b"42 " + BOOT.encode() + b" " + STAT, LEADER),
        (b"42 " + BOOT.encode() + STAT, LEADER),
        (b"42", None),
        (b"42  ", None),
        (b"42 " + BOOT.encode() + b" ", None),
        (b"42 " + BOOT.encode() + STAT.replace(b"777", b"x"), None),
        (b"42 " + BOOT.encode() + STAT.replace(b" 1 42 ", b" 40 40 "), replace(LEADER, group=40)),
        (b"42 $(touch /x) " + STAT, None),
        (b"1 " + BOOT.encode() + STAT, None),
        (b"x " + BOOT.encode() + STAT, None),
        (b"", None),
        (None, None),
    ],
)
def test_a_leader_is_known_only_where_all_of_it_was_told(
    told: bytes | None, wanted: Leader | None
) -> None:
    """A system without /proc tells the PID alone, and a lie is no part of a script."""
    assert _leader.read_leader(told) == wanted


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (b"42", 42),
        (b"42 more", 42),
        (b"42  S 1 40 40", 40),
        (b"42 boot S 1 40 40", 40),
        (b"42 boot S 1", 42),
        (b"42 boot S 1 1 1", 42),
        (b"42 boot S 1 -1 1", 42),
        (b"1", None),
        (b"1 boot S 0 40 40", None),
        (b"-1", None),
        (None, None),
    ],
)
def test_a_group_is_never_everybodys(told: bytes | None, wanted: int | None) -> None:
    """``kill -- -1`` means every process there is; where nothing is told, the process leads one."""
    assert _leader.read_group(told) == wanted


def test_the_begin_marker_tells_all_of_it() -> None:
    """As a real shell writes it."""
    plan = _wire.plan([b"true"], token=b"@t0k3n")
    done = subprocess.run(["sh", "-c", plan.command], capture_output=True, check=True)
    reader = _wire.Unmarker(plan.token + b":b")
    assert reader.feed(done.stdout) == b""
    found = _leader.read_leader(reader.value)
    assert found is not None
    assert found.pid == _leader.read_pid(reader.value)


def test_the_stop_script_ends_a_group_and_says_so(child: subprocess.Popen[bytes]) -> None:
    """What is in the group is gone; a zombie is not taken for one that lives."""
    script = _leader.stop_script(child.pid, 0.1)
    assert subprocess.check_output(["sh", "-c", script]) == b"gone\n"
    assert child.wait(5) == -9
    assert b"!" not in script


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_the_kernel_says_of_a_group_is_told_apart(
    shell: list[str], child: subprocess.Popen[bytes]
) -> None:
    """That there is none is the end of it; that one may not be signalled is looked into."""
    refused = b"kill(){ echo kill: Operation not permitted >&2;return 1;};"
    refused += _leader.stop_script(child.pid, 0.1)
    done = subprocess.run([*shell, "-c", refused], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    with subprocess.Popen(["true"], start_new_session=True) as ended:
        pass
    script = _leader.stop_script(ended.pid, 0.1)
    assert script.count(b"for s in ") == 1
    looking = script.replace(b"for s in ", b"echo looked;for s in ")
    assert subprocess.check_output([*shell, "-c", looking]) == b"gone\n"


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_a_look_at_the_processes_misses_is_killed_all_the_same(
    shell: list[str], child: subprocess.Popen[bytes]
) -> None:
    """They may be hidden, or fork on while they are looked through; the kernel knows them."""
    script = _leader.stop_script(child.pid, 0.3)
    blind = script.replace(b"/proc/[0-9]*/stat", b"/proc/none*/stat")
    assert blind != script
    with subprocess.Popen([*shell, "-c", blind], stdout=subprocess.PIPE) as stopping:
        assert child.wait(5) == -9
        assert stopping.communicate(timeout=5)[0] == b"gone\n"


def test_a_group_of_the_same_number_is_not_ours_if_another_leads_it(
    child: subprocess.Popen[bytes],
) -> None:
    """Our leader ended long ago, and its number was given anew; ours may be gone as well."""
    right = leader_of(child.pid)
    other = replace(right, start="1")
    script = _leader.stop_script(child.pid, 0.1, other)
    assert subprocess.check_output(["sh", "-c", script]) == b"gone\n"
    assert child.poll() is None
    assert subprocess.check_output(["sh", "-c", _leader.stop_script(child.pid, 0.1, right)])
    assert child.wait(5) == -9
    script = _leader.stop_script(child.pid, 0.1, right)
    assert subprocess.check_output(["sh", "-c", script]) == b"gone\n"


def test_children_of_a_leader_that_has_ended_stay(child: subprocess.Popen[bytes]) -> None:
    """It is there for as long as nobody reaps it; what it left belongs to the user."""
    right = leader_of(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert subprocess.check_output(["sh", "-c", _leader.reap_script(right, 0.1)]) == b""
    os.killpg(child.pid, 0)
    os.killpg(child.pid, signal.SIGKILL)


def test_the_reap_script_ends_only_the_very_same_process(
    child: subprocess.Popen[bytes],
) -> None:
    """Another boot, another machine, or another process of that PID is left alone."""
    right = leader_of(child.pid)
    others = [replace(right, boot=BOOT), replace(right, start="1"), replace(right, pid=2**22 - 1)]
    for other in others:
        script = _leader.reap_script(other, 0.1)
        assert subprocess.check_output(["sh", "-c", script]) == b""
        assert child.poll() is None
    assert subprocess.check_output(["sh", "-c", _leader.reap_script(right, 0.1)]) == b"gone\n"
    assert child.wait(5) == -9


@given(
    st.binary() | st.from_regex(rb"[0-9]{1,40}( [0-9a-f-]{8,64}( [0-9]+){20,24})?", fullmatch=True)
)
def test_what_a_server_tells_of_a_process_is_taken_only_if_it_can_be_one(told: bytes) -> None:
    """A PID, a boot and a start; whatever else comes is no process, and no error."""
    pid = _leader.read_pid(told)
    assert pid is None or 1 < pid < 2**31
    leader = _leader.read_leader(told)
    assert leader is None or leader.pid == pid


def test_a_number_too_long_for_a_pid_is_none() -> None:
    """Python refuses to read 5000 digits; a server may send them."""
    assert _leader.read_pid(b"9" * 5000) is None


@given(st.integers(2, 2**31 - 1), st.floats(0.01, 86_400.0))
def test_scripts_that_stop_are_short_whatever_they_stop(pgid: int, grace: float) -> None:
    """Far from what a login shell or sshd would refuse, and without what tcsh rewrites."""
    boot, start = "f" * 64, "9" * 20
    scripts = (
        _leader.stop_script(pgid, grace),
        _leader.reap_script(Leader(pgid, boot, start, pgid), grace),
        _leader.signal_script(pgid, "TERM"),
    )
    for script in scripts:
        assert len(script) < 2000
        assert b"!" not in script
        assert b"'" not in script, "it stands in quotes"
        assert b"*)}" not in script, "a syntax error for ksh93"


def test_a_signal_goes_to_the_whole_group(child: subprocess.Popen[bytes]) -> None:
    """To its leader as well as to what the leader has started."""
    done = subprocess.run(["sh", "-c", _leader.signal_script(child.pid, "KILL")], check=False)
    assert done.returncode == 0
    assert child.wait(5) == -9


@pytest.fixture
def wrapped() -> Iterator[tuple[int, int]]:
    """A wrapper that leads a group, and the process that it waits for: their PIDs."""
    argv = ["sh", "-c", "sh -c 'echo $$; sleep 100 & wait; sleep 100'; exit 3"]
    with subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE) as found:
        assert found.stdout is not None
        yield found.pid, int(found.stdout.readline())
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.pid, signal.SIGKILL)


@pytest.mark.parametrize("kind", ["stop", "reap"])
def test_a_command_within_a_wrapper_is_ended_with_its_group(
    wrapped: tuple[int, int], kind: str
) -> None:
    """The wrapper leads it; the command itself is what is known again by its start."""
    wrapper, pid = wrapped
    leader = leader_of(pid)
    assert leader.group == wrapper
    scripts = {
        "stop": _leader.stop_script(wrapper, 0.1, replace(leader, start="1")),
        "reap": _leader.reap_script(leader, 0.1),
    }
    other = _leader.reap_script(replace(leader, start="1"), 0.1)
    assert subprocess.check_output(["sh", "-c", other]) == b""
    os.killpg(wrapper, 0)
    assert subprocess.check_output(["sh", "-c", scripts[kind]]) == b"gone\n"
    assert stat_of(pid)[0] in "ZX"


def test_no_script_ends_the_group_that_it_is_in_itself() -> None:
    """A server that gives sessions no group of their own would be ended with it."""
    group = os.getpgrp()
    told = leader_of(os.getpid())
    assert told.group == group
    for script in (
        _leader.stop_script(group, 0.1, replace(told, pid=1)),
        _leader.signal_script(group, "KILL"),
        _leader.reap_script(told, 0.1),
    ):
        done = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (2, b"")
