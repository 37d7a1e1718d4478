"""One server, pinned in many ways: known_hosts texts that let a client in, and those that do not.

Pure: text in, text out (format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Must not know servers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping

_SALT = b"twenty bytes of salt"

#: Of the right length for its type, and nobody's.
_STRANGER = base64.b64encode(
    b"".join(len(each).to_bytes(4, "big") + each for each in (b"ssh-ed25519", b"\7" * 32))
).decode()

_MALFORMED = "garbage\n{name} ssh-ed25519\n@odd {name} ssh-ed25519 AAAA\n{name} ssh-ed25519 !!!\n"


def fingerprint(line: str) -> str:
    """Return the fingerprint of the key of a known_hosts line, as OpenSSH shows it."""
    blob = base64.b64decode(line.rsplit(maxsplit=1)[-1])
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def hashed(name: str) -> str:
    """Return a host's name as ``ssh-keygen -H`` writes it."""
    digest = hmac.new(_SALT, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(_SALT).decode()}|{base64.b64encode(digest).decode()}"


def texts(pin: str, authority: str) -> Mapping[str, str]:
    """Return known_hosts texts by what is said of them in the suite.

    Args:
        pin: The line that pins the server's own key, as ``[host]:port type key``.
        authority: The line that trusts who signed it, as ``@cert-authority [host]:port type key``.
    """
    return {**dict(_accepted(pin, authority)), **dict(_refused(pin, authority))}


def _accepted(pin: str, authority: str) -> Iterator[tuple[str, str]]:
    name, key = pin.strip().split(" ", 1)
    wild = "?".join((name[:2], name[3:]))
    yield "hashed name", f"{hashed(name)} {key}\n"
    yield "wildcards", f"{wild[:5]}*,nobody {key}\n"
    yield "a negation of another", f"!nobody,* {key}\n"
    yield "signed by the authority", authority
    yield "an old key beside it", f"{name} ssh-ed25519 {_STRANGER}\n{pin}"
    yield "revoked keys of others", f"@revoked * ssh-ed25519 {_STRANGER}\n{pin}"
    yield "malformed lines before it", _MALFORMED.format(name=name) + pin
    yield "comments and blank lines", f"\ufeff# {pin}\r\n\r\n  {name}\t{key} comment"


def _refused(pin: str, authority: str) -> Iterator[tuple[str, str]]:
    name, key = pin.strip().split(" ", 1)
    host, _, port = name.rpartition(":")
    signer = authority.strip().split(" ", 2)[2]
    yield "no pins", ""
    yield "pinned in a comment", f"# {pin}"
    yield "pinned for another port", f"{host}:{int(port) % 65535 + 1} {key}\n"
    yield "pinned for no port", f"{host.strip('[]')} {key}\n"
    yield "negated name", f"{name},!{name} {key}\n"
    yield "changed", f"{name} ssh-ed25519 {_STRANGER}\n"
    yield "authority as a plain pin", f"{name} {signer}\n"
    yield "revoked", f"{pin}@revoked * {key}\n"
    yield "revoked authority", f"{authority}@revoked {name} {signer}\n"
    yield "revoked, signed by the authority", f"{authority}@revoked {name} {key}\n"
    yield "another authority", f"@cert-authority {name} ssh-ed25519 {_STRANGER}\n"
