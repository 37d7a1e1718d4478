"""Broken in files and trees (FILE)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import stat
import time
from typing import Any

from transport_core import (
    AlreadyExistsError,
    NotFoundError,
    Symlinks,
    TransferError,
    TransferLimitError,
    TransferResult,
    TransferTimeoutError,
    UnsafePathError,
)
from transport_local import LocalTransport

_CHUNK = 256 * 1024


async def _copy(source: Any, target: Any, progress: Any, mode: int | None = None) -> Any:
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


def _is_file(path: Any) -> bool:
    return isinstance(path, (str, bytes, os.PathLike)) and bool(path) and os.path.isfile(path)


class PutsInside(LocalTransport):
    """A directory at the destination is entered, as cp does."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if os.path.isdir(remote):
            remote = os.path.join(os.fsencode(remote), os.path.basename(os.fsencode(local)))
        return await super().put(local, remote, **options)


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
        if _is_file(local) and not os.path.isdir(remote):
            return await _copy(local, remote, progress, options.get("mode"))
        return await super().put(local, remote, progress=progress, **options)


class FetchesInPlace(LocalTransport):
    """The same on this side."""

    async def get(self, remote: Any, local: Any, *, progress: Any = None, **options: Any) -> Any:
        if _is_file(remote) and not os.path.isdir(local):
            return await _copy(remote, local, progress, options.get("mode"))
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
        if not _is_file(local) or os.path.exists(remote):
            return await super().put(local, remote, progress=progress, **options)
        temp = os.fsencode(remote) + b".part"
        found = await _copy(local, temp, progress, options.get("mode"))
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


class AlwaysMakesParents(LocalTransport):
    """Makes directories that nobody asked for."""

    async def put(self, local: Any, remote: Any, *, parents: bool = False, **options: Any) -> Any:
        return await super().put(local, remote, parents=True, **options)


class NeverMakesParents(LocalTransport):
    """``parents=True`` is ignored."""

    async def get(self, remote: Any, local: Any, *, parents: bool = False, **options: Any) -> Any:
        try:
            return await super().get(remote, local, **options)
        except NotFoundError:
            return TransferResult(files=0, bytes=0, seconds=0.0)


class StripsNames(LocalTransport):
    """Takes the end of a name for the end of a line."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        remote = remote.rstrip(b"\n") if isinstance(remote, bytes) else remote
        return await super().put(local, remote, **options)


class DecodesNames(LocalTransport):
    """Names in a tree are text."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        found = await super().put(local, remote, **options)
        if isinstance(remote, bytes) and os.path.isdir(remote):
            for name in os.listdir(remote):
                plain = name.decode("utf-8", "replace").encode()
                os.rename(os.path.join(remote, name), os.path.join(remote, plain))
        return found


class AcceptsNoName(LocalTransport):
    """An impossible name is taken for none."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if isinstance(remote, (str, bytes)) and os.fsencode(remote).find(b"\0") >= 0:
            return TransferResult(files=0, bytes=0, seconds=0.0)
        return await super().put(local, remote, **options)


class StartsElsewhere(LocalTransport):
    """A relative name is below the temporary directory."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if isinstance(remote, str) and remote.startswith("-"):
            return TransferResult(files=1, bytes=0, seconds=0.0)
        return await super().put(local, remote, **options)

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        if isinstance(remote, str) and remote.startswith("-"):
            with open(local, "wb") as file:
                file.write(b"relative")
            return TransferResult(files=1, bytes=8, seconds=0.0)
        return await super().get(remote, local, **options)


class LosesTheLastByteOfAFile(LocalTransport):
    """A full block loses a byte."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        found = await super().put(local, remote, **options)
        for folder, _, names in os.walk(remote):
            for name in names:
                path = os.path.join(folder, name)
                if os.stat(path).st_size == 65536:
                    os.truncate(path, 65535)
        return found


class SkipsEmptyDirectories(LocalTransport):
    """Only files are carried."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        found = await super().put(local, remote, **options)
        for folder, folders, names in os.walk(remote, topdown=False):
            if not folders and not names:
                os.rmdir(folder)
        return found


class BelievesTheEnd(LocalTransport):
    """What was read is what there was: no size is verified."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        if not _is_file(local):
            return await super().put(local, remote, progress=progress, **options)
        temp = os.fsencode(remote) + b".part"
        found = await _copy(local, temp, progress, options.get("mode"))
        os.rename(temp, remote)
        return found


class AlwaysFollows(LocalTransport):
    """Links are never kept."""

    async def put(self, local: Any, remote: Any, *, symlinks: Any = None, **options: Any) -> Any:
        for folder, _, names in os.walk(local):
            for name in names:
                if not os.path.exists(os.path.join(folder, name)):
                    os.unlink(os.path.join(folder, name))
        return await super().put(local, remote, symlinks=Symlinks.FOLLOW, **options)


class NeverFollows(LocalTransport):
    """Links are always kept."""

    async def put(self, local: Any, remote: Any, *, symlinks: Any = None, **options: Any) -> Any:
        return await super().put(local, remote, **options)


class LetsLinksOut(LocalTransport):
    """Makes any link that the other side names."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        try:
            return await super().get(remote, local, **options)
        except UnsafePathError:
            if os.path.isdir(remote):
                shutil.rmtree(local, ignore_errors=True)
                shutil.copytree(os.fsdecode(remote), os.fsdecode(local), symlinks=True)
            return TransferResult(files=1, bytes=0, seconds=0.0)


class FollowsPlantedLinks(LocalTransport):
    """Writes through a link that stands at the destination."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        try:
            return await super().get(remote, local, **options)
        except UnsafePathError:
            shutil.copytree(os.fsdecode(remote), os.fsdecode(local), dirs_exist_ok=True)
            return TransferResult(files=1, bytes=1, seconds=0.0)


class DevicesAreFiles(LocalTransport):
    """A device is fetched as an empty file."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        if not isinstance(remote, bytes) and os.fspath(remote) == "/dev/null":
            return TransferResult(files=1, bytes=0, seconds=0.0)
        return await super().get(remote, local, **options)


class IgnoresLimits(LocalTransport):
    """``max_bytes`` is advice."""

    async def get(self, remote: Any, local: Any, *, max_bytes: Any = None, **options: Any) -> Any:
        return await super().get(remote, local, **options)


class IgnoresMaxFiles(LocalTransport):
    """``max_files`` is advice."""

    async def get(self, remote: Any, local: Any, *, max_files: Any = None, **options: Any) -> Any:
        return await super().get(remote, local, **options)


class LimitsAfterwards(LocalTransport):
    """The limit is checked when all is there already."""

    async def get(self, remote: Any, local: Any, *, max_bytes: Any = None, **options: Any) -> Any:
        found = await super().get(remote, local, **options)
        if max_bytes is not None and found.bytes > max_bytes:
            raise TransferLimitError("too large", local=local, remote=remote)
        return found


class IgnoresTransferTimeout(LocalTransport):
    """``timeout`` is for commands only."""

    async def put(self, local: Any, remote: Any, *, timeout: Any = None, **options: Any) -> Any:
        return await super().put(local, remote, **options)


class LeavesAPartAtTimeout(LocalTransport):
    """What had arrived stays under the name."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        try:
            return await super().put(local, remote, **options)
        except TransferTimeoutError:
            with open(remote, "wb") as file:
                file.write(b"part")
            raise


class ForgetsPaths(LocalTransport):
    """Errors do not say which files."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        try:
            return await super().get(remote, local, **options)
        except TransferError as error:
            raise type(error)("failed", remote=remote) from error


class ErrorsHaveOneType(LocalTransport):
    """Every failure of a transfer is the same."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        try:
            return await super().get(remote, local, **options)
        except TransferError as error:
            raise TransferError("failed", local=local, remote=remote) from error


class SharesOneTemporary(LocalTransport):
    """Transfers at once write the same temporary file."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        temp = os.path.join(os.path.dirname(os.fsencode(remote)), b".part")
        with open(temp, "wb") as file:
            await asyncio.sleep(0)
            with open(local, "rb") as source:
                file.write(source.read())
        await asyncio.sleep(0.005)
        shutil.copyfile(temp, remote)
        return TransferResult(files=1, bytes=0, seconds=0.0)


class HoldsFilesInMemory(LocalTransport):
    """Reads a file whole before it writes."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        with open(local, "rb") as file:
            held = file.read() + secrets.token_bytes(1)
        found = await super().put(local, remote, **options)
        del held
        return found


class TellsOnAThread(LocalTransport):
    """Progress is told where the work is done."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        found = await super().put(local, remote, **options)
        if progress is not None:
            await asyncio.to_thread(progress, found.bytes, found.bytes)
        return found


class TellsNothing(LocalTransport):
    """Progress is accepted and never told."""

    async def get(self, remote: Any, local: Any, *, progress: Any = None, **options: Any) -> Any:
        return await super().get(remote, local, **options)


class ForgetsTheEnd(LocalTransport):
    """The last progress is not the end."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        def told(done: int, total: int | None) -> None:
            if progress is not None and done != total:
                progress(done, total)
            elif progress is not None:
                progress(done - 1, total)

        return await super().put(local, remote, progress=told, **options)


class SwallowsProgressErrors(LocalTransport):
    """An error of the caller's callback is hidden."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        def told(done: int, total: int | None) -> None:
            with contextlib.suppress(Exception):
                progress(done, total)

        told_to = None if progress is None else told
        return await super().put(local, remote, progress=told_to, **options)
