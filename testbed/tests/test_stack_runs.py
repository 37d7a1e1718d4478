"""Runs: whose they are, how they end, and what a sweep must not take. Processes are real ones."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from transport_testbed.stack import StackError, _proc, _runs
from transport_testbed.stack._runs import TOKEN_VARIABLE, Run, login_uid, sweep
from transport_testbed.stack._trees import remove


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run without anything that runs, where no other process sweeps."""
    monkeypatch.setattr(_runs, "state_directory", lambda: tmp_path)
    made = Run.create(keep=False)
    yield made
    made.end()


@contextmanager
def process(run: Run) -> Iterator[subprocess.Popen[bytes]]:
    """A process that carries the run's token, and does not end by TERM."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    argv = (sys.executable, "-c", f"{code}; time.sleep(600)")
    environment = {**os.environ, TOKEN_VARIABLE: run.token}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE) as made:
        try:
            assert made.stdout is not None
            made.stdout.readline()
            yield made
        finally:
            made.kill()


def rewritten(run: Run, **facts: object) -> None:
    """Write other facts into a run's record."""
    path = run.root / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_a_record_is_read_as_it_was_written(run: Run) -> None:
    """From the directory, and from the one line that a label holds."""
    assert Run.load(run.root) == Run.from_record(run.record()) == run
    assert "\n" not in run.record()


@pytest.mark.parametrize(
    "text", ("", "{}", "[]", "1", '{"root": "/"}', "by hand", "RENAMED", "USR", "TYPES")
)
def test_what_is_no_record_is_refused(run: Run, text: str) -> None:
    """And a directory that is not named by the token, which a run would remove, above all."""
    if text == "RENAMED":
        text = replace(run, root=run.root.parent).record()
    if text == "USR":
        text = replace(run, token="usr", root=Path("/usr")).record()
    if text == "TYPES":
        text = json.dumps({**json.loads(run.record()), "started": "0"})
    with pytest.raises((ValueError, TypeError)):
        Run.from_record(text)
    # Nor does one stop a sweep.
    (run.root / "run.json").write_text(text)
    assert sweep() == []


@pytest.mark.parametrize(
    ("facts", "orphaned"),
    (
        ({}, False),
        ({"owner_started": 1}, True),
        ({"owner_started": 1, "keep": True}, False),
        ({"boot": "another"}, True),
        ({"boot": "another", "keep": True}, False),
        ({"owner_started": 1, "numbers": "pid:[1]"}, False),
        ({"boot": "another", "numbers": "pid:[1]"}, False),
    ),
)
def test_only_a_run_whose_owner_is_known_to_be_dead_is_swept(
    run: Run, facts: dict[str, object], orphaned: bool
) -> None:
    """A process number says nothing after another boot, and nothing in another namespace."""
    rewritten(run, **facts)
    assert Run.load(run.root).orphaned == orphaned
    sweep()
    assert run.root.exists() != orphaned


def test_a_run_without_a_record_is_left_alone(run: Run) -> None:
    """It may be somebody's; who has its token and directory can still end it."""
    with process(run) as alive:
        (run.root / "run.json").rename(run.root / "moved")
        sweep()
        assert alive.poll() is None
        assert run.root.exists()
        Run.recorded(run.root, run.token).end()
        assert _proc.started(alive.pid) is None
    assert not run.root.exists()


def test_nothing_of_another_boot_carries_a_run(run: Run) -> None:
    """Starts are told in ticks of one boot."""
    with process(run) as alive:
        assert run.carried_by(alive.pid)
        assert not replace(run, boot="another").carried_by(alive.pid)


def test_every_process_is_signalled_however_long_it_takes_to_find_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine on which the time is over before /proc was read once."""
    monkeypatch.setattr(_runs, "GRACE", 0.0)
    with process(run) as alive:
        run.end()
        assert _proc.started(alive.pid) is None


def test_what_does_not_end_keeps_its_directory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the next sweep finds it; and a sweep does not fail by it."""
    with process(run) as alive:
        with monkeypatch.context() as deaf:
            deaf.setattr(_runs, "GRACE", 0.0)
            deaf.setattr(_runs, "PATIENCE", 0.0)
            deaf.setattr(signal, "pidfd_send_signal", lambda *_: None)
            with pytest.raises(StackError, match=str(alive.pid)):
                run.end()
            rewritten(run, owner_started=1)
            assert str(run.root) not in sweep()
        assert (run.root / "run.json").exists()
        assert alive.poll() is None
        sweep()
        assert _proc.started(alive.pid) is None
    assert not run.root.exists()


def test_logins_get_a_number_that_no_account_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one of a directory service, which names its users to who asks and lists none."""
    asked = []

    def known(uid: int) -> None:
        asked.append(uid)
        if uid > 31002:
            raise KeyError(uid)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwuid", known)
    monkeypatch.setattr(pwd, "getpwall", list)
    assert login_uid() == 31003
    assert asked == [31000, 31001, 31002, 31003]


def test_a_tree_of_which_a_part_vanishes_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that is just ending; directories without permissions are no obstacle."""
    tree = tmp_path / "tree"
    for name in ("a", "b"):
        (tree / name / "c").mkdir(parents=True)
    (tree / "b").chmod(0)
    chmod = Path.chmod

    def vanishing(path: Path, mode: int) -> None:
        if path.name == "a":
            (path / "c").rmdir()
            path.rmdir()
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", vanishing)
    remove(tree)
    assert not tree.exists()


def test_a_zombie_is_no_process() -> None:
    """It has ended, and waits to be collected."""
    with subprocess.Popen(("sleep", "600")) as child:
        assert _proc.started(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{child.pid}").exists()
        assert _proc.started(child.pid) is None
