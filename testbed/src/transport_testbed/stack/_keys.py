"""What of a run's keys stands in known_hosts.

Knows nothing of who made them.
"""

from __future__ import annotations

from pathlib import Path


def public(key: Path) -> str:
    """Type and public part of a key, as they stand in known_hosts."""
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def pin(key: Path, host: str, port: int) -> str:
    """The known_hosts line that pins a server with this host key at this address."""
    return f"[{host}]:{port} {public(key)}\n"


def authority_pin(key: Path, host: str, port: int) -> str:
    """The known_hosts line that trusts what an authority has signed, at this address."""
    return f"@cert-authority [{host}]:{port} {public(key)}\n"
