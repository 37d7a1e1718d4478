"""Commands: argv, login shells, environment and working directory (RUN-01, 02, 03, 04, 09)."""

from __future__ import annotations

import asyncio
import os
import pathlib
from typing import Any, cast

from transport_core import (
    Capability,
    CommandError,
    CommandNotExecutableError,
    CommandNotFoundError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    WORDS,
    begun,
    failure,
    members,
    present,
    sh,
    show_words,
)


def _differing(names: list[str], sent: list[bytes], seen: list[bytes]) -> dict[str, Any]:
    """Say which words changed on the way, so that a failure names the nasty class."""
    return {
        name: (before[:80], after[:80])
        for name, before, after in zip(names, sent, seen, strict=True)
        if before != after
    }


class RunArgvTests:
    """What is sent is what the program receives."""

    @clause("RUN-01", about=("shell", "words"))
    async def test_every_word_arrives_byte_for_byte(self, case: Case) -> None:
        """Whatever a word holds, the program receives exactly its bytes."""
        names, sent = [*WORDS, "100 KB"], [*WORDS.values(), b"x y'" * 25_000]
        result = await case.transport.run(show_words(*sent))
        seen = result.stdout.split(b"\0")
        assert len(seen) == len(sent) + 1, f"{len(sent)} words sent, {len(seen) - 1} arrived"
        assert not _differing(names, sent, seen[:-1])
        assert result.stderr == b""

    @clause("RUN-01")
    async def test_text_and_paths_are_words_too(self, case: Case) -> None:
        """``str`` travels as UTF-8 with surrogateescape, a path as its bytes."""
        odd = b"\xff\xc3".decode("utf-8", "surrogateescape")
        path = pathlib.PurePosixPath("a b")
        words: list[str | os.PathLike[str]] = ["printf", "%s\\0%s\\0%s\\0", "é東", odd, path]
        result = await case.transport.run(words)
        assert result.stdout == "é東".encode() + b"\0\xff\xc3\0a b\0"
        assert result.argv == tuple(os.fsencode(word) for word in words)

    @clause("RUN-01")
    async def test_the_program_itself_may_have_an_odd_name(self, case: Case) -> None:
        """The first word is no exception to byte for byte."""
        program = case.remote("o") + b"dd=$n'ame \"\\!\xff"
        case.probe.write(program, b'#!/bin/sh\nprintf "ran %s%s" "$1" "$A"\n', 0o755)
        result = await case.transport.run([program, b"a b"])
        assert (result.stdout, result.exit_status) == (b"ran a b", 0)
        result = await case.transport.run([program, b"a b"], env={"A": "c"})
        assert (result.stdout, result.exit_status) == (b"ran a bc", 0)

    @clause("RUN-01")
    async def test_what_is_no_argv_is_refused_and_nothing_is_sent(self, case: Case) -> None:
        """A string, NUL or nothing in place of words is the caller's error, found here."""
        trace = case.remote("trace")
        touch = os.fsdecode(trace)
        no_argv: list[Any] = [f"touch {touch}", f"touch {touch}".encode(), 7, None]
        no_argv.append(pathlib.PurePosixPath("touch"))
        no_argv += [["touch", touch, 7], ["touch", touch, None], ["touch", [touch]]]
        for wrong in no_argv:
            await failure(TypeError, case.transport.run(wrong))
        impossible: list[list[str | bytes]] = [[], [""], ["touch", touch, "a\0b"]]
        impossible.append(["touch", touch, b"\0"])
        for words in impossible:
            await failure(ValueError, case.transport.run(words))
        await failure(ValueError, case.transport.run(["touch", touch], cwd="a\0b"))
        await failure(ValueError, case.transport.run(["touch", touch], env={"A": "a\0b"}))
        await failure(ValueError, case.transport.run(["touch", touch], timeout=-1.0))
        await failure(ValueError, case.transport.run(["touch", touch], output_limit=-1))
        await failure(TypeError, case.transport.run(["touch", touch], stdin=cast("Any", 7)))
        assert not present(case, trace), "a refused call was sent all the same"

    @clause("RUN-02", about=("shell", "words"))
    async def test_no_shell_acts_on_a_word(self, case: Case) -> None:
        """Words that are commands to some shell have no effect: no file, no expansion."""
        where = case.remote("d")
        case.probe.make_dir(where)
        words = [b"$(touch 1)", b"`touch 2`", b"; touch 3", b"| touch 4", b"> 5", b"\n touch 6 \n"]
        words += [b"&& touch 7", b"' touch 8 '", b"\\'; touch 9; \\'", b"(touch 10)", b"&"]
        result = await case.transport.run(["printf", "%s\\0", *words], cwd=where)
        assert result.stdout.split(b"\0")[:-1] == words
        assert members(case, where) == set()

    @clause("RUN-02", offers=("login-shell",), about=("shell", "words"))
    async def test_environment_and_directory_pass_every_login_shell(self, case: Case) -> None:
        """The working directory and the environment are no weaker than argv."""
        odd = b"".join((b"it's $a `b` \\ ! =ls \n ", "東".encode(), b"\xff\\"))
        where = case.remote("d") + odd
        case.probe.make_dir(where)
        script = 'printf "%s\\0%s" "$A" "$1"; : > here'
        result = await case.transport.run(sh(script, odd), cwd=where, env={"A": odd})
        assert result.stdout == odd + b"\0" + odd
        assert members(case, where) == {b"here"}

    @clause("RUN-03", offers=("noisy-rc",), about=("shell", "words"))
    async def test_noise_of_the_login_is_in_no_result(self, case: Case) -> None:
        """What rc files print reaches neither stream, however little the command says."""
        quiet, spoken = await asyncio.gather(
            case.transport.run(["true"]),
            case.transport.run(sh("printf out; printf err >&2; exit 3")),
        )
        assert (quiet.stdout, quiet.stderr, quiet.exit_status) == (b"", b"", 0)
        assert (spoken.stdout, spoken.stderr, spoken.exit_status) == (b"out", b"err", 3)

    @clause("RUN-04")
    async def test_a_command_leaves_no_file_behind(self, case: Case) -> None:
        """Running, with input and environment, writes nothing where it runs."""
        where = case.remote("d")
        case.probe.make_dir(where)
        result = await case.transport.run(["cat"], cwd=where, stdin=b"x" * 200_000, env={"A": "b"})
        assert len(result.stdout) == 200_000
        assert members(case, where) == set()

    @clause("RUN-04", offers=("no-python",))
    async def test_all_verbs_work_where_there_is_no_python(self, case: Case) -> None:
        """Nothing but sh and the POSIX utilities is needed on the other side."""
        # Where it is masked, it is found and cannot be executed.
        failed = await failure(CommandError, case.transport.run(["python3", "-c", "pass"]))
        assert isinstance(failed, CommandNotFoundError | CommandNotExecutableError)
        source, back = case.local("source"), case.local("back")
        source.write_bytes(b"content")
        await case.transport.put(source, case.remote("file"))
        await case.transport.get(case.remote("file"), back)
        assert back.read_bytes() == b"content"

    @clause("RUN-09", about=("shell", "words"))
    async def test_environment_values_arrive_byte_for_byte(self, case: Case) -> None:
        """Values are as exact as words; what was there before stays."""
        names, sent = [*WORDS, "100 KB"], [*WORDS.values(), b"z" * 100_000]
        env = {f"V{index}": value for index, value in enumerate(sent)}
        script = 'printf "%s\\0" "${HOME:+home}" ' + " ".join(f'"$V{i}"' for i in range(len(sent)))
        result = await case.transport.run(sh(script), env=env)
        seen = result.stdout.split(b"\0")
        assert seen[0] == b"home", "the login environment was replaced, not added to"
        assert len(seen) == len(sent) + 2
        assert not _differing(names, sent, seen[1:-1])

    @clause("RUN-09", about=("shell", "words"))
    async def test_names_that_shells_reserve_are_names_all_the_same(self, case: Case) -> None:
        """Variables that some shell treats as its own are set like any other."""
        env = {"IFS": "7", "UID": "4321", "OPTIND": "5", "PATH2": "p", "status": "s", "a_1": "b"}
        result = await case.transport.run(["env"], env=env)
        lines = [line.partition(b"=") for line in result.stdout.splitlines()]
        seen = {name: value for name, _, value in lines}
        assert {name: seen.get(name.encode(), b"-").decode() for name in env} == env

    @clause("RUN-09")
    async def test_a_name_that_is_no_identifier_is_refused(self, case: Case) -> None:
        """Names are checked before anything is sent."""
        trace = case.remote("trace")
        for name in ("", "1A", "A-B", "A B", "A=B", "A\nB", "A\n", "É", "A;touch x", "A\0"):
            await failure(ValueError, case.transport.run(["touch", trace], env={name: "v"}))
        for wrong in ({7: "v"}, {"A": 7}, {"A": None}, [("A", "v")]):
            await failure(TypeError, case.transport.run(["touch", trace], env=cast("Any", wrong)))
        assert not present(case, trace)

    @clause("RUN-09")
    async def test_environment_values_are_in_no_process_list(self, case: Case) -> None:
        """From start to end, no argv on the host holds the value of a variable."""
        secret = f"canary-{case.marker}-value"
        call = asyncio.create_task(
            case.transport.run(
                sh("sleep 0.3; echo ${#S}", case.marker),
                env={"S": secret, "UID": secret, "OPTIND": "1", "SHLVL": secret},
            )
        )
        seen: list[bytes] = []
        while not call.done():
            lines = await asyncio.to_thread(case.probe.command_lines)
            seen += [line for line in lines if secret.encode() in line]
            await asyncio.sleep(0.002)
        assert (await call).stdout == b"%d\n" % len(secret)
        assert not seen

    @clause("RUN-06")
    async def test_a_relative_directory_starts_from_the_login_directory(self, case: Case) -> None:
        """``cwd`` may be relative; it is then below where a login begins."""
        here, dot = await asyncio.gather(
            case.transport.run(["pwd"]), case.transport.run(["pwd"], cwd=".")
        )
        assert here.stdout == dot.stdout != b""

    @clause("RUN-11", needs=(Capability.STOP,))
    async def test_words_do_not_keep_a_command_from_being_stopped(self, case: Case) -> None:
        """A command with a long argv is stopped like any other."""
        call = asyncio.create_task(
            case.transport.run(sh("sleep 1000", case.marker, b"x" * 100_000))
        )
        await begun(case)
        call.cancel()
        await failure(asyncio.CancelledError, call)
        assert not case.probe.processes(case.marker)
