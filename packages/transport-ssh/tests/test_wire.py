"""The command form, as text and as a real ``sh`` reads it."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_ssh import _wire

TOKEN = b"@t0k3n"
WORDS = [
    b"plain",
    b"two words",
    b"",
    b"-n",
    b"'",
    b'"',
    b"$HOME `id` $(id)",
    b"a\\",
    b"\\",
    b"!x",
    b"=ls",
    b"*?[a]",
    b"~",
    b"new\nline",
    b"\n",
    b"tab\tcr\r",
    b"\xff\xfe",
    "ünïcödé".encode(),
    b"%s%%\\n",
    b"x" * 100_000,
]
PRINT = [b"/bin/sh", b"-c", b'for a; do printf "%s\\0" "$a"; done', b"sh"]
SHELLS = [name for name in ("dash", "bash", "busybox", "zsh", "fish", "tcsh") if shutil.which(name)]


def execute(plan: _wire.Plan, shell: str = "sh", **options: object) -> tuple[int, bytes, bytes]:
    """Do what sshd does: give the command to a login shell."""
    argv = [b"sh", b"-c", plan.command] if shell == "busybox" else [shell, "-c", plan.command]
    done = subprocess.run(
        argv,
        executable=shutil.which(shell),
        input=plan.header + b"STDIN",
        capture_output=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    out, err = _wire.Unmarker(plan.token + b":b"), _wire.Unmarker(plan.token + b":e")
    return done.returncode, out.feed(done.stdout), err.feed(done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_word_arrives_byte_for_byte(shell: str) -> None:
    """Whatever the words are, the login shell does not change them."""
    _, out, err = execute(_wire.plan([*PRINT, *WORDS], token=TOKEN), shell)
    assert out.split(b"\0")[:-1] == WORDS
    assert err == b""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\0", b"")), max_size=6))
def test_any_bytes_arrive(words: list[bytes]) -> None:
    """A property over all words without NUL."""
    _, out, _ = execute(_wire.plan([*PRINT, *words], token=TOKEN))
    assert out.split(b"\0")[:-1] == words


@pytest.mark.parametrize(
    "value", (b"", b"it's", b"a\nb\\", b"$X", b"\xff", b" lead", b"x" * 50_000)
)
def test_env_arrives_and_is_in_no_argument(value: bytes) -> None:
    """Values travel by stdin, never in the command."""
    plan = _wire.plan([b"sh", b"-c", b'printf %s "$K_1"; cat'], {"K_1": value}, token=TOKEN)
    assert not value or value[:20] not in plan.command
    assert execute(plan)[1] == value + b"STDIN"


@pytest.mark.parametrize(
    "name", ("IFS", "OPTIND", "UID", "PATH", "PWD", "_", "RANDOM", "PS1", "HOME")
)
def test_env_names_that_shells_treat_specially(name: str) -> None:
    """Whatever sh does with a name by itself, the program gets the value."""
    value = b"/usr/bin:/bin" if name == "PATH" else b"7"
    plan = _wire.plan([b"/usr/bin/env"], {name: value}, token=TOKEN)
    assert name.encode() + b"=" + value in execute(plan)[1].split(b"\n")


def test_cwd_is_entered_before_the_program(tmp_path: object) -> None:
    """Also where its name is odd."""
    for name in ("plain", "-", "it's a\nname!"):
        os.makedirs(os.path.join(str(tmp_path), name), exist_ok=True)
        plan = _wire.plan([b"sh", b"-c", b"pwd -P"], cwd=os.fsencode(name), token=TOKEN)
        _, out, _ = execute(plan, cwd=str(tmp_path))
        assert out == os.fsencode(os.path.join(os.path.realpath(str(tmp_path)), name)) + b"\n"


@pytest.mark.parametrize(
    ("argv", "cwd", "reason"),
    (
        ([b"no-such-program"], None, "not found"),
        ([b"/etc/passwd"], None, "not executable"),
        ([b"true"], b"/no/such/dir", "cwd"),
        ([b"sh", b"-c", b"exit 127"], None, None),
        ([b"sh", b"-c", b"exit 126"], None, None),
        ([b"sh", b"-c", b"exit 96"], None, None),
    ),
)
@pytest.mark.parametrize("env", ({}, {"A": b"1"}))
def test_not_started_is_told_from_a_programs_own_code(
    argv: list[bytes], cwd: bytes | None, reason: str | None, env: dict[str, bytes]
) -> None:
    """127 of a program is not 127 of the shell."""
    plan = _wire.plan(argv, env, cwd, token=TOKEN)
    status, _, err = execute(plan)
    failure = _wire.read_failure(TOKEN, err, status)
    assert (failure.reason if failure else None) == reason


def test_long_text_goes_by_stdin_and_no_command_is_longer_than_the_limit() -> None:
    """An exec request of 262,144 bytes would make sshd drop the connection."""
    for size in (10, 90_000, 110_000, 500_000):
        plan = _wire.plan([*PRINT, b"x" * size], token=TOKEN)
        assert len(plan.command) < 131_072
        assert bool(plan.header) == (size > 100_000)


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_noise_before_the_marker_is_dropped_however_it_is_cut(cut: int) -> None:
    """Streams arrive in any pieces."""
    data = b"motd\nno newline" + TOKEN + b":b 42\nout\n" + TOKEN + b":b later"
    reader = _wire.Unmarker(TOKEN + b":b")
    assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == b"out\n" + TOKEN + b":b later"
    assert reader.value == b"42"
    assert reader.noise == b"motd\nno newline"


def test_endless_noise_is_not_kept() -> None:
    """A login that prints for ever costs no memory."""
    reader = _wire.Unmarker(TOKEN + b":b")
    for _ in range(100):
        assert reader.feed(b"n" * 65536) == b""
    assert len(reader.rest()) <= 4096
