"""From what a caller passes to checked options and orders; pure, and before anything is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

from transport_core import ConfigurationError, EventSink, Progress, SourceKind, Symlinks
from transport_core.authoring import (
    check_callback,
    check_kind,
    check_limit,
    check_mode,
    check_progress,
)

T = TypeVar("T")


class CopyOptions(TypedDict):
    """The options that put and get share, and the limits of get."""

    mode: int | None
    overwrite: bool
    parents: bool
    symlinks: Symlinks
    kind: SourceKind | None
    max_bytes: int | None
    max_files: int | None


def checked_option(check: Callable[..., T], *values: Any) -> T:
    """Return what a check gives for an option of the constructor.

    Raises:
        ConfigurationError: The check says that it is impossible.
    """
    try:
        return check(*values)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error


def check_grace(seconds: float) -> float:
    """Return a grace in seconds.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative or not finite.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"kill_grace must be a number of seconds, not {type(seconds).__name__}")
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"kill_grace must be 0 seconds or more, and finite, not {seconds}")
    return float(seconds)


def check_name(name: str) -> str:
    """Return a transport's name.

    Raises:
        TypeError: It is no ``str``.
        ValueError: It is empty.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name:
        raise ValueError("name is empty")
    return name


def check_sink(callback: EventSink | None) -> EventSink | None:
    """Return a callback for events, or None.

    Raises:
        TypeError: It cannot be called, or would have to be awaited.
    """
    check_callback(callback, "on_event")
    return callback


def copy_options(
    *,
    mode: int | None,
    overwrite: bool,
    parents: bool,
    symlinks: Symlinks,
    kind: SourceKind | None,
    progress: Progress | None,
    max_bytes: int | None = None,
    max_files: int | None = None,
) -> CopyOptions:
    """Return the checked options of a copy.

    Raises:
        TypeError, ValueError: One is impossible.
    """
    check_kind(kind)
    check_progress(progress)
    return CopyOptions(
        mode=check_mode(mode),
        overwrite=overwrite,
        parents=parents,
        symlinks=Symlinks(symlinks),
        kind=kind,
        max_bytes=check_limit(max_bytes, "max_bytes"),
        max_files=check_limit(max_files, "max_files"),
    )
