"""Broken in files: exact names, atomicity, modes, overwriting (FILE-01 to 04)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import time
from typing import Any

from transport_core import (
    AlreadyExistsError,
    TransferResult,
)
from transport_local import LocalTransport

_CHUNK = 256 * 1024


async def copied(source: Any, target: Any, progress: Any, mode: int | None = None) -> Any:
    """Copy a file to where it is wanted, from the first byte on under its name."""
    done = 0
    size = os.stat(source).st_size
    with open(source, "rb") as read, open(target, "wb") as write:
        while chunk := read.read(_CHUNK):
            write.write(chunk)
            write.flush()
            done += len(chunk)
            if progress is not None:
                progress(done, size)
            await asyncio.sleep(0)
    os.chmod(target, stat.S_IMODE(os.stat(source).st_mode) & 0o777 if mode is None else mode)
    return TransferResult(files=1, bytes=done, seconds=0.0)


def is_file(path: Any) -> bool:
    """Return whether a path, such as a test passes it, is a file."""
    return isinstance(path, (str, bytes, os.PathLike)) and bool(path) and os.path.isfile(path)


class PutsInside(LocalTransport):
    """A directory at the destination is entered, as cp does."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if os.path.isdir(remote):
            remote = os.path.join(os.fsencode(remote), os.path.basename(os.fsencode(local)))
        return await super().put(local, remote, **options)


class KeepsABackup(LocalTransport):
    """What stood under the name stands beside it."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        old = is_file(remote)
        found = await super().put(local, remote, **options)
        if old:
            shutil.copy(remote, os.fsencode(remote) + b"~")
        return found


class GetsInside(LocalTransport):
    """The same on this side."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        if os.path.isdir(local):
            local = os.path.join(os.fsencode(local), os.path.basename(os.fsencode(remote)))
        return await super().get(remote, local, **options)


class WritesThroughALink(LocalTransport):
    """A link at the destination is followed."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        return await super().put(local, os.path.realpath(remote), **options)


class CountsWrongly(LocalTransport):
    """Reports one file whatever was moved."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        found = await super().put(local, remote, **options)
        return TransferResult(files=1, bytes=found.bytes, seconds=found.seconds)


class WritesInPlace(LocalTransport):
    """The final name stands for a part while it is written."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        if is_file(local) and not os.path.isdir(remote):
            return await copied(local, remote, progress, options.get("mode"))
        return await super().put(local, remote, progress=progress, **options)


class FetchesInPlace(LocalTransport):
    """The same on this side."""

    async def get(self, remote: Any, local: Any, *, progress: Any = None, **options: Any) -> Any:
        if is_file(remote) and not os.path.isdir(local):
            return await copied(remote, local, progress, options.get("mode"))
        return await super().get(remote, local, progress=progress, **options)


class LeavesTemporaries(LocalTransport):
    """After a failure a temporary file stays."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        try:
            return await super().put(local, remote, **options)
        except BaseException:
            with contextlib.suppress(OSError):
                parent = os.path.dirname(os.fsencode(remote))
                with open(os.path.join(parent, b".part-%d" % time.monotonic_ns()), "wb"):
                    pass
            raise


class IsWideAtFirst(LocalTransport):
    """Bytes are written before the mode is set."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        if not is_file(local) or os.path.exists(remote):
            return await super().put(local, remote, progress=progress, **options)
        temp = os.fsencode(remote) + b".part"
        found = await copied(local, temp, progress, options.get("mode"))
        os.rename(temp, remote)
        return found


class IgnoresMode(LocalTransport):
    """``mode`` is accepted and forgotten."""

    async def put(self, local: Any, remote: Any, *, mode: Any = None, **options: Any) -> Any:
        return await super().put(local, remote, **options)


class CopiesSetuid(LocalTransport):
    """All bits of the mode travel."""

    async def put(self, local: Any, remote: Any, *, mode: Any = None, **options: Any) -> Any:
        found = await super().put(local, remote, mode=mode, **options)
        if mode is None:
            os.chmod(remote, stat.S_IMODE(os.stat(local).st_mode))
        return found


class KeepsTimes(LocalTransport):
    """The time of the last change travels, so that a clean-up takes new files for old."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        found = await super().put(local, remote, **options)
        shutil.copystat(local, remote)
        return found


class AlwaysOverwrites(LocalTransport):
    """``overwrite=False`` is ignored."""

    async def put(self, local: Any, remote: Any, *, overwrite: bool = True, **options: Any) -> Any:
        return await super().put(local, remote, **options)


class ChecksThenWrites(LocalTransport):
    """Between the look and the write there is room for another."""

    async def put(self, local: Any, remote: Any, *, overwrite: bool = True, **options: Any) -> Any:
        if not overwrite and os.path.lexists(remote):
            raise AlreadyExistsError("exists", local=local, remote=remote)
        await asyncio.sleep(0.01)
        return await super().put(local, remote, **options)


class ReplacesTrees(LocalTransport):
    """A tree onto a tree removes what was there."""

    async def put(self, local: Any, remote: Any, *, overwrite: bool = True, **options: Any) -> Any:
        if overwrite and os.path.isdir(remote) and os.path.isdir(local):
            shutil.rmtree(remote)
        return await super().put(local, remote, overwrite=overwrite, **options)


class ReplacesAnything(LocalTransport):
    """A tree replaces a file."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if os.path.isdir(local) and os.path.isfile(remote):
            os.unlink(remote)
        return await super().put(local, remote, **options)


class IgnoresKind(LocalTransport):
    """Takes whatever the source is."""

    async def put(self, local: Any, remote: Any, *, kind: Any = None, **options: Any) -> Any:
        return await super().put(local, remote, **options)
