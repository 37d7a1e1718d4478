"""Reads the known_hosts files of a hop. Blocking; which key they pin, _hostkeys decides."""

from __future__ import annotations

import os
import stat

from transport_core import ConfigurationError
from transport_core.authoring import escape, open_source

from ._hostkeys import Pin, parse
from ._options import KnownHosts

_HINT = "write the site's host key into it; there is no trust on first use"


def read_known_hosts(source: KnownHosts) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Return the pins, and which lines are none and are skipped.

    Raises:
        ConfigurationError: A file cannot be read; of several, that none is there.
    """
    pins: list[Pin] = []
    skipped: list[str] = []
    for name, text in _texts(source):
        found, malformed = parse(text)
        pins += found
        skipped += (f"{name}line {number}" for number in malformed)
    return tuple(pins), tuple(skipped)


def _texts(source: KnownHosts) -> list[tuple[str, str]]:
    """Return each text, with the name of its file if there are several."""
    if source.text is not None:
        return [("", source.text)]
    # Not Path.expanduser, which raises what is no error of ours where there is no such user.
    paths = [os.path.expanduser(path) for path in source.paths]
    several = len(paths) > 1
    texts = {path: text for path in paths if (text := _text(path)) is not None}
    if not texts:
        shown = "', '".join(map(escape, paths))
        raise ConfigurationError(f"known_hosts '{shown}' cannot be read: no such file", hint=_HINT)
    return [(f"{path} " if several else "", text) for path, text in texts.items()]


def _text(path: str) -> str | None:
    """Return what a file holds, byte for byte; None if it is not there."""
    shown = f"known_hosts '{escape(path)}'"
    try:
        with open_source(path) as file:
            info = os.fstat(file.fileno())
            # A pipe would be waited for without end; the null device is for who wants no file.
            if not stat.S_ISREG(info.st_mode) and not os.path.samestat(info, os.stat(os.devnull)):
                raise ConfigurationError(f"{shown} is no regular file", hint=_HINT)
            return file.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}", hint=_HINT) from error
