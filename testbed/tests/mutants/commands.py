"""Broken in what a program receives: words, noise, directories (RUN-01 to 04)."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import Any

from transport_core.authoring import encode_argv
from transport_local import LocalTransport


class _Words(LocalTransport):
    """Changes the words on their way."""

    def change(self, words: list[bytes]) -> list[bytes]:
        raise NotImplementedError

    async def run(self, argv: Any, **options: Any) -> Any:
        words = list(encode_argv(argv))
        result = await super().run([words[0], *self.change(words[1:])], **options)
        return replace(result, argv=tuple(words))


class DropsEmptyWords(_Words):
    """Loses what is empty."""

    def change(self, words: list[bytes]) -> list[bytes]:
        return [word for word in words if word]


class DecodesWords(_Words):
    """Takes words for text."""

    def change(self, words: list[bytes]) -> list[bytes]:
        return [word.decode("utf-8", "replace").encode() for word in words]


class StripsWords(_Words):
    """Strips white space."""

    def change(self, words: list[bytes]) -> list[bytes]:
        return [word.strip(b"\n") for word in words]


class CutsWords(_Words):
    """Loses the end of a long word."""

    def change(self, words: list[bytes]) -> list[bytes]:
        return [word[:65536] for word in words]


class ExpandsGlobs(_Words):
    """Expands a leading pattern, as a shell would."""

    def change(self, words: list[bytes]) -> list[bytes]:
        return [word.replace(b"/*", b"/bin /etc", 1) for word in words]


class AcceptsAString(LocalTransport):
    """Takes a string for a command line."""

    async def run(self, argv: Any, **options: Any) -> Any:
        return await super().run(shlex.split(argv) if isinstance(argv, str) else argv, **options)


class DropsNul(LocalTransport):
    """Silently removes what cannot be sent."""

    async def run(self, argv: Any, **options: Any) -> Any:
        if isinstance(argv, list) and all(isinstance(word, (str, bytes)) for word in argv):
            argv = [os.fsencode(word).replace(b"\0", b"") for word in argv]
        return await super().run(argv, **options)


class JoinsForAShell(LocalTransport):
    """Puts double quotes around words and lets a shell read them."""

    async def run(self, argv: Any, **options: Any) -> Any:
        words = encode_argv(argv)
        line = b" ".join(b'"' + word.replace(b'"', b'\\"') + b'"' for word in words)
        result = await super().run([b"sh", b"-c", b"exec " + line], **options)
        return replace(result, argv=words)


class QuotesDirectoriesBadly(LocalTransport):
    """Lets a shell read the working directory."""

    async def run(self, argv: Any, *, cwd: Any = None, **options: Any) -> Any:
        if cwd is None:
            return await super().run(argv, **options)
        line = b'cd "' + os.fsencode(cwd) + b'" && exec "$@"'
        result = await super().run([b"sh", b"-c", line, b"sh", *encode_argv(argv)], **options)
        return replace(result, argv=encode_argv(argv))


class LetsNoiseIn(LocalTransport):
    """What the login prints stands in the result."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        return replace(result, stdout=b"Welcome!\n" + result.stdout)


class LosesQuietNoise(LocalTransport):
    """Noise goes into the other stream."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        return replace(result, stderr=b"motd\n" + result.stderr)


class LeavesAFile(LocalTransport):
    """Sends a helper script and forgets it."""

    async def run(self, argv: Any, *, cwd: Any = None, **options: Any) -> Any:
        if cwd is not None and os.path.isdir(cwd):
            with open(os.path.join(os.fsencode(cwd), b".helper"), "wb") as file:
                file.write(b"#!/bin/sh\n")
        return await super().run(argv, cwd=cwd, **options)
