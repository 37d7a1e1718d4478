"""The commands up, status and down, on native stacks: what they leave, and what they say of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transport_testbed import _state, cli
from transport_testbed.stack import Stack, StackError, providers
from transport_testbed.stack._runs import Run
from transport_testbed.stack.native.acquire import acquire

NATIVE = providers()[0]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `up` leaves its description."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "transport-testbed"


@pytest.fixture
def up(folder: Path) -> Iterator[Stack]:
    """A stack that was left up; it is taken down whatever a test does to its description."""
    if reason := NATIVE.unavailable():
        pytest.skip(f"no stack here: {reason}")
    assert cli.main(["up", "--no-slurm", "--stack", "native"]) == 0
    stack = _state.load()
    assert stack is not None
    yield stack
    NATIVE.stop(stack)


def rewritten(folder: Path, **facts: Any) -> None:
    """Describe the stack as a version does that knows other facts."""
    path = folder / "stack.json"
    known = json.loads(path.read_text())
    del known["timings"]
    path.write_text(json.dumps({**known, **facts}))


def test_up_status_down(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is left up is found again, can be logged in to as printed, and is taken down."""
    if reason := NATIVE.unavailable():
        pytest.skip(f"no stack here: {reason}")
    assert cli.main(["status"]) == 1
    assert cli.main(["up", "--no-slurm"]) == 0
    try:
        printed = capsys.readouterr().out
        assert "Slurm" not in printed
        line = next(line for line in printed.splitlines() if line.endswith(" jump-bash"))
        said = subprocess.run(["sh", "-c", f"{line} echo in"], capture_output=True, check=False)
        assert said.stdout == b"in\n", said.stderr
        assert cli.main(["up"]) == 0
        assert capsys.readouterr().out.startswith("up already")
        assert cli.main(["status"]) == 0
    finally:
        assert cli.main(["down"]) == 0
    assert cli.main(["down"]) == 0
    assert cli.main(["status"]) == 1
    assert not folder.exists()


def test_up_ends_what_is_left_of_a_stack_that_died(
    up: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its description would be gone, and nobody's sweep takes what was meant to stay."""
    # It stays as a zombie, since nobody has collected it yet.
    os.kill(up.pids["sshd-direct"], signal.SIGKILL)
    os.waitid(os.P_PID, up.pids["sshd-direct"], os.WEXITED | os.WNOWAIT)
    assert cli.main(["status"]) == 1
    assert "it died" in capsys.readouterr().out
    assert cli.main(["up", "--no-slurm", "--stack", "native"]) == 0
    try:
        assert "up already" not in capsys.readouterr().out
        assert not Path(up.root).exists()
        assert Run.recorded(Path(up.root), up.token).members() == []
        assert cli.main(["status"]) == 0
    finally:
        assert cli.main(["down"]) == 0


def test_a_stack_of_another_version_can_be_taken_down(
    up: Stack, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing else: it is not known whether it runs."""
    rewritten(folder, later="fact")
    for command in ("status", "up"):
        assert cli.main([command]) == 1
        assert "of another version, or damaged\nhint: down ends" in capsys.readouterr().err
    assert cli.main(["down"]) == 0
    assert not Path(up.root).exists()
    assert Run.recorded(Path(up.root), up.token).members() == []
    assert not folder.exists()


def test_a_stack_of_a_provider_that_is_not_known_is_not_forgotten(
    up: Stack, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another version may have more of them."""
    rewritten(folder, provider="clouds")
    assert cli.main(["down"]) == 1
    assert "clouds: this version" in capsys.readouterr().err
    assert (folder / "stack.json").exists()
    assert Path(up.root).exists()


@pytest.mark.parametrize("text", ("", "{", "[]", '{"token": "x"}', "\udcff"))
def test_a_damaged_description_is_told_with_what_helps(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """By each of the commands; none of them throws it away."""
    folder.mkdir()
    (folder / "stack.json").write_text(text, errors="surrogateescape")
    for command, hint in (("status", "down"), ("up", "down"), ("down", f"remove {folder}")):
        assert cli.main([command]) == 1
        assert f"hint: {hint}" in capsys.readouterr().err
    assert (folder / "stack.json").exists()


def test_without_a_place_for_the_description_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which variable names another."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(cli, "providers", lambda: pytest.fail("asked"))
    assert cli.main(["up"]) == 1
    assert "hint: set XDG_STATE_HOME" in capsys.readouterr().err


@pytest.mark.parametrize("home", ("file", ""))
def test_without_a_place_for_packages_it_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """As where the home directory cannot be written."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    if home:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home))
    with pytest.raises(StackError, match="hint: set XDG_CACHE_HOME"):
        acquire()


def test_who_reads_no_further_is_no_error() -> None:
    """As in `up | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    argv = (sys.executable, "-m", "transport_testbed", "stacks")
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (0, 1)
