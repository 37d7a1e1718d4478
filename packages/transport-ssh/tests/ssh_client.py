"""OpenSSH's own client, to compare with: the one of this machine, or the stack's."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from transport_testbed.stack import StackError
from transport_testbed.stack.native.acquire import acquire, unavailable


@functools.cache
def command() -> tuple[str, ...]:
    """Return the argv of ``ssh``; without one the test is skipped by name."""
    if found := shutil.which("ssh"):
        return (found,)
    if why := unavailable():
        pytest.skip(f"no OpenSSH client: {why}")
    try:
        prefix = acquire()
    except StackError as error:
        pytest.skip(f"no OpenSSH client: {error}")
    return (prefix.loader, "--library-path", prefix.library_path, prefix.program("ssh"))


def ssh(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the client; its output is bytes, since a carriage return may be content."""
    return subprocess.run(
        [*command(), *words], capture_output=True, stdin=subprocess.DEVNULL,
        check=False, timeout=30, env={**os.environ, **(env or {})},
    )  # fmt: skip


def resolved(path: Path, alias: str) -> dict[str, list[str]] | None:
    """Return what the client makes of an alias, by keyword; None if it refuses the file."""
    done = ssh("-G", "-F", str(path), alias)
    if done.returncode:
        return None
    found: dict[str, list[str]] = {}
    for line in os.fsdecode(done.stdout).removesuffix("\n").split("\n"):
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword, []).append(value)
    return found
