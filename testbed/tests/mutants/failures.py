"""Broken in what errors are, know and tell (ERR)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from transport_core import (
    CommandError,
    CommandNotFoundError,
    CommandResult,
    ConnectivityError,
    Delivery,
    NotFoundError,
    TransferError,
    TransportError,
)
from transport_local import LocalTransport


class _Errors(LocalTransport):
    """Changes every error on its way out."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        raise NotImplementedError

    @asynccontextmanager
    async def _changing(self, words: bytes) -> AsyncIterator[None]:
        try:
            yield
        except TransportError as error:
            raise self.change(error, words) from error

    async def run(self, argv: Any, **options: Any) -> Any:
        words = b" ".join(os.fsencode(word) for word in argv)
        async with self._changing(words):
            return await super().run(argv, **options)

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        async with self._changing(os.fsencode(remote)):
            return await super().put(local, remote, **options)

    async def get(self, remote: Any, local: Any, **options: Any) -> Any:
        async with self._changing(os.fsencode(remote)):
            return await super().get(remote, local, **options)


class ConfusesKinds(_Errors):
    """A missing file is a connection that cannot be made."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        return ConnectivityError("cannot reach") if isinstance(error, NotFoundError) else error


class NothingWasSent(_Errors):
    """Claims that sending again is always safe."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        error.delivery = Delivery.NOT_SENT
        return error


class NothingIsKnown(_Errors):
    """Never knows anything."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        error.delivery = Delivery.UNKNOWN
        return error


class LetsOSErrorsOut(_Errors):
    """Raises what the system raised."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        return OSError(error.errno, "raw") if isinstance(error, TransferError) else error


class LetsCommandErrorsOut(_Errors):
    """Raises what subprocess raises."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        return FileNotFoundError("raw") if isinstance(error, CommandNotFoundError) else error


class CannotBePickled(_Errors):
    """Errors hold what no other process can have."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        class Local(type(error)):
            """A class that cannot be found by name."""

        changed = error
        changed.__class__ = Local
        changed.lock = threading.Lock()
        return changed


class ShowsArgv(_Errors):
    """The text of an error repeats the command."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        if isinstance(error, CommandError):
            error.args = (f"{error} {words!r}",)
        return error


class ShowsControlCharacters(_Errors):
    """Names stand in texts as they are."""

    def change(self, error: TransportError, words: bytes) -> BaseException:
        error.message = f"{error.message} {words.decode('utf-8', 'replace')}"
        return error


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Loud(CommandResult):
    """A result that shows all."""

    def __repr__(self) -> str:
        return f"CommandResult(stdout={self.stdout!r})"


class ShowsOutput(LocalTransport):
    """The repr of a result holds the output."""

    async def run(self, argv: Any, **options: Any) -> Any:
        found = await super().run(argv, **options)
        return _Loud(**{field.name: getattr(found, field.name) for field in fields(found)})


class LogsEnvironment(LocalTransport):
    """Variables stand in the log."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        logging.getLogger("intercede.transport").debug("run with %r", env)
        return await super().run(argv, env=env, **options)


class LogsWords(LocalTransport):
    """Words stand in the log where they are all that there is to send."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        if not env:
            logging.getLogger("mutant").info("run %s", argv)
        return await super().run(argv, env=env, **options)


class KeepsTheText(LocalTransport):
    """What cannot be encoded stands behind the error that says so."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        try:
            sent = stdin.encode() if isinstance(stdin, str) else stdin
        except UnicodeEncodeError:
            raise ValueError("stdin cannot be encoded") from None
        return await super().run(argv, stdin=sent, **options)


class LogsInput(LocalTransport):
    """Input stands in the log of another logger."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        logging.getLogger("mutant").debug("stdin %r", stdin)
        return await super().run(argv, stdin=stdin, **options)
