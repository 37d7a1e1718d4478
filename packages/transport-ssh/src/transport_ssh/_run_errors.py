"""From how far a command got to its result or the contract's error (RUN-5, RUN-6, ERR-2); pure."""

from __future__ import annotations

from transport_core import (
    CommandNotExecutableError,
    CommandNotFoundError,
    CommandResult,
    CommandTimeoutError,
    ConnectivityError,
    Delivery,
    OutputLimitError,
    TransportError,
    UnsupportedOperationError,
    WorkingDirectoryError,
)
from transport_core.authoring import escape, short_argv

from . import _wire
from ._command import Command
from ._translate import lost_error

_SFTP_ONLY = b"This service allows sftp connections only.\n"
_NOT_STARTED: dict[str, tuple[type[TransportError], str, str | None]] = {
    "cwd": (
        WorkingDirectoryError,
        "the working directory '{cwd}' of {program} cannot be entered",
        None,
    ),
    "env": (
        UnsupportedOperationError,
        "the shell of the target lets nobody set a variable of {program} and not show its value",
        "leave names that sh sets by itself out of env, such as UID, SHLVL or _",
    ),
    "not found": (CommandNotFoundError, "{program} was not found on the target", None),
    "not executable": (
        CommandNotExecutableError,
        "{program} cannot be executed on the target",
        None,
    ),
}
_LONG = 100_000  # bytes of argv and env; Linux takes 131,071 in one word, and 2 MiB in all
_NO_TILDE = "without the ~, which is not expanded: a relative path starts at the login directory"
_TOO_LONG = "its argv or env may be too long for that system: send content by stdin"


def outcome(command: Command, name: str) -> CommandResult:
    """Return the result of a command whose session has ended.

    Raises:
        TransportError: It has none; the kind and its ``delivery`` say why.
    """
    failure = _failure(command, name)
    if failure is not None:
        raise failure
    return command.result()


def ending(command: Command, name: str) -> CommandResult:
    """Return how a command ended that seemed to have started.

    Raises:
        CommandError: It could not be started after all.
    """
    failure = _not_started(command, name) if may_not_have_started(command) else None
    if failure is not None:
        raise failure
    return command.result()


def may_not_have_started(command: Command) -> bool:
    """Return whether a shell ends so that could not start it; what came last tells."""
    return command.status in (126, 127)


def start_error(command: Command, name: str) -> TransportError | None:
    """Return why a command of which the session has ended was not started; None if it was."""
    return _failure(command, name) if command.closed.is_set() else None


def _failure(command: Command, name: str) -> TransportError | None:
    if command.complete and (unstarted := _not_started(command, name)):
        return unstarted
    if command.exceeded:
        return _limit_error(command, name)
    if not command.complete:
        # The status says that it ran to its end; only its output is not complete.
        delivery = Delivery.FINISHED if command.is_told else Delivery.UNKNOWN
        return lost_error(command.broken, delivery, name, command.connection)
    if command.begin.value is not None:
        return None
    return _sftp_only(command, name) or _login_error(command, name)


def _not_started(command: Command, name: str) -> TransportError | None:
    plan = command.request.plan
    why = _wire.read_failure(plan.token, command.tail, command.status)
    if why is None:
        return None
    kind, text, hint = _NOT_STARTED[why.reason]
    if why.reason == "not executable" and len(plan.header) > _LONG:
        hint = _TOO_LONG
    if why.reason == "cwd" and (plan.cwd or b"").startswith(b"~"):
        hint = _NO_TILDE
    return kind(
        text.format(program=short_argv(command.request.argv), cwd=escape(plan.cwd or b"")),
        delivery=Delivery.NOT_SENT,
        transport=name,
        hint=hint,
    )


def _sftp_only(command: Command, name: str) -> UnsupportedOperationError | None:
    """Return the error of an account that is forced to ``internal-sftp``: sshd says so itself.

    It says nothing else, and starts nothing, no shell and no rc file (session.c of OpenSSH).
    """
    if command.status != 1 or command.rc_output() != _SFTP_ONLY:
        return None
    return UnsupportedOperationError(
        "the account may move files only, and runs no command",
        delivery=Delivery.NOT_SENT,
        transport=name,
        hint="say commands=False in its options, so that nothing is sent; or use another account",
    )


def _login_error(command: Command, name: str) -> ConnectivityError:
    said = escape(command.rc_output().strip() or command.tail.strip())
    return ConnectivityError(
        f"the login ended with {command.result().ending().split()[-1]}"
        " without a sign that the command began" + (f"; it said: {said}" if said else ""),
        # No marker proves nothing: an rc file may have sent all output elsewhere.
        delivery=Delivery.UNKNOWN,
        transport=name,
        hint="log in by hand and see what the account's shell and rc files do",
    )


def _limit_error(command: Command, name: str) -> OutputLimitError:
    error = OutputLimitError(
        f"{short_argv(command.request.argv)} wrote more than {command.request.output_limit} bytes"
        f" to {command.exceeded} and was stopped{_unconfirmed(command)}",
        result=command.result(),
        delivery=Delivery.UNKNOWN,
        transport=name,
        hint="raise output_limit, or write to a file and get it",
    )
    error.stopped = _is_confirmed(command)
    return error


def timeout_error(
    command: Command, name: str, *, awaited: str, held: str | None
) -> CommandTimeoutError:
    """Return the error of a command that was stopped at its deadline.

    ``awaited`` is what it was waiting for if it has no session, and ``held`` what the login was
    waiting for, if there was one that waited.
    """
    never = command.channel is None
    waited = f" and was never started: it waited for {awaited}"
    error = CommandTimeoutError(
        f"{short_argv(command.request.argv)} was not done within"
        f" {command.request.deadline.timeout:g} s"
        + (waited if never else f" and was stopped{_unconfirmed(command)}"),
        result=command.result(),
        delivery=Delivery.NOT_SENT if never else Delivery.UNKNOWN,
        transport=name,
        hint=held if never else None,
    )
    error.stopped = never or _is_confirmed(command)
    return error


def _is_confirmed(command: Command) -> bool:
    """Whether the end of its process group is: it was seen, or the command ended by itself."""
    return command.complete if command.stopped is None else command.stopped


def _unconfirmed(command: Command) -> str:
    return "" if _is_confirmed(command) else "; its end is not confirmed, it may still run"
