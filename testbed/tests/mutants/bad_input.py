"""Broken in what they do with values that nothing can be done with."""

from __future__ import annotations

import errno
import os
from typing import Any

from transport_core import Symlinks, TransferResult
from transport_local import LocalTransport


class TakesZeroForNoLimit(LocalTransport):
    """A timeout of nothing is none."""

    async def run(self, argv: Any, *, timeout: Any = None, **options: Any) -> Any:
        return await super().run(argv, timeout=timeout or None, **options)


class EncodesLate(LocalTransport):
    """Text that cannot be encoded fails as the codec says, which shows the text."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        stdin = stdin.encode() if isinstance(stdin, str) else stdin
        return await super().run(argv, stdin=stdin, **options)


class IgnoresUnknownPolicies(LocalTransport):
    """What is no policy for links is the default."""

    async def put(self, local: Any, remote: Any, *, symlinks: Any = None, **options: Any) -> Any:
        known = symlinks if isinstance(symlinks, Symlinks) else Symlinks.KEEP
        return await super().put(local, remote, symlinks=known, **options)


class CallsProgressLate(LocalTransport):
    """Whether progress can be called shows when it is called."""

    async def get(self, remote: Any, local: Any, *, progress: Any = None, **options: Any) -> Any:
        result = await super().get(remote, local, **options)
        if progress is not None and result.bytes:
            progress(result.bytes, result.bytes)
        return result


class HasAClock(LocalTransport):
    """More seconds than its clock has are taken for none at all."""

    async def run(self, argv: Any, *, timeout: Any = None, **options: Any) -> Any:
        if isinstance(timeout, (int, float)) and timeout > 1e12:
            argv = ["true"]
        return await super().run(argv, timeout=timeout, **options)


class TimesOutAsPython(LocalTransport):
    """No time at all is another error."""

    async def run(self, argv: Any, *, timeout: Any = None, **options: Any) -> Any:
        if isinstance(timeout, float) and 0 < timeout < 1e-6:
            raise TimeoutError
        return await super().run(argv, timeout=timeout, **options)


class RunsBesideALoop(LocalTransport):
    """A directory that is a loop of links is not changed to."""

    async def run(self, argv: Any, *, cwd: Any = None, **options: Any) -> Any:
        if isinstance(cwd, bytes) and os.path.islink(cwd) and not os.path.exists(cwd):
            cwd = None
        return await super().run(argv, cwd=cwd, **options)


class TooMuchIsRaw(LocalTransport):
    """More than a process can be given is the system's own error."""

    async def run(self, argv: Any, **options: Any) -> Any:
        if not isinstance(argv, (str, bytes)) and any(len(str(word)) > 2**17 for word in argv):
            raise OSError(errno.E2BIG, "raw")
        return await super().run(argv, **options)


class StripsTheSlash(LocalTransport):
    """A file may be named as a directory."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if isinstance(remote, bytes):
            remote = remote.rstrip(b"/")
        return await super().put(local, remote, **options)


class StripsTheDots(LocalTransport):
    """Two dots at the end of a destination are nothing."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if isinstance(remote, bytes) and os.path.isdir(local):
            remote = remote.removesuffix(b"/..")
        return await super().put(local, remote, **options)


class ReplacesPipes(LocalTransport):
    """Whatever stands at the destination makes way."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if isinstance(remote, bytes) and os.path.exists(remote) and not os.path.isdir(remote):
            os.unlink(remote)
        return await super().put(local, remote, **options)


class WritesWhereALinkLeads(LocalTransport):
    """A link that leads nowhere is filled in."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        if isinstance(remote, bytes) and os.path.islink(remote) and not os.path.exists(remote):
            remote = os.path.realpath(remote)
        return await super().put(local, remote, **options)


class ShortensNames(LocalTransport):
    """What is too long for a name loses its end."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        folder, name = os.path.split(os.fsencode(local))
        return await super().get(remote, os.path.join(folder, name[:255]), **options)


class EmptiesFirst(LocalTransport):
    """Opens the destination before it reads the source."""

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        if os.path.isfile(local) and os.path.isfile(remote) and os.path.samefile(remote, local):
            os.truncate(local, 0)
            return TransferResult(files=1, bytes=0, seconds=0.0)
        return await super().get(remote, local, **options)
