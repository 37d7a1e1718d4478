"""Typed events of a transport (CONN-8), to a callback and to ``logging``.

Events hold names and numbers, never argv, environment or content.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from ._results import CommandResult

logger = logging.getLogger("intercede.transport")
logger.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; an event does not tell which call it belongs to.

    To the logger ``intercede.transport`` they go as well, ConnectionLost and Warned at WARNING, all
    others at DEBUG.
    """

    transport: str
    """The transport's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Event):
    """A hop's host key was verified and its connection stands."""

    hop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated(Event):
    """A hop let us in."""

    hop: str
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnecting(Event):
    """A new connection is about to be tried."""

    attempt: int
    """1 for the first try after a loss."""
    delay: float
    """Seconds until the try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLost(Event):
    """The connection broke."""

    hop: str | None = None
    """The hop that ended, such as ``"hop 1 of 2: alice@gate:22"``; None if that is not known."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQueued(Event):
    """A call waits for a session."""

    waiting: int
    """Calls that wait, this one included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGranted(Event):
    """The server granted a session."""

    waited: float
    """Seconds of waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused(Event):
    """The server refused a session; it is asked for again."""

    limit: int
    """Sessions in use that are now assumed to be the server's limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStarted(Event):
    """A command is about to be sent."""

    command: str
    """The program's name and the number of arguments; no values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFinished(Event):
    """A command ended, or its call failed; each CommandStarted is followed by one."""

    command: str
    exit_status: int | None = None
    exit_signal: str | None = None
    duration: float
    """Seconds."""
    error: str | None = None
    """The name of the exception that the call raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesMoved(Event):
    """A transfer moved content."""

    direction: str
    """``"put"`` or ``"get"``."""
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something was odd and was survived, such as a malformed known_hosts line."""

    message: str


EventSink = Callable[[Event], None]
"""Called with each event, on the event loop; what it raises is logged, and disturbs nothing."""


def emit(event: Event, sink: EventSink | None) -> None:
    """Log an event, and give it to the callback.

    A callback that raises is logged and does not disturb the call: an observer
    must not change what it observes.
    """
    level = logging.WARNING if isinstance(event, (ConnectionLost, Warned)) else logging.DEBUG
    logger.log(level, "%r", event)
    if sink is None:
        return
    try:
        sink(event)
    except Exception:
        logger.exception("event callback failed on %s", type(event).__name__)


class CommandTold:
    """Emits CommandStarted, and CommandFinished however the block is left.

    Give it the result with ``ended``; without one the call has failed.
    """

    def __init__(self, transport: str, command: str, sink: EventSink | None) -> None:
        """``command`` is the shortened argv."""
        self._about: dict[str, str] = {"transport": transport, "command": command}
        self._sink = sink
        self._result: CommandResult | None = None
        self._started = time.monotonic()

    def ended(self, result: CommandResult | None) -> None:
        """Note how it ended, if that is known."""
        self._result = result

    def __enter__(self) -> Self:
        emit(CommandStarted(**self._about), self._sink)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        result = self._result
        event = CommandFinished(
            **self._about,
            exit_status=result.exit_status if result else None,
            exit_signal=result.exit_signal if result else None,
            duration=time.monotonic() - self._started,
            error=kind.__name__ if kind else None,
        )
        emit(event, self._sink)
