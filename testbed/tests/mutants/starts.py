"""Broken in how a command ends, starts or finds its environment (RUN-05, 06, 09)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from transport_core import (
    CommandError,
    CommandFailedError,
    CommandNotExecutableError,
    CommandNotFoundError,
    ConnectionLostError,
    WorkingDirectoryError,
)
from transport_core.authoring import encode_argv, encode_env
from transport_local import LocalTransport


class Drops255(LocalTransport):
    """Takes 255 for its own failure, as ssh(1) does."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        return replace(result, exit_status=1) if result.exit_status == 255 else result


class Takes255ForALoss(LocalTransport):
    """Raises on 255."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        if result.exit_status == 255:
            raise AssertionError(ConnectionLostError("lost"))
        return result


class SignalsAreCodes(LocalTransport):
    """Reports a signal as a shell does."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        if result.exit_signal == "TERM":
            return replace(result, exit_status=143, exit_signal=None)
        return result


class CodesAreSignals(LocalTransport):
    """Takes a shell's 128 and more for signals."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        if result.exit_status == 143:
            return replace(result, exit_status=None, exit_signal="TERM")
        return result


class IgnoresCheck(LocalTransport):
    """Never raises on failure."""

    async def run(self, argv: Any, *, check: bool = False, **options: Any) -> Any:
        return await super().run(argv, **options)


class AlwaysChecks(LocalTransport):
    """Raises on every failure, asked or not."""

    async def run(self, argv: Any, *, check: bool = False, **options: Any) -> Any:
        result = await super().run(argv, **options)
        try:
            return result.check()
        except CommandFailedError as error:
            raise AssertionError("a result was asked for") from error


class NotFoundIs127(LocalTransport):
    """A missing program is a result."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except CommandNotFoundError:
            return await super().run(["sh", "-c", "exit 127"])


class NotExecutableIs126(LocalTransport):
    """A file that cannot be executed is a result."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except CommandNotExecutableError:
            return await super().run(["sh", "-c", "exit 126"])


class Own127IsNotFound(LocalTransport):
    """A program's own 127 is taken for a missing program."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        if result.exit_status == 127 and b"not found" in result.stderr:
            return replace(result, exit_status=1)
        return result


class IgnoresAMissingDirectory(LocalTransport):
    """Runs elsewhere when the directory cannot be entered."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except WorkingDirectoryError:
            return await super().run(argv, **{**options, "cwd": None})


class StartsAtTheRoot(LocalTransport):
    """A relative directory is below the root."""

    async def run(self, argv: Any, *, cwd: Any = None, **options: Any) -> Any:
        below = cwd if cwd is None else os.path.join(b"/", os.fsencode(cwd))
        return await super().run(argv, cwd=below, **options)


class DirectoryIsNotFound(LocalTransport):
    """Confuses a missing directory with a missing program."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except WorkingDirectoryError as error:
            raise CommandNotFoundError("not found") from error


class ReplacesEnvironment(LocalTransport):
    """Gives only the variables asked for."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        if env is None:
            return await super().run(argv, **options)
        words = [b"env", b"-u", b"HOME", *encode_argv(argv)]
        return await super().run(words, env=env, **options)


class DecodesEnvironment(LocalTransport):
    """Takes values for text."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        text = {name: v.decode("utf-8", "replace") for name, v in encode_env(env).items()}
        return await super().run(argv, env=text, **options)


class SkipsReservedNames(LocalTransport):
    """Drops variables that a shell treats as its own."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        kept = {name: value for name, value in encode_env(env).items() if name != "UID"}
        return await super().run(argv, env=kept, **options)


class AcceptsAnyName(LocalTransport):
    """Drops names that are no identifiers instead of refusing them."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        if isinstance(env, dict):
            env = {n: v for n, v in env.items() if isinstance(n, str) and n.isidentifier()}
        return await super().run(argv, env=env, **options)


class ShowsEnvironment(LocalTransport):
    """Sends variables as words of env(1), where ps shows them."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        given = encode_env(env)
        if not given:
            return await super().run(argv, **options)
        pairs = b" ".join(b"%s=%s" % (os.fsencode(n), v) for n, v in given.items() if b" " not in v)
        words = [b"sh", b"-c", b'"$@"; exit $?', pairs, *encode_argv(argv)]
        result = await super().run(words, env=given, **options)
        return replace(result, argv=encode_argv(argv))


class FailsAsItself(LocalTransport):
    """Confuses a program that is missing with one that failed."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except CommandNotFoundError as error:
            raise CommandError("failed") from error
