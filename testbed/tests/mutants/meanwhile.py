"""Broken where the world does not stop for a transfer (FILE-04, 07)."""

from __future__ import annotations

import os
import secrets
import shutil
from typing import Any

from transport_core import TransferResult
from transport_local import LocalTransport

from .transfers import is_file


def _told(source: Any, progress: Any) -> tuple[int, int]:
    """Tell progress, and return the source's size before and after."""
    before = os.path.getsize(source)
    if progress is not None:
        progress(min(1, before), before)
    return before, os.path.getsize(source)


class CopiesAPartOfWhatGrew(LocalTransport):
    """Sends what was there when it looked, and some of what came since."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        if not is_file(local):
            return await super().put(local, remote, progress=progress, **options)
        before, after = _told(local, progress)
        found = await super().put(local, remote, **options)
        if after > before:
            os.truncate(remote, before + 10)
        return found


class FetchesAPartOfWhatGrew(LocalTransport):
    """The same the other way."""

    async def get(self, remote: Any, local: Any, *, progress: Any = None, **options: Any) -> Any:
        if not is_file(remote):
            return await super().get(remote, local, progress=progress, **options)
        before, after = _told(remote, progress)
        found = await super().get(remote, local, **options)
        if after > before:
            os.truncate(local, before + 10)
        return found


class SkipsWhatVanished(LocalTransport):
    """A member that cannot be found any more is not worth a word."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        if is_file(local) or progress is None:
            return await super().put(local, remote, progress=progress, **options)
        progress(1, 2)
        found = await super().put(local, remote, **options)
        progress(2, 2)
        return found


class MovesIntoDirectories(LocalTransport):
    """Gives a finished file its name as mv does."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        if not is_file(local) or options.get("overwrite") is False:
            return await super().put(local, remote, progress=progress, **options)
        temp = os.fsencode(remote) + secrets.token_hex(8).encode()
        found: TransferResult = await super().put(local, temp, progress=progress, **options)
        shutil.move(os.fsdecode(temp), os.fsdecode(remote))
        return found


class LinksIntoDirectories(LocalTransport):
    """The same without overwriting: as ln does."""

    async def put(self, local: Any, remote: Any, *, progress: Any = None, **options: Any) -> Any:
        if not is_file(local) or options.get("overwrite") is not False or os.path.lexists(remote):
            return await super().put(local, remote, progress=progress, **options)
        temp = os.fsencode(remote) + secrets.token_hex(8).encode()
        found = await super().put(local, temp, progress=progress, **options)
        inside = os.path.isdir(remote)
        os.rename(temp, os.path.join(remote, b"inside") if inside else remote)
        return found
