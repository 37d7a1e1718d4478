"""From what asyncssh raises to the contract's errors: the only mapping (ERR-4)."""

from __future__ import annotations

import os
import socket

import asyncssh
from transport_core import (
    AuthenticationError,
    ConnectionLostError,
    ConnectivityError,
    ConnectTimeoutError,
    Delivery,
    HostKeyError,
    TransportError,
)
from transport_core.authoring import escape

from ._auth import Steps, refusal
from ._hostkeys import Verdict
from ._options import Hop

LOST = (
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    ConnectionError,
)
"""What asyncssh raises, in a call that had begun, when the connection under it breaks."""

LOST_HOP = "intercede_lost_hop"
"""Where a connection to the target keeps which hop ended it, for the errors of its calls."""

_HOST_KEY_TEXT = {
    "unknown": "no host key is pinned for {host}",
    "changed": "the host key of {host} is not the pinned one: somebody may be in between",
    "revoked": "the host key of {host} is revoked",
}


def connect_error(
    error: BaseException, hop: Hop, where: str, verdict: Verdict | None, steps: Steps
) -> TransportError:
    """Return the error for a hop that could not be opened; the caller keeps the cause.

    Nothing was sent to the target by then, so the delivery is NOT_SENT.
    """
    if isinstance(error, TransportError):
        return error
    if verdict is not None and not verdict.trusted:
        return _host_key_error(verdict, hop, where)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return HostKeyError(
            f"the host certificate of {hop.label} is not valid: {_reason(error)}",
            seen=verdict.seen if verdict else None,
            hop=where,
            hint="ask the site for a new host certificate",
        )
    if _is_refusal(error, steps):
        why, hint = refusal(steps.methods, steps.tried)
        return AuthenticationError(
            f"{hop.label} was not let in: {why}",
            tried=steps.tried,
            delivery=Delivery.NOT_SENT,
            hop=where,
            hint=hint,
        )
    if isinstance(error, TimeoutError) or _is_login_timeout(error):
        return ConnectTimeoutError(
            f"{hop.label} was not reached within {hop.connect_timeout:g} s",
            delivery=Delivery.NOT_SENT,
            hop=where,
            hint="check the network and firewall on the way, or raise connect_timeout",
        )
    return _unreachable(error, hop, where)


def _unreachable(error: BaseException, hop: Hop, where: str) -> ConnectivityError:
    if isinstance(error, asyncssh.KeyExchangeFailed):
        what = "offers no algorithm that is safe to use"
        hint = "ask the site to allow AES (GCM or CTR), and key exchange and signatures with SHA-2"
    else:
        what = "cannot be reached"
        hint = "check host and port, and that an SSH server listens there"
    return ConnectivityError(
        f"{hop.label} {what}: {_reason(error)}", delivery=Delivery.NOT_SENT, hop=where, hint=hint
    )


def _is_refusal(error: BaseException, steps: Steps) -> bool:
    """Whether a server has said no; one with MaxAuthTries 1 says it by ending the connection."""
    if isinstance(error, asyncssh.PermissionDenied):
        return True
    said = error.reason.lower() if isinstance(error, asyncssh.ProtocolError) else ""
    return bool(steps.tried) and "authentication failures" in said


def _is_login_timeout(error: BaseException) -> bool:
    return isinstance(error, asyncssh.ConnectionLost) and "Login timeout" in str(error)


def _reason(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved ({escape(error.strerror or str(error))})"
    if isinstance(error, asyncssh.ChannelOpenError):
        return f"the hop before it says: {escape(error.reason)}"
    if isinstance(error, (asyncssh.DisconnectError, asyncssh.Error)):
        return escape(error.reason)
    if isinstance(error, OSError):
        # asyncio's own text is "Connect call failed (address)".
        return os.strerror(error.errno) if error.errno else str(error)
    return f"{type(error).__name__}: {escape(str(error))}"


def _host_key_error(verdict: Verdict, hop: Hop, where: str) -> HostKeyError:
    host = f"[{hop.host}]:{hop.port}"
    expected = ", ".join(verdict.expected) or "none"
    return HostKeyError(
        _HOST_KEY_TEXT[verdict.reason].format(host=host)
        + f" (seen {verdict.seen}, pinned {expected})",
        reason=verdict.reason,
        seen=verdict.seen,
        expected=verdict.expected,
        hop=where,
        hint="ask the site for its fingerprint, and pin that in known_hosts",
    )


_LOST_HINT = {
    Delivery.NOT_SENT: "send it again",
    Delivery.FINISHED: "it ran to its end, and only its output is lost; do not send it again",
    Delivery.UNKNOWN: "find out whether it ran before you send it again",
}

TRANSFER_LOST_HINT = "repeat it: no file is there in part; the next call connects"
"""Of a put or get that broke off, whatever it did."""


def lost_error(
    reason: BaseException | None,
    delivery: Delivery,
    transport: str,
    connection: asyncssh.SSHClientConnection | None,
) -> ConnectionLostError:
    """Return the error for a connection that broke during a call; it names the hop that ended.

    Without a reason the connection stands, and only the call's session has ended.
    """
    hint = _LOST_HINT[delivery]
    if reason is None:
        text = "the other side closed the session, and did not say how it ended"
    else:
        said = _reason(reason)
        # asyncssh has no more to say of one that just ended.
        text = "the connection was lost" + (f": {said}" if said != "Connection lost" else "")
        hint += "; the next call connects"
    return ConnectionLostError(
        text,
        delivery=delivery,
        transport=transport,
        hop=None if connection is None else connection.get_extra_info(LOST_HOP),
        hint=hint,
    )
