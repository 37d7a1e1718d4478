"""Ways to log in besides a plain key, and what a client has to know for each.

Knows nothing of how accounts and servers are made: only the names of the keys, which all
providers give alike.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from transport_testbed.stack._spec import Endpoint

#: Kinds of login, each with an account of its own; the second group is asked by PAM.
BY_SSHD = ("certificate", "agent", "encrypted-key", "password")
BY_PAM = ("totp", "two-factors")

#: Keys of these logins. The stranger's is in order, and nobody lets it in.
KEYS = ("certified", "signer", "stranger")
ENCRYPTED = "encrypted"


def seed() -> str:
    """Return a new secret that one-time codes are made from."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a client is asked for."""

    passphrase: str = field(default_factory=secrets.token_urlsafe, repr=False)
    password: str = field(default_factory=secrets.token_urlsafe, repr=False)
    codes: str = field(default_factory=seed, repr=False)


def completed(kind: str, plain: Endpoint, keys: Path, agent: Path, told: Secrets) -> Endpoint:
    """Complete an endpoint by what its kind of login takes, and what would be wrong.

    *keys* is the directory of the run's keys, *agent* the socket of its agent.
    """
    facts: dict[str, Any] = {}
    if kind == "certificate":
        path = str(keys / "certified")
        facts = {"identity": path, "certificate": f"{path}-cert.pub",
                 "wrong": {"certificate": f"{path}-stranger-cert.pub"}}  # fmt: skip
    elif kind == "agent":
        facts = {"identity": f"{plain.identity}.pub", "agent": str(agent),
                 "wrong": {"identity": f"{wrong(keys)['identity']}.pub"}}  # fmt: skip
    elif kind == "encrypted-key":
        facts = {"identity": str(keys / ENCRYPTED), "secret": told.passphrase}
    elif kind == "password":
        facts = {"identity": "", "secret": told.password,
                 "wrong": {"secret": secrets.token_urlsafe()}}  # fmt: skip
    else:
        facts = {"secret": told.codes, "wrong": {"secret": seed()}}
        facts |= {"identity": ""} if kind == "totp" else {}
    return replace(plain, login=kind, **facts)


def wrong(keys: Path) -> dict[str, str]:
    """What lets nobody in, in place of a key that does."""
    return {"identity": str(keys / "stranger")}
