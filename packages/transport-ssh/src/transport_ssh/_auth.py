"""How a hop is logged in to: exactly these methods, in this order; pure (CONN-6).

Checked at construction, no I/O, no secret in a repr. Must not know asyncssh.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

from transport_core import ConfigurationError
from transport_core.authoring import encode_path, escape

from ._hostkeys import fingerprint

Ask = Callable[[], str | Awaitable[str]]
"""Called when a secret is needed, at each login anew; a plain function runs in a thread."""

Prompts = Sequence[tuple[str, bool]]
"""Questions of a server, and for each whether the answer may be shown while it is typed."""

Answer = Callable[[str, str, Prompts], Sequence[str] | Awaitable[Sequence[str]]]
"""Called with name, instructions and prompts; returns one answer for each prompt."""

MOST_ROUNDS = 16
"""Rounds of questions in one login; a server that asks on is not answered."""
MOST_PROMPTS = 16
"""Questions in one round."""
_LONGEST_PROMPT = 2000

_SMALLEST_RSA = 2048
# No file of a login has these in its name.
_MARKS_OF_TEXT = ("\n", "\r", "-----BEGIN", "PRIVATE KEY-----")
_OTHERS, _GROUP_AND_OTHERS = 0o007, 0o077


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """Log in with exactly this private key; no other is offered, no agent is asked."""

    path: str | os.PathLike[str] | None = None
    """The key file; it must be readable by its owner only. Read at each connect."""
    data: bytes | None = field(default=None, repr=False)
    """The key itself, in place of a path."""
    passphrase: Ask | None = field(default=None, repr=False)
    """Called at each connect if the key is encrypted; a function or a coroutine function.
    ``connect_timeout`` includes the time it takes."""
    certificate: str | os.PathLike[str] | bytes | None = field(default=None, repr=False)
    """An OpenSSH certificate for the key, a file or its content; then it alone is offered."""

    def __post_init__(self) -> None:
        """Check what can be checked without I/O.

        Raises:
            ConfigurationError: Both or neither of ``path`` and ``data``, or a wrong type.
        """
        if (self.path is None) == (self.data is None):
            raise ConfigurationError("PrivateKey takes either a path or data")
        if self.path is not None:
            check_path("PrivateKey: path", self.path, "give data=…, the key's bytes")
        if not isinstance(self.data, bytes | None):
            raise ConfigurationError("PrivateKey: data must be bytes")
        _check_callback("PrivateKey: passphrase", self.passphrase)
        if not isinstance(self.certificate, bytes | None):
            check_path("PrivateKey: certificate", self.certificate, "give its content as bytes")

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Refuse to be pickled with key material in it: a pickle is written somewhere."""
        if self.data is not None:
            raise TypeError("a PrivateKey with data holds a secret and is not pickled; give a path")
        return object.__reduce_ex__(self, protocol)

    def __deepcopy__(self, memo: object) -> PrivateKey:
        """Give itself: it cannot change."""
        return self


@dataclass(frozen=True, slots=True)
class Agent:
    """Log in with exactly one key of an SSH agent; its other keys are not offered."""

    identity: str | os.PathLike[str]
    """Which key, by its fingerprint (``"SHA256:…"``), its public key (``"ssh-ed25519 AAAA…"``), or
    the path of a ``.pub`` file, which is read at each connect."""
    socket: str | os.PathLike[str] | None = None
    """The agent's socket; None takes ``SSH_AUTH_SOCK`` at each connect."""

    def __post_init__(self) -> None:
        """Check what can be checked without I/O.

        Raises:
            ConfigurationError: The identity is empty, or a value has a wrong type.
        """
        # A public key's line may have an end, as its file has; there is no secret in one line.
        line = self.identity.rstrip() if isinstance(self.identity, str) else self.identity
        check_path("Agent: identity", line, "name the public key, as text or by its .pub file")
        if self.socket is not None:
            check_path("Agent: socket", self.socket, "give the path of its socket")


@dataclass(frozen=True, slots=True)
class Password:
    """Log in with a password; it is asked for once in each login, and never sent twice."""

    callback: Ask = field(repr=False)
    """Returns the password; a function or a coroutine function. Called once the host key has been
    found to be the pinned one; ``connect_timeout`` includes the time it takes."""

    def __post_init__(self) -> None:
        """Check that it can be called.

        Raises:
            ConfigurationError: It cannot.
        """
        _check_callback("Password: callback", self.callback, needed=True)


@dataclass(frozen=True, slots=True)
class KeyboardInteractive:
    """Answer what the server asks, such as a one-time code (TOTP)."""

    callback: Answer = field(repr=False)
    """Called with the name, the instructions and the prompts ``[(text, echo), …]`` of each round;
    returns one answer for each prompt. A function or a coroutine function. The texts are the
    server's, with control characters escaped. ``connect_timeout`` includes the time it takes."""

    def __post_init__(self) -> None:
        """Check that it can be called.

        Raises:
            ConfigurationError: It cannot.
        """
        _check_callback("KeyboardInteractive: callback", self.callback, needed=True)


Auth = PrivateKey | Agent | Password | KeyboardInteractive

_METHODS: dict[type[Auth], str] = {
    PrivateKey: "publickey",
    Agent: "publickey",
    Password: "password",
    KeyboardInteractive: "keyboard-interactive",
}


def check_auth(auth: object) -> tuple[Auth, ...]:
    """Return what is configured as the factors that the server asks for, in order.

    Raises:
        ConfigurationError: It is no such value, or one method is in it twice.
    """
    given: tuple[object, ...] = auth if isinstance(auth, tuple) else (auth,)
    factors = tuple(each for each in given if isinstance(each, Auth))
    if not factors or len(factors) != len(given):
        raise ConfigurationError(
            "auth must be a PrivateKey, Agent, Password or KeyboardInteractive, or a tuple of them"
        )
    names = [method_of(each) for each in factors]
    if len(set(names)) != len(names):
        raise ConfigurationError(
            f"auth names one method twice: {', '.join(names)}",
            hint="a tuple holds the factors of one login, not a choice of keys",
        )
    return factors


def method_of(auth: Auth) -> str:
    """Return the protocol's name of a method (RFC 4252, RFC 4256)."""
    return _METHODS[type(auth)]


class Steps:
    """Which of the factors may be given now; what was given is never given a second time.

    That the server asks again for what it was given means that it did not accept it.
    """

    def __init__(self, factors: tuple[Auth, ...]) -> None:
        """Begin before the first factor."""
        self.methods = tuple(method_of(each) for each in factors)
        self.tried: tuple[str, ...] = ()
        self._refused = False

    def may_give(self, method: str) -> bool:
        """Whether to give the factor of this method, which the server asks for."""
        if method in self.tried:
            self._refused = True
        if self._refused or self.methods[len(self.tried) :][:1] != (method,):
            return False
        self.tried = (*self.tried, method)
        return True


_WHAT = {
    "publickey": "the key",
    "password": "the password",
    "keyboard-interactive": "the answers to its questions",
}
_WHY_NOT = {
    "publickey": "check the user name, and that this public key is in the account's authorized_keys"
    " (or that the server trusts the signer of the certificate, and it names this user)",
    "password": "check the user name and the password, by hand and once: sites lock accounts",
    "keyboard-interactive": "check the user name and the answers; a one-time code is good for one"
    " login, and needs clocks that agree",
}


def refusal(methods: tuple[str, ...], tried: tuple[str, ...], key: str) -> tuple[str, str]:
    """Return why a login failed, as text and hint; ``key`` says which one was offered."""
    if len(tried) < len(methods):
        wanted = methods[len(tried)]
        after = f" after {' and '.join(tried)}" if tried else ""
        known = f"or that {_WHAT[tried[-1]]} was right" if tried else "or the user name"
        return (
            f"the server does not ask for {wanted}{after}",
            f"check which methods the server takes for this account, {known}",
        )
    given = key if tried[-1] == "publickey" else _WHAT[tried[-1]]
    return f"the server did not accept {given}", _WHY_NOT[tried[-1]]


def asked(name: str, instructions: str, prompts: Prompts) -> tuple[str, str, Prompts]:
    """Return what a server asks, made harmless for a terminal: lines stay, controls do not."""
    shown = tuple((_lines(text), echo) for text, echo in prompts)
    return escape(name), _lines(instructions), shown


def _lines(text: str) -> str:
    return "\n".join(escape(line) for line in text[:_LONGEST_PROMPT].splitlines())


def exposed(mode: int, owner: int, me: int) -> bool:
    """Whether a private key's file can be read by who should not.

    As OpenSSH has it for one's own files; of others', at least the world may not read it.
    """
    return bool(stat.S_IMODE(mode) & (_GROUP_AND_OTHERS if owner == me else _OTHERS))


def public_blob(text: str) -> bytes | None:
    """Return the key of a line ``type base64 comment``; None if it is no such line."""
    words = text.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        return None
    kind = words[0].encode("utf-8", "surrogateescape")
    return blob if blob[4 : 4 + len(kind)] == kind else None


def chosen(identity: str | bytes, blobs: Sequence[bytes]) -> int | None:
    """Return which of an agent's keys is meant, by fingerprint or by the key itself."""
    for index, blob in enumerate(blobs):
        if identity in (blob, fingerprint(blob)):
            return index
    return None


def too_short(blob: bytes) -> int | None:
    """Return the bits of an RSA public key that is too short to be let in with; else None."""
    kind, exponent, modulus = (*_fields(blob), b"", b"", b"")[:3]
    bits = int.from_bytes(modulus, "big").bit_length()
    return bits if kind == b"ssh-rsa" and exponent and bits < _SMALLEST_RSA else None


def _fields(blob: bytes) -> list[bytes]:
    """Return the length-prefixed fields of a public key."""
    found = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        found.append(blob[4:end])
        blob = blob[end:]
    return found


def check_path(what: str, path: object, instead: str) -> None:
    """Refuse what is no path of a file, without looking.

    ``instead`` says what takes a text: a key that is given for its path would be shown with it.
    """
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str):
        raise ConfigurationError(f"{what} must be a str or path-like, not {type(path).__name__}")
    if any(mark in path for mark in _MARKS_OF_TEXT):
        raise ConfigurationError(f"{what} holds a key, not a path", hint=instead)
    try:
        encode_path(path, what)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _check_callback(what: str, value: object, *, needed: bool = False) -> None:
    if not callable(value) and (needed or value is not None):
        raise ConfigurationError(
            f"{what} must be callable, so that it can be asked for at each login"
        )
