"""Broken in parents, odd names and sizes (FILE-05 to 07)."""

from __future__ import annotations

import os
from typing import Any

from transport_core import (
    NotFoundError,
    TransferResult,
)
from transport_local import LocalTransport

from .transfers import copied, is_file

_CHUNK = 256 * 1024


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
        if not is_file(local):
            return await super().put(local, remote, progress=progress, **options)
        temp = os.fsencode(remote) + b".part"
        found = await copied(local, temp, progress, options.get("mode"))
        os.rename(temp, remote)
        return found
