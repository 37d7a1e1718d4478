"""From what asyncssh raises to the contract's errors: the only mapping (ERR-4)."""

from __future__ import annotations

import os
import shlex
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
from ._client import Client
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

_CLOSED = "closed by the other side"

_HOST_KEY_TEXT = {
    "unknown": "no host key is pinned for {host} in {pins}",
    "changed": "the host key of {host} is not the pinned one: somebody may be in between",
    "revoked": "the host key of {host} is revoked",
}


def connect_error(error: BaseException, hop: Hop, where: str, client: Client) -> TransportError:
    """Return the error for a hop that could not be opened; the caller keeps the cause.

    Nothing was sent to the target by then, so the delivery is NOT_SENT.
    """
    verdict, steps = client.verdict, client.steps
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
        offer = client.offer
        key = f"{offer.key} ({offer.source})" if offer else ""
        why, hint = refusal(steps.methods, steps.tried, key)
        return AuthenticationError(
            f"{hop.label} was not let in: {why}",
            tried=steps.tried,
            delivery=Delivery.NOT_SENT,
            hop=where,
            hint=hint,
        )
    if isinstance(error, TimeoutError) or _is_login_timeout(error):
        return timeout_error(hop, where, client.clock.pending)
    return _unreachable(error, hop, where, client)


def timeout_error(hop: Hop, where: str, pending: str | None) -> ConnectTimeoutError:
    """Return the error for a hop whose time is over; ``pending`` of this side has not answered."""
    if pending is None:
        what = f"{hop.label} was not reached"
        hint = "check the network and firewall on the way, or raise connect_timeout"
    else:
        what = f"{pending} did not answer"
        hint = "answer sooner, or raise connect_timeout"
    return ConnectTimeoutError(
        f"{what} within {hop.connect_timeout:g} s",
        delivery=Delivery.NOT_SENT,
        hop=where,
        hint=hint,
    )


def _unreachable(error: BaseException, hop: Hop, where: str, client: Client) -> ConnectivityError:
    if isinstance(error, asyncssh.KeyExchangeFailed):
        what = "offers no algorithm that is safe to use"
        hint = "ask the site to allow AES (GCM or CTR), and key exchange and signatures with SHA-2"
    elif client.clock.pending is not None:
        what = f"ended the connection before {client.clock.pending} had answered"
        hint = "answer sooner; a server waits for a login as long as its LoginGraceTime says"
    elif client.met_no_server:
        what = "was reached, and what answers there did not say that it speaks SSH"
        hint = "check the port; an SSH server that turns connections away does this as well"
    else:
        what = "cannot be reached"
        hint = "check host and port, and that an SSH server listens there"
    return ConnectivityError(
        f"{hop.label} {what}: {_reason(error)}", delivery=Delivery.NOT_SENT, hop=where, hint=hint
    )


def lost_below(why: Exception | None, where: str, hop: Hop) -> ConnectionLostError:
    """Return the error for a hop that ended while another one was opened through it."""
    return ConnectionLostError(
        f"the connection was lost while {hop.label} was opened through it: "
        + (_reason(why) if why is not None else _CLOSED),
        delivery=Delivery.NOT_SENT,
        hop=where,
        hint="try again; if it ends again, look into the log of this hop",
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
    pins = ", ".join(f"'{escape(os.fspath(path))}'" for path in hop.known_hosts.paths)
    return HostKeyError(
        _HOST_KEY_TEXT[verdict.reason].format(host=host, pins=pins or "the given text")
        + f" (seen {verdict.seen}, pinned {expected})",
        reason=verdict.reason,
        seen=verdict.seen,
        expected=verdict.expected,
        hop=where,
        hint=_host_key_hint(verdict, hop),
    )


def _host_key_hint(verdict: Verdict, hop: Hop) -> str:
    if verdict.reason == "revoked":
        return "do not use it; ask the site what has happened"
    scan = f"ssh-keyscan -p {hop.port} {shlex.quote(hop.host)}"
    alias = f" under the name {hop.host_key_alias}" if hop.host_key_alias else ""
    return (
        f"compare what '{scan} | ssh-keygen -lf -' shows with the fingerprint that the site names;"
        f" only if they agree, add the line of '{scan}' to known_hosts{alias}"
    )


_LOST_HINT = {
    Delivery.NOT_SENT: "send it again",
    Delivery.FINISHED: "it ran to its end, and only its output is lost; do not send it again",
    Delivery.UNKNOWN: "find out whether it ran before you send it again",
}


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
        text = "the connection was lost" + ("" if said in ("", "Connection lost") else f": {said}")
        hint += "; the next call connects"
    return ConnectionLostError(
        text,
        delivery=delivery,
        transport=transport,
        hop=None if connection is None else connection.get_extra_info(LOST_HOP),
        hint=hint,
    )
