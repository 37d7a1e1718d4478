"""Inputs that break transports, and the few helpers that every section shares.

Owns no expectation: what must become of a sample is said in the sections.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from transport_core import Capability, CommandTimeoutError, Transport

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._target import Faults, HarnessError

E = TypeVar("E", bound=BaseException)

WORDS: Mapping[str, bytes] = {
    "empty": b"",
    "spaces": b"  two  words ",
    "single quote": b"it's",
    "double quote": b'say "x"',
    "dollar": b"$HOME ${HOME} $(echo x) $1 $$",
    "backtick": b"`echo x`",
    "newline": b"a\nb",
    "newlines at the end": b"a\n\n",
    "carriage return": b"a\r\nb",
    "backslash": b"a\\b",
    "two backslashes": b"a\\\\b",
    "backslash at the end": b"a\\",
    "backslash before newline": b"a\\\nb",
    "backslash before quote": b"a\\'b\\\"c",
    "exclamation mark": b"!! !x a!b",
    "equals": b"=ls",
    "leading dash": b"-n",
    "two dashes": b"--",
    "glob": b"/* ? [a-z] {a,b}",
    "tilde": b"~",
    "hash": b"# no comment",
    "operators": b"; & && | < > ( )",
    "percent": b"%s%d%%\\n\\060",
    "caret": b"^a^b^",
    "unicode": "naïve 東京 \U0001f389 e\u0301 \u202e".encode(),
    "invalid UTF-8": b"\xff\xfe\x80 \xc3(",
    "control": bytes(range(1, 32)) + b"\x7f",
    "every byte": bytes(range(1, 256)),
}
"""Words that a shell, a decoder or a terminal on the way would change (RUN-01)."""

NAMES: tuple[bytes, ...] = (
    b"two words",
    b"new\nline",
    b"end\n",
    b'it\'s "quoted"',
    b"-rf",
    b"--",
    b"*",
    b"[a-c]?",
    b"$HOME",
    b"`id`",
    b"~",
    b"#hash",
    b"back\\slash\\",
    b"a=b;c&d|e",
    b"!!",
    b"%s",
    b"...",
    b"\x1b]0;x\x07",
    b"\xff\xfe\x80",
    "naïve 東京 e\u0301".encode(),
    b"n" * 255,
)
"""File names that are globbed, expanded, decoded or taken for options (FILE-06)."""

SECONDS_TO_STOP = 10.0
"""A grace between TERM and KILL is the transport's choice; more than this is none."""


STAYS = 'until [ -e "$1" ] || [ ! -d "${1%/*}" ]; do sleep 0.1; done'
"""Script that runs until there is the file that it is told, or its directory no more."""

DETACHED = f"({STAYS}) </dev/null >/dev/null 2>&1 &"
"""Script that leaves such a child, with its streams redirected.

So nobody has to signal a number that came through the transport under test: whose it is then,
only a transport that works can say.
"""


def sh(script: str, *words: bytes | str) -> list[bytes | str]:
    """Return the argv of a shell script with its words, for who wants a shell (RUN-02)."""
    return ["sh", "-c", script, "sh", *words]


def show_words(*words: bytes) -> list[bytes | str]:
    """Return the argv of a program that writes each of its words and a NUL."""
    return sh('for a; do printf "%s\\0" "$a"; done', *words)


async def failure(kind: type[E], call: Awaitable[object]) -> E:
    """Return the error of a call that must fail in this way; anything else is an assertion."""
    try:
        found = await call
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(f"not {kind.__name__} but {type(error).__name__}: {error}") from error
    raise AssertionError(f"not {kind.__name__} but a result: {found!r:.200}")


async def timed_out(
    case: Case, call: Callable[[float, bytes], Awaitable[object]], seconds: float
) -> CommandTimeoutError:
    """Return the error of a command that was at work when its time was over.

    The time counts from the call, and a slow place may spend all of it on starting a program.
    So the call is given a file that its script makes when it is ready, and is made again, with
    more time, if there was none: a quick place does not wait for that.
    """
    unsent: list[bytes] = []
    for patience in (seconds, 4 * seconds, 10 * seconds):
        ready, started = case.remote(), time.monotonic()
        error = await failure(CommandTimeoutError, call(patience, ready))
        took = time.monotonic() - started
        assert took > 0.9 * patience, f"{took:.1f} s for a timeout of {patience} s: it came early"
        assert took < patience + SECONDS_TO_STOP, f"{took:.1f} s for a timeout of {patience} s"
        if present(case, ready):
            assert not any(present(case, late) for late in unsent), "it said not sent, and it ran"
            return error
        if error.retry_safe:
            unsent.append(ready)
    raise AssertionError(f"the command was not at work after {patience} s")


async def failures(*calls: tuple[type[E], Awaitable[object]]) -> list[E]:
    """Return the errors of calls that must fail, each in its way; they are made together."""
    return await asyncio.gather(*(failure(kind, call) for kind, call in calls))


def differs(found: bytes, wanted: bytes) -> str:
    """Return in words where two values differ, nothing if they do not.

    For large ones: what pytest says of an ``==`` of megabytes takes it minutes.
    """
    if found == wanted:
        return ""
    at = next(
        (n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    return f"{len(found)} bytes came where {len(wanted)} were wanted; they differ from byte {at} on"


def members(case: Case, directory: bytes) -> set[bytes]:
    """Return the names in a directory of the target; no directory is an assertion."""
    found = case.probe.lstat(directory)
    assert found is not None, f"nothing stands at {directory!r}"
    assert stat.S_ISDIR(found.st_mode), f"no directory stands at {directory!r}"
    return {os.fsencode(name) for name in case.probe.listdir(directory)}


def present(case: Case, path: bytes) -> bool:
    """Return whether anything stands at a path of the target, dangling links included."""
    parent, name = os.path.split(path)
    return name in members(case, parent)


def mode_of(case: Case, path: bytes) -> int:
    """Return the permission bits of a path of the target."""
    return stat.S_IMODE(look(case, path).st_mode)


def content(case: Case, path: bytes) -> bytes:
    """Return what a regular file of the target holds; a link or nothing is an assertion."""
    assert stat.S_ISREG(look(case, path).st_mode), f"no regular file stands at {path!r}"
    return case.probe.read(path)


def link_at(case: Case, path: bytes) -> bytes:
    """Return what a link of the target holds; anything else is an assertion."""
    assert stat.S_ISLNK(look(case, path).st_mode), f"no link stands at {path!r}"
    return case.probe.readlink(path)


def look(case: Case, path: bytes) -> os.stat_result:
    """Return what stands at a path of the target; nothing there is an assertion."""
    found = case.probe.lstat(path)
    assert found is not None, f"nothing stands at {path!r}"
    return found


def cut(case: Case) -> AbstractContextManager[int]:
    """End the connections of the target's login, for as long as the context lasts."""
    return faults(case).cut()


def faults(case: Case) -> Faults:
    """Return what breaks the target, which a test has if it is offered a fault."""
    if case.target.faults is None:
        raise HarnessError(f"{case.target.name} offers a fault and has no faults")
    return case.target.faults


def local_names(path: os.PathLike[str]) -> set[bytes]:
    """Return the names in a local directory."""
    return set(os.listdir(os.fsencode(path)))


async def works(case: Case, transport: Transport) -> bool:
    """Return whether an open transport does its work: a command's, or where none runs, a file's."""
    if Capability.RUN in transport.capabilities:
        return (await transport.run(["printf", "%s", case.marker])).stdout == case.marker.encode()
    source, remote = case.local(), case.remote()
    source.write_text(case.marker)
    await transport.put(source, remote)
    return content(case, remote) == case.marker.encode()


async def begun(case: Case, marker: str | None = None) -> None:
    """Wait until a process that carries the marker is seen from outside."""
    wanted = marker or case.marker
    await case.eventually(lambda: bool(case.probe.processes(wanted)))


async def in_turns(condition: Callable[[], bool], seconds: float) -> AsyncIterator[int]:
    """Yield a counter until a condition holds or the time is over; lets the loop run."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    turn = 0
    while not condition() and loop.time() < end:
        yield turn
        turn += 1
        await asyncio.sleep(0.005)


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Collect the text of every log record, of every logger, at every level."""
    texts: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(f"{record.name}: {self.format(record)}")

    # Loggers with a level of their own would drop records before they reach the root.
    loggers = [logging.getLogger(), *map(logging.getLogger, ("intercede.transport", "asyncssh"))]
    levels = [logger.level for logger in loggers]
    handler = Keep()
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield texts
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def alive(case: Case) -> bool:
    """Return whether a process of this test is there.

    One that is just being executed shows its environment to nobody: it is asked for once more.
    """
    with contextlib.suppress(AssertionError):
        await case.eventually(lambda: bool(case.probe.processes(case.marker)), seconds=1.0)
        return True
    return False


async def gone(case: Case, seconds: float = 5.0) -> None:
    """Wait until no process of this test is there; what is left is an assertion that names it."""
    with contextlib.suppress(AssertionError):
        await case.eventually(lambda: not case.probe.processes(case.marker), seconds)
    left = case.probe.processes(case.marker)
    lines = [line for line in case.probe.command_lines() if case.marker.encode() in line]
    assert not left, f"still running: {left} {lines}"


async def stayed(case: Case, end: bytes) -> bool:
    """Return whether the child that DETACHED left is there, and end it by its file."""
    found = await alive(case)
    case.probe.write(end, b"")
    await gone(case)
    return found
