"""From what a caller passes to the exact bytes of argv, environment and paths; pure.

Everything is decided here before a byte is sent: TypeError for the wrong kind,
ValueError for a value that no process can receive.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Word: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""One word of an argv: ``str``, ``bytes`` or path-like."""

PathArg: TypeAlias = Word
"""A path: ``str``, ``bytes`` or path-like."""

_MODE_BITS = 0o6777
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def encode_word(word: Word, what: str) -> bytes:
    """Return the bytes of one word; ``str`` by UTF-8 with surrogateescape.

    Raises:
        TypeError: It is not ``str``, ``bytes`` or path-like.
        ValueError: It holds NUL, or a surrogate that stands for no byte.
    """
    if not isinstance(word, (str, bytes, os.PathLike)):
        raise TypeError(f"{what} must be str, bytes or path-like, not {type(word).__name__}")
    plain = os.fspath(word)
    data = plain if isinstance(plain, bytes) else encode_text(plain, what)
    if b"\0" in data:
        raise ValueError(f"{what} holds a NUL byte, which no process can receive")
    return data


def encode_text(text: str, what: str) -> bytes:
    """Return text as UTF-8 with surrogateescape.

    Raises:
        ValueError: It holds a surrogate that stands for no byte.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        position = error.start
    # Not raised in the handler: as its context, the codec's error would hold the whole text.
    raise ValueError(f"{what} has a lone surrogate at position {position}")


def encode_argv(argv: Sequence[Word]) -> tuple[bytes, ...]:
    """Return the bytes of an argv (RUN-1).

    Raises:
        TypeError: ``argv`` is one string, or not a sequence of words.
        ValueError: It is empty, its program is empty, or a word holds NUL.
    """
    if isinstance(argv, (str, bytes, os.PathLike)) or not isinstance(argv, Sequence):
        raise TypeError(
            f"argv must be a sequence of words such as ['ls', '-l'], not {type(argv).__name__}; "
            "for a shell write ['sh', '-c', script]"
        )
    words = tuple(encode_word(word, f"argv[{index}]") for index, word in enumerate(argv))
    if not words:
        raise ValueError("argv is empty: it needs at least the program's name")
    if not words[0]:
        raise ValueError("argv[0] is empty: it must name a program")
    return words


def encode_env(env: Mapping[str, str | bytes] | None) -> dict[str, bytes]:
    """Return checked names and the bytes of their values (RUN-9); values are in no message.

    Raises:
        TypeError: ``env`` is no mapping, a name no ``str``, or a value neither str nor bytes.
        ValueError: A name is no identifier, or a value holds NUL.
    """
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise TypeError(f"env must be a mapping of names to values, not {type(env).__name__}")
    checked: dict[str, bytes] = {}
    for name, value in env.items():
        if not isinstance(name, str):
            raise TypeError(f"env names must be str, not {type(name).__name__}")
        if not _NAME.match(name):
            raise ValueError(f"env name {name!r} is not of the form [A-Za-z_][A-Za-z0-9_]*")
        if not isinstance(value, (str, bytes)):
            raise TypeError(f"env value of {name} must be str or bytes, not {type(value).__name__}")
        checked[name] = encode_word(value, f"env value of {name}")
    return checked


def encode_path(path: PathArg, what: str) -> bytes:
    """Return the bytes of a path.

    Raises:
        TypeError: It is not a word.
        ValueError: It is empty or holds NUL.
    """
    data = encode_word(path, what)
    if not data:
        raise ValueError(f"{what} is empty")
    return data


def check_mode(mode: int | None) -> int | None:
    """Return permission bits as given.

    Raises:
        TypeError: ``mode`` is no integer.
        ValueError: It has other bits than the nine permission bits, setuid and setgid. Sticky
            means nothing on a file, and most modes written in decimal have it.
    """
    if mode is None:
        return None
    if isinstance(mode, bool) or not isinstance(mode, int):
        raise TypeError(f"mode must be an int such as 0o644, not {type(mode).__name__}")
    if mode < 0 or mode & ~_MODE_BITS:
        octal = f"; write 0o{mode}" if set(str(mode)) <= set("01234567") else ""
        raise ValueError(f"mode {mode} is {mode:#o}, which has other bits than 0o6777{octal}")
    return mode


def check_limit(limit: int | None, what: str) -> int | None:
    """Return a count or size limit as given.

    Raises:
        TypeError: It is no integer.
        ValueError: It is negative.
    """
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"{what} must be an int, not {type(limit).__name__}")
    if limit < 0:
        raise ValueError(f"{what} must not be negative, and is {limit}")
    return limit


def check_callback(callback: object, what: str) -> None:
    """Check that a callback, or None, can be called, before anything is done.

    Raises:
        TypeError: It cannot, or is a coroutine function: nobody would await it.
    """
    if callback is None:
        return
    if not callable(callback):
        raise TypeError(f"{what} must be callable, not {type(callback).__name__}")
    if any(map(inspect.iscoroutinefunction, (callback, type(callback).__call__))):
        raise TypeError(f"{what} is called, not awaited: give a plain function, not an async one")


def check_progress(progress: object) -> None:
    """Check a callback for progress; see ``check_callback``."""
    check_callback(progress, "progress")
