"""Reads the known_hosts files of a hop. Blocking; which key they pin, _hostkeys decides."""

from __future__ import annotations

import os

from transport_core import ConfigurationError

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
        shown = "', '".join(paths)
        raise ConfigurationError(f"known_hosts '{shown}' cannot be read: no such file", hint=_HINT)
    return [(f"{path} " if several else "", text) for path, text in texts.items()]


def _text(path: str) -> str | None:
    """Return what a file holds, byte for byte; None if it is not there."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"known_hosts '{path}' cannot be read: {error.strerror}", hint=_HINT
        ) from error
