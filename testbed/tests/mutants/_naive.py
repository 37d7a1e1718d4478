"""Running a command as a first draft would, for the mutants whose fault lies in there.

Keeps the process groups that it started, so that what a mutant leaves can be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

from transport_core import CommandResult, CommandTimeoutError

STARTED: list[int] = []
"""Process groups started and not known to be gone."""


def end_all() -> None:
    """End what mutants have left running."""
    while STARTED:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(STARTED.pop(), signal.SIGKILL)


def start(
    argv: Sequence[Any], env: Mapping[str, Any] | None, out: IO[bytes] | int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own."""
    added = {os.fsencode(name): os.fsencode(value) for name, value in (env or {}).items()}
    process = subprocess.Popen(
        [os.fsencode(word) for word in argv],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.DEVNULL,
        env={**os.environb, **added},
        start_new_session=True,
    )
    STARTED.append(process.pid)
    return process


async def leader_only(
    argv: Sequence[Any], env: Mapping[str, Any] | None, timeout: float | None
) -> CommandResult:
    """Look at the leader alone: at its end all is over, at timeout and cancel it alone is ended."""
    with tempfile.TemporaryFile() as out:
        process = start(argv, env, out)
        try:
            async with asyncio.timeout(timeout):
                while process.poll() is None:
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise CommandTimeoutError("late", result=_result(argv, None, out)) from None
        finally:
            process.kill()
            process.wait()
        return _result(argv, process.returncode, out)


def _result(argv: Sequence[Any], status: int | None, out: IO[bytes]) -> CommandResult:
    out.seek(0)
    return CommandResult(
        argv=tuple(os.fsencode(word) for word in argv),
        exit_status=status,
        stdout=out.read(),
        duration=0.001,
    )
