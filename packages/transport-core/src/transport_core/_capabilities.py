"""What a transport says that it can do; read by users and by the conformance suite alike."""

from __future__ import annotations

import enum


class Capability(enum.Enum):
    """One thing that a transport can do. Declare it only if it holds on every target."""

    RUN = "run"
    """The transport can run an argv and report its output and end."""
    FILES = "files"
    """The transport can put and get files and trees."""
    SIGNALS = "signals"
    """The transport can tell death by signal from an exit code."""
    STOP = "stop"
    """The transport can end the whole remote process group at timeout and cancel."""
    SYMLINKS = "symlinks"
    """The transport can keep symbolic links inside a tree."""
    MODES = "modes"
    """The transport can set permission bits."""
    CONNECTION = "connection"
    """The transport holds a connection that can be lost, and re-establishes it."""
    EVENTS = "events"
    """The transport can report typed events to a callback."""
    STREAMING = "streaming"
    """The transport can stream a process (StreamingTransport)."""
    FILE_OPERATIONS = "file-operations"
    """The transport can stat, scandir, mkdir, remove, rename, chmod and readlink."""


MINIMUM: frozenset[Capability] = frozenset({Capability.RUN, Capability.FILES})
"""What every transport must declare; less is not a transport of this contract."""

FILES_MINIMUM: frozenset[Capability] = frozenset({Capability.FILES})
"""What it must declare where a place grants nothing but files, such as an account that is forced
to an SFTP server: a property of the place, which no transport can make up for."""
