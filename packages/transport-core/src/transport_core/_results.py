"""What a finished call returns: frozen, picklable values that hold no connection."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._errors import CommandFailedError
from ._redact import short_argv


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended, and what it wrote."""

    argv: tuple[bytes, ...] = field(repr=False)
    """The argv as it was sent; may hold secrets, so no text shows it whole."""
    exit_status: int | None
    """0 to 255, or None if a signal ended it."""
    exit_signal: str | None = None
    """The signal's name without ``SIG``, such as ``"TERM"``; None after an exit."""
    stdout: bytes = field(repr=False, default=b"")
    """All that it wrote to standard output; empty where that was streamed."""
    stderr: bytes = field(repr=False, default=b"")
    """All that it wrote to standard error; empty where that was streamed."""
    duration: float
    """Seconds from the start of the call to its end, waiting included."""

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.exit_status == 0

    @property
    def stdout_text(self) -> str:
        """Standard output as UTF-8; undecodable bytes become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def stderr_text(self) -> str:
        """Standard error as UTF-8; undecodable bytes become U+FFFD."""
        return self.stderr.decode("utf-8", "replace")

    def check(self) -> CommandResult:
        """Return self if ``ok``.

        Raises:
            CommandFailedError: It ended by a signal or with another code than 0.
        """
        if self.ok:
            return self
        raise CommandFailedError(f"{short_argv(self.argv)} {self.ending()}", result=self)

    def ending(self) -> str:
        """Return in words how it ended."""
        if self.exit_signal is not None:
            return f"was ended by signal {self.exit_signal}"
        if self.exit_status is None:
            return "has no known end"
        return f"exited with {self.exit_status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """What a put or get moved."""

    files: int
    """Regular files written; directories and links are not counted."""
    bytes: int
    """Bytes of file content written."""
    seconds: float
    """Seconds from the start of the call to its end."""
