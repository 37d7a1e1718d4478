"""Broken in links, limits, errors, crowds and progress of transfers (FILE-08 to 12)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from typing import Any

from transport_core import (
    Symlinks,
    TransferError,
    TransferLimitError,
    TransferResult,
    TransferTimeoutError,
    UnsafePathError,
)
from transport_local import LocalTransport

_CHUNK = 256 * 1024


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


class BlamesTheOtherSide(LocalTransport):
    """Whatever is missing, it is the other side's."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        try:
            return await super().get(remote, local, **options)
        except TransferError as error:
            error.side, error.filename = "remote", remote
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
