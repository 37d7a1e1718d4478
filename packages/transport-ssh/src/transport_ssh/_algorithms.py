"""What is offered in a key exchange: the whole of it, so that no default brings in what is weak.

Nothing with SHA-1, DSA or CBC, and no group that a server may choose as short as 1024 bits. No
chacha20-poly1305 either: it is safe only where both sides know "strict kex" (CVE-2023-48795), and
a server that does not still has AES. Pure; must not know asyncssh.
"""

from __future__ import annotations

KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
)

# AES-GCM is the fastest by far on CPUs with AES instructions.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)

MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)

SIGNATURES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""Ways to sign, of hosts and of users."""

_CERTIFIED = "-cert-v01@openssh.com"

# An RSA key signs with SHA-2 (RFC 8332); its own name would mean SHA-1.
_OF_KIND = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


def host_keys(kinds: tuple[str, ...], *, certified: bool) -> tuple[str, ...]:
    """Return the host key algorithms to ask for, in order.

    All of them stay on offer, so that a host that now shows another type is a changed key, with
    its fingerprint, and not a failed negotiation.

    Args:
        kinds: Types of the pinned keys: a server with several keys is to show one of these.
        certified: Whether an authority is pinned; without one a certificate cannot be judged.
    """
    certificates = [_certificate(alg) for alg in SIGNATURES] if certified else []
    pinned = [alg for kind in kinds for alg in _OF_KIND.get(kind, (kind,)) if alg in SIGNATURES]
    return tuple(dict.fromkeys([*certificates, *pinned, *SIGNATURES]))


def _certificate(alg: str) -> str:
    """Return how an algorithm is called for a certified key: its vendor's name comes last."""
    return alg.partition("@")[0] + _CERTIFIED
