"""The command form, as text and as a real ``sh`` reads it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_ssh import _env, _leader, _wire
from transport_ssh._command import Request

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


def logged_in(
    shell: str, command: bytes, stdin: bytes = b"", **options: object
) -> subprocess.CompletedProcess[bytes]:
    """Do what sshd does: give the command to a login shell."""
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [b"sh" if shell == "busybox" else shell, b"-c", command],
        executable=shutil.which(shell),
        input=stdin,
        capture_output=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    return done


def execute(plan: _wire.Plan, shell: str = "sh", **options: object) -> tuple[int, bytes, bytes]:
    """Return a command's status, and its output behind the markers."""
    done = logged_in(shell, plan.command, plan.header + b"STDIN", **options)
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


OWNED = ("OPTIND", "UID", "PWD", "_", "RANDOM", "SHLVL", "PPID", "BASHOPTS", "LINENO", "PIPESTATUS")
ENV_S = subprocess.run(["env", "-S", "true"], capture_output=True, check=False).returncode == 0


def as_inner(plan: _wire.Plan, shell: str) -> tuple[int, bytes, bytes]:
    """Run the script in this shell in place of /bin/sh."""
    script = plan.command.partition(b"'")[2].removesuffix(b"'")
    done = subprocess.run(
        ["sh" if shell != "busybox" else "ash", "-c", script],
        executable=shutil.which(shell),
        input=plan.header,
        capture_output=True,
        check=False,
    )
    out, err = _wire.Unmarker(plan.token + b":b"), _wire.Unmarker(plan.token + b":e")
    return done.returncode, out.feed(done.stdout), err.feed(done.stderr)


@pytest.mark.parametrize("shell", [s for s in SHELLS if s in ("dash", "bash", "busybox")])
@pytest.mark.parametrize("name", ("IFS", "PATH", "PS1", "HOME", *OWNED))
@pytest.mark.parametrize("value", (b"7", b"", b"it's\n${HOME} \\\xff"))
def test_env_names_that_shells_treat_specially(shell: str, name: str, value: bytes) -> None:
    """Whatever sh does with a name by itself, the program gets the value, and no other name."""
    if name == "PATH":
        value = b"/usr/bin:/bin"
    plan = _wire.plan([b"/usr/bin/env", b"-0"], {name: value, "PLAIN": b"p"}, token=TOKEN)
    status, out, err = as_inner(plan, shell)
    if status == _env.REFUSED and not ENV_S:
        assert _wire.read_failure(TOKEN, err, status) == _wire.NotStarted("env")
        return
    seen = dict(line.split(b"=", 1) for line in out.split(b"\0") if line)
    assert (seen.get(name.encode()), seen[b"PLAIN"]) == (value, b"p")
    assert not [each for each in seen if each.startswith(b"_t0k3n")]
    assert err == b""


@pytest.mark.parametrize("name", OWNED)
def test_no_argument_holds_the_value_of_a_name_that_shells_own(name: str) -> None:
    """What is executed beside the program is not given the value as a word."""
    before, after = _env.own_exports(TOKEN, b"prog", {name: b"s3cret"}, b"exec ")
    (assignment,) = (each for each in (before + after).split(b";") if b"s3cret" in each)
    assert assignment == b"export _t0k3n0='s3cret'"


@pytest.mark.parametrize("shell", [s for s in SHELLS if s in ("dash", "bash", "busybox")])
def test_a_program_that_is_not_there_is_told_with_such_names_too(shell: str) -> None:
    """env(1) would exit with 127, as a program may; so would one whose name holds ``=``."""
    env = {"OPTIND": b"x", "UID": b"5"}
    wanted = {b"no-such": "not found", b"/no/such": "not found", b"/etc": "not executable"}
    wanted |= {b"/etc/passwd": "not executable", b"t": "not found", b"a=b": "not found"}
    for program, reason in wanted.items():
        status, _, err = as_inner(_wire.plan([program], env, token=TOKEN), shell)
        assert _wire.read_failure(TOKEN, err, status) in (
            _wire.NotStarted(reason),
            _wire.NotStarted("env"),
        )
        if ENV_S and b"=" not in program:
            assert status != _env.REFUSED


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


@pytest.mark.parametrize(
    ("program", "is_found"),
    (
        (b"cat", True),
        (b"/bin/sh", True),
        (b"./it's a\nprogram !", True),
        (b"no-such-program", False),
        (b"/no/such/program", False),
        (b"./plain", False),
        (b"/tmp", False),
        (b"cd", False),
    ),
)
@pytest.mark.parametrize("env", ({}, {"_p": b"1"}))
def test_the_begin_marker_tells_whether_the_program_was_found(
    program: bytes, is_found: bool, env: dict[str, bytes], tmp_path: Path
) -> None:
    """Found means that exec will do: no builtin, no directory, no file without the permission."""
    (tmp_path / "it's a\nprogram !").write_text("#!/bin/sh\n")
    (tmp_path / "it's a\nprogram !").chmod(0o755)
    (tmp_path / "plain").touch()
    plan = _wire.plan([program, b"x"], env, os.fsencode(tmp_path), token=TOKEN, look_up=True)
    assert b"*)}" not in plan.command + plan.header, "a syntax error for ksh93"
    for shell in SHELLS:
        done = logged_in(shell, plan.command, plan.header)
        reader = _wire.Unmarker(TOKEN + b":b")
        reader.feed(done.stdout)
        assert _wire.read_found(reader.value) is is_found
        assert _leader.read_pid(reader.value)


def test_long_text_goes_by_stdin_and_no_command_is_longer_than_the_limit() -> None:
    """An exec request of 262,144 bytes would make sshd drop the connection, of 131,072 fail."""
    for size in (10, 24_000, 26_000, 90_000, 99_000, 101_000, 500_000, 2_000_000):
        for fill in (b"x", b"'", b"\n", b"\xff"):
            for cwd, env in ((None, {}), (b"/" + fill * size, {}), (None, {"A": fill * size})):
                plan = _wire.plan([*PRINT, fill * size], env, cwd, token=TOKEN)
                assert len(plan.command) < 131_072
                assert plan.header.count(b"\n") == bool(plan.header)
    assert not _wire.plan([*PRINT, b"x" * 90_000], token=TOKEN).header
    many = _wire.plan([b"x"] * 1_000_000, token=TOKEN)
    assert len(many.command) < 131_072


@given(
    st.lists(
        st.builds(
            lambda letter, size: letter * size,
            st.sampled_from((b"x", b"'", b"\n", b"\xff", b"\\", b"$(id)")),
            st.sampled_from((1, 20, 24_000, 33_000, 100_000, 131_071)),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from((None, b"", b"value")),
    st.sampled_from((None, b"/tmp", b"-", b"'" * 4000)),
)
@settings(deadline=None, max_examples=50)
def test_no_exec_request_is_longer_than_one_word_may_be(
    words: list[bytes], value: bytes | None, cwd: bytes | None
) -> None:
    """131,072 bytes (Linux, one word of an argv); what is longer is one line on stdin."""
    argv = [b"cat", *words]
    plan = _wire.plan(argv, None if value is None else {"K": value}, cwd, token=TOKEN)
    assert len(plan.command) < 131_072
    by_stdin = value is not None or sum(map(len, argv)) >= 131_072
    assert not by_stdin or plan.header
    if plan.header:
        assert len(plan.command) < 200
        assert plan.header.count(b"\n") == 1
        assert plan.header.endswith(b"\n")


def test_an_argv_of_nearly_two_megabytes_arrives() -> None:
    """What Linux takes as a whole for one program, each word below 128 KiB."""
    words = [bytes((97 + n,)) * 131_000 for n in range(14)] + [b"'\n" * 30_000]
    _, out, _ = execute(_wire.plan([*PRINT, *words], token=TOKEN))
    assert out.split(b"\0")[:-1] == words


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_noise_before_the_marker_is_dropped_however_it_is_cut(cut: int) -> None:
    """Streams arrive in any pieces."""
    data = b"motd\nno newline" + TOKEN + b":b 42\nout\n" + TOKEN + b":b later"
    reader = _wire.Unmarker(TOKEN + b":b")
    assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == b"out\n" + TOKEN + b":b later"
    assert reader.value == b"42"
    assert reader.noise == b"motd\nno newline"


@given(
    st.lists(st.sampled_from((b"@t", TOKEN, b":b", b" 42", b"\n", b"x", b"y" * 3000)), max_size=12),
    st.lists(st.integers(0, 4000), max_size=8),
)
def test_what_comes_in_pieces_is_read_as_if_it_came_at_once(
    parts: list[bytes], cuts: list[int]
) -> None:
    """The first marker counts, wherever a piece ends; noise is kept up to 4096 bytes."""
    data = b"".join(parts)
    marker = TOKEN + b":b"
    start, end = -1, -1
    while (start := data.find(marker, start + 1)) >= 0:
        end = data.find(b"\n", start)
        if end < 0 or end - start <= _wire._LONGEST_VALUE:
            break  # else it is too long for a line of ours
    end = -1 if start < 0 else end
    reader, out, last = _wire.Unmarker(marker), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        out += reader.feed(data[last:cut])
        last = max(last, min(cut, len(data)))
    if end < 0:
        assert (out, reader.value) == (b"", None)
        assert data.endswith(reader.rest()[-4096:])
    else:
        assert out == data[end + 1 :]
        assert reader.value == data[start + len(marker) : end].strip()
        assert reader.noise == data[:start][-4096:]


def test_endless_noise_is_not_kept() -> None:
    """A login that prints for ever costs no memory."""
    reader = _wire.Unmarker(TOKEN + b":b")
    for _ in range(100):
        assert reader.feed(b"n" * 65536) == b""
    assert len(reader.rest()) <= 4096


def test_a_marker_without_an_end_of_line_is_noise() -> None:
    """However it is cut, what is too long for a line of ours is none, and one behind it counts."""
    long = TOKEN + b":b" + b"y" * (_wire._LONGEST_VALUE + 1)
    data = long + b"\n" + TOKEN + b":b 42\nout"
    for cut in (0, len(long) - 5, len(long), len(long) + 1, len(long) + 9):
        reader = _wire.Unmarker(TOKEN + b":b")
        assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == b"out"
        assert reader.value == b"42"


def test_what_is_too_long_as_octal_is_not_written_out_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would be thrown away, and the event loop waits for it (LIFE-06)."""
    written: list[int] = []
    octal = _wire._octal

    def seen(mark: bytes, *words: Any, **more: Any) -> bytes:
        found = octal(mark, *words, **more)
        written.append(len(found))
        return found

    monkeypatch.setattr(_wire, "_octal", seen)
    for size in (24_000, 26_000, 90_000):
        for fill in (b"\xff", b"it's\n", b"\n"):
            _wire.plan([b"prog", fill * (size // len(fill))])
    assert 90_000 < max(written) < 101_000


def test_a_script_of_our_own_answers_behind_what_the_login_prints() -> None:
    """Its token is random, so nothing else can look like the answer."""
    plan = _wire.own(b"echo gone;exit 3")
    assert plan.token != _wire.own(b"").token
    for shell in SHELLS:
        noisy = b"echo x:b y;echo :b;" + plan.command
        done = logged_in(shell, noisy)
        reader = _wire.Unmarker(plan.token + b":b")
        assert (reader.feed(done.stdout), reader.value) == (b"gone\n", b"")
        assert done.returncode == 3


def test_no_word_and_no_value_is_in_a_repr() -> None:
    """A plan and a request may come to be logged (ERR-05)."""
    for env in ({}, {"TOKEN": b"s3cret"}):
        plan = _wire.plan([b"prog", b"s3cret"], env)
        request = Request(argv=(b"prog", b"s3cret"), plan=plan, stdin=b"s3cret", grace=1.0)
        assert "s3cret" not in repr(plan) + repr(request)
