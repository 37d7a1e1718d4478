"""What one test is given: a target, transports to use, paths to use, a marker to find.

Closes what it made. Must not know pytest.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import secrets
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, overload

from transport_core import Transport
from transport_core.authoring import TEMP_PREFIX

from transport_testbed.conformance._target import Probe, Target

T = TypeVar("T")

_GRACE = 1.0
"""Seconds in which what was told to end has to be gone."""


class Case:
    """One test of one transport on one target.

    Attributes:
        target: The place.
        probe: Looks at it from outside.
        marker: A word that no other test uses; put it in an environment or argv, and find it.
    """

    def __init__(
        self, target: Target, build: Callable[[Target], Transport], local_dir: Path
    ) -> None:
        self.target = target
        self.probe: Probe = target.probe
        self.marker = f"tt{secrets.token_hex(12)}"
        self._build = build
        self._local_dir = local_dir
        self._numbers = itertools.count(1)
        self._made: list[Transport] = []
        self._opened: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The open transport; a test with ``opened=False`` makes its own."""
        if self._opened is None:
            message = "this test has no open transport: use case.make(), or opened=True"
            raise RuntimeError(message)
        return self._opened

    def make(self, variant: str = "") -> Transport:
        """Return a new transport, not open; the case closes it at the end.

        With *variant*, to the same place known differently: see ``Target.variants``.
        """
        target = self.target.as_variant(variant) if variant else self.target
        transport = self._build(target)
        self._made.append(transport)
        return transport

    def remote(self, name: str | bytes = b"") -> bytes:
        """Return a path on the target, below the directory of this test; nothing is made."""
        word = os.fsencode(name) or b"remote-%d" % next(self._numbers)
        return os.path.join(os.fsencode(self.target.workdir), word)

    def local(self, name: str | bytes = b"") -> Path:
        """Return a path on this side, below a fresh directory; nothing is made."""
        word = os.fsdecode(name) or f"local-{next(self._numbers)}"
        return self._local_dir / word

    @overload
    async def eventually(
        self, predicate: Callable[[], Awaitable[T]], seconds: float = 5.0
    ) -> T: ...
    @overload
    async def eventually(self, predicate: Callable[[], T], seconds: float = 5.0) -> T: ...
    async def eventually(self, predicate: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Wait until a predicate, plain or async, is true; return what it gave."""
        end = asyncio.get_running_loop().time() + seconds
        pause = 0.01
        while True:
            found = predicate()
            value = await found if inspect.isawaitable(found) else found
            if value:
                return value
            assert asyncio.get_running_loop().time() < end, f"not within {seconds} s: {predicate}"
            await asyncio.sleep(pause)
            # Ever more slowly: a look through all processes takes the processor from others.
            pause = min(2 * pause, 0.08)

    async def left(self, *, processes: bool) -> list[str]:
        """Return in words what is left at the place and here; waits a moment for it to go.

        Args:
            processes: Whether those that carry the marker count: a transport may not claim to
                stop any.
        """
        end = asyncio.get_running_loop().time() + _GRACE
        while (found := list(self._left(processes=processes))) and (
            asyncio.get_running_loop().time() < end
        ):
            await asyncio.sleep(0.02)
        return found

    def _left(self, *, processes: bool) -> Iterator[str]:
        if processes:
            yield from (f"process {pid} there" for pid in self.probe.processes(self.marker))
        for folder, _, names in os.walk(os.fsencode(self._local_dir)):
            here = [name for name in names if name.startswith(TEMP_PREFIX)]
            yield from (f"temporary file {os.path.join(folder, name)!r} here" for name in here)
        yield from self._temporaries(os.fsencode(self.target.workdir))

    def _temporaries(self, folder: bytes) -> Iterator[str]:
        with contextlib.suppress(OSError):
            for name in map(os.fsencode, self.probe.listdir(folder)):
                path = os.path.join(folder, name)
                if name.startswith(TEMP_PREFIX):
                    yield f"temporary file {path!r} there"
                found = self.probe.lstat(path)
                if found is not None and stat.S_ISDIR(found.st_mode):
                    yield from self._temporaries(path)

    async def open(self) -> None:
        """Open the transport of this test."""
        transport = self.make()
        await transport.__aenter__()
        self._opened = transport

    async def close(self) -> None:
        """Close everything that was made, the last first; every one is tried."""
        errors: list[Exception] = []
        while self._made:
            try:
                await self._made.pop().aclose()
            except Exception as error:  # noqa: BLE001 - collected, so that the others are closed
                errors.append(error)
        if errors:
            raise errors[0]
