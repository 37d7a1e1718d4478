"""The pinning decision: known_hosts lines, a host and the key it showed -> a verdict; pure.

Format and matching rules: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Must not know asyncssh.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from dataclasses import dataclass

_SSH_PORT = 22
# Patterns, type, key; a comment may follow.
_WORDS = 3


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of known_hosts."""

    marker: str
    """``""``, ``"@revoked"`` or ``"@cert-authority"``."""
    patterns: tuple[str, ...]
    kind: str
    """The key's type, such as ``ssh-ed25519``."""
    blob: bytes
    """The public key in the protocol's encoding."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a key is the pinned one, and if not, why."""

    reason: str
    """``"trusted"``, ``"unknown"``, ``"changed"`` or ``"revoked"``."""
    seen: str
    expected: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Whether the connection may go on."""
        return self.reason == "trusted"


def parse(text: str) -> tuple[tuple[Pin, ...], tuple[int, ...]]:
    """Return the pins, and the numbers (from 1) of lines that are malformed.

    A malformed line is skipped, as OpenSSH does; the caller warns.
    """
    pins: list[Pin] = []
    malformed: list[int] = []
    # At "\n" alone: splitlines() would let a comment with a form feed begin another line.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pin = _parse_line(line.split())
        if pin is None:
            malformed.append(number)
        else:
            pins.append(pin)
    return tuple(pins), tuple(malformed)


def _parse_line(words: list[str]) -> Pin | None:
    marker = words.pop(0) if words[0].startswith("@") else ""
    if marker not in ("", "@revoked", "@cert-authority") or len(words) < _WORDS:
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    # The blob begins with its own type (RFC 4253, 6.6): a truncated one does not match it.
    name = words[1].encode("utf-8", "surrogateescape")
    if not blob.startswith(len(name).to_bytes(4, "big") + name) or len(blob) < len(name) + 8:
        return None
    return Pin(marker, tuple(words[0].split(",")), words[1], blob)


def lookup(pins: tuple[Pin, ...], host: str, port: int) -> tuple[Pin, ...]:
    """Return the pins whose patterns match a host."""
    name = host.lower() if port == _SSH_PORT else f"[{host.lower()}]:{port}"
    return tuple(pin for pin in pins if _matches(pin.patterns, name))


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if _match_one(pattern.removeprefix("!"), name):
            if negated:
                return False
            found = True
    return found


def _match_one(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            _, _, salt, digest = pattern.split("|")
            key, wanted = base64.b64decode(salt), base64.b64decode(digest)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.new(key, name.encode(), hashlib.sha1).digest(), wanted)
    if "*" not in pattern and "?" not in pattern:
        return pattern.lower() == name
    # Only * and ? are wild in known_hosts; brackets stand for themselves.
    return fnmatch.fnmatchcase(name, pattern.lower().replace("[", "[[]"))


def judge(pins: tuple[Pin, ...], host: str, port: int, blob: bytes) -> Verdict:
    """Decide on a plain host key (not a certificate)."""
    return _judge(lookup(pins, host, port), "", blob)


def judge_authority(
    pins: tuple[Pin, ...], host: str, port: int, authority: bytes, key: bytes | None
) -> Verdict:
    """Decide on the key that signed a host certificate, and on the key that it signed.

    ``seen`` is the one that is at fault; without a fault, the host's own.
    """
    here = lookup(pins, host, port)
    verdict = _judge(here, "@cert-authority", authority)
    if not verdict.trusted:
        return verdict
    if key is None:
        return Verdict("unknown", "no key in a certificate", verdict.expected)
    reason = "revoked" if _is_revoked(here, key) else "trusted"
    return Verdict(reason, fingerprint(key), verdict.expected)


# How many fields a key of a type has; in a certificate they stand after its nonce.
_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
_CERTIFIED = "-cert-v01@openssh.com"
# What stands before and after the key in a certificate: strings, and so many bytes of numbers.
_STRING = 0
_HEAD = (_STRING, _STRING)  # type, nonce
_TAIL = (12, _STRING, _STRING, 16, *(_STRING,) * 5)  # the last is the signature


def certified_key(certificate: bytes) -> bytes | None:
    """Return the host's own key out of its certificate, as it would show it without one.

    Format: OpenSSH's PROTOCOL.certkeys. None if this is no certificate, or of an unknown type.
    """
    kind = _certified_kind(certificate)
    fields = _strings(certificate, (*_HEAD, *(_STRING,) * _FIELDS.get(kind, 0)))[len(_HEAD) :]
    if len(fields) < _FIELDS.get(kind, 1):
        return None
    return b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))


def signed_with(certificate: bytes) -> str | None:
    """Return the algorithm of a certificate's signature; None if this is no certificate."""
    fields = (_STRING,) * _FIELDS.get(_certified_kind(certificate), 0)
    shape = (*_HEAD, *fields, *_TAIL)
    found = _strings(certificate, shape)
    if not fields or len(found) < shape.count(_STRING):
        return None
    return b"".join(_strings(found[-1], (_STRING,))).decode("ascii", "replace")


def _certified_kind(certificate: bytes) -> str:
    """Return the type of the key in a certificate; empty if it is none."""
    name = b"".join(_strings(certificate, (_STRING,))).decode("ascii", "replace")
    kinds = {kind.partition("@")[0] + _CERTIFIED: kind for kind in _FIELDS}
    return kinds.get(name, "")


def _strings(blob: bytes, shape: tuple[int, ...]) -> list[bytes]:
    """Return the strings at the beginning of a blob, each behind its length (RFC 4251, 5).

    They end where the blob does not have the shape any more.
    """
    found: list[bytes] = []
    for skipped in shape:
        start, size = (4, int.from_bytes(blob[:4], "big")) if skipped == _STRING else (0, skipped)
        if start + size > len(blob):
            break
        if skipped == _STRING:
            found.append(blob[start : start + size])
        blob = blob[start + size :]
    return found


def _is_revoked(here: tuple[Pin, ...], blob: bytes) -> bool:
    return any(pin.marker == "@revoked" and pin.blob == blob for pin in here)


def _judge(here: tuple[Pin, ...], marker: str, blob: bytes) -> Verdict:
    """Decide among the pins of one host: those with the marker are trusted."""
    trusted = [pin.blob for pin in here if pin.marker == marker]
    if _is_revoked(here, blob):
        reason = "revoked"
    elif blob in trusted:
        reason = "trusted"
    else:
        reason = "changed" if trusted else "unknown"
    return Verdict(reason, fingerprint(blob), tuple(dict.fromkeys(map(fingerprint, trusted))))


def preferred_kinds(pins: tuple[Pin, ...], host: str, port: int) -> tuple[str, ...]:
    """Return the key types pinned for a host: a server with several keys is to show that one."""
    plain = (pin.kind for pin in lookup(pins, host, port) if not pin.marker)
    return tuple(dict.fromkeys(plain))


def has_authority(pins: tuple[Pin, ...], host: str, port: int) -> bool:
    """Return whether a host may show a certificate: without an authority none could be judged."""
    return any(pin.marker == "@cert-authority" for pin in lookup(pins, host, port))


def fingerprint(blob: bytes) -> str:
    """Return ``SHA256:…`` as OpenSSH shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"
