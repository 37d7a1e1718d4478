"""Transports that trust the wrong server, or wait for a dead one (CONN-02, CONN-04, CONN-05)."""

from __future__ import annotations

import time
from typing import Any

from transport_core import AuthenticationError, CommandTimeoutError, Delivery, HostKeyError

from .connections import HeldTransport


class TrustsOnFirstUse(HeldTransport):
    """Takes a key for which it has no pin."""

    def check_host_key(self) -> None:
        if self.target.facts.get("refusal") != "unknown":
            super().check_host_key()


class IgnoresRevocations(HeldTransport):
    """A key that is pinned is good, revoked or not."""

    def check_host_key(self) -> None:
        if self.target.facts.get("refusal") != "revoked":
            super().check_host_key()


class ChecksTheKeyOnce(HeldTransport):
    """Knows the server when it comes back."""

    def check_host_key(self) -> None:
        if not self.server.changed:
            super().check_host_key()


class TrustsHops(HeldTransport):
    """Checks the key of the target only."""

    def check_host_key(self) -> None:
        if self.target.facts["at"] == "target":
            super().check_host_key()


class ReadsPlainNamesOnly(HeldTransport):
    """Cannot read a hashed known_hosts."""

    def check_host_key(self) -> None:
        if self.target.variant.startswith("hashed"):
            raise self.refusal("unknown")
        super().check_host_key()


class StumblesOverALine(HeldTransport):
    """A malformed line makes the rest unreadable."""

    def check_host_key(self) -> None:
        if self.target.variant == "malformed lines before it":
            raise self.refusal("unknown")
        super().check_host_key()


class TellsWhoItIsFirst(HeldTransport):
    """Logs in, and looks at the key then."""

    def check_host_key(self) -> None:
        self.server.attempts += 1
        super().check_host_key()


class EveryKeyIsUnknown(HeldTransport):
    """Does not tell a changed key from one that it has never seen."""

    def refusal(self, reason: str) -> Exception:
        return super().refusal("unknown")


class HidesFingerprints(HeldTransport):
    """Says that the key is wrong, and not which."""

    def refusal(self, reason: str) -> Exception:
        return HostKeyError("wrong key", reason=reason, hop=self.target.facts["at"])


class KeysAreCredentials(HeldTransport):
    """Takes a refused server for one that refuses."""

    def refusal(self, reason: str) -> Exception:
        return AuthenticationError("no", delivery=Delivery.NOT_SENT, hop="target")


class NamesTheTargetOnly(HeldTransport):
    """Blames the target for what is wrong at a hop."""

    def refusal(self, reason: str) -> Exception:
        error: Any = super().refusal(reason)
        error.hop = "target"
        return error


class OffersAllKeysToHops(HeldTransport):
    """Tries at the hop what is meant for the target."""

    async def log_in(self) -> None:
        self.server.offered_to_hop[self.target.facts["login_key"]] += 1
        await super().log_in()


class NeverAsks(HeldTransport):
    """Waits for a peer for as long as it takes."""

    def freeze(self, at: str) -> None:
        self.frozen = True


class AsksInCallsOnly(HeldTransport):
    """Does not miss a peer while it wants nothing of it."""

    _busy = 0

    async def run(self, *args: Any, **options: Any) -> Any:
        self._busy += 1
        try:
            return await super().run(*args, **options)
        finally:
            self._busy -= 1

    def freeze(self, at: str) -> None:
        super().freeze(at)
        if not self._busy and self._keepalive is not None:
            self._keepalive.cancel()


class TrustsHopsToLive(HeldTransport):
    """Asks the target, and takes silence of a hop for a slow network."""

    def freeze(self, at: str) -> None:
        if at == "target":
            super().freeze(at)
        else:
            self.frozen = True


class BlamesThePeer(HeldTransport):
    """Takes a loop that stood still for a peer that did."""

    _seen = 0.0

    async def connected(self) -> None:
        now = time.monotonic()
        if self._seen and now - self._seen > self.target.facts.get("dead_after", 30.0):
            self.lose()
        self._seen = now
        await super().connected()


class ClaimsTheEnd(HeldTransport):
    """Says that a command was stopped where nobody can have seen it."""

    async def run(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().run(*args, **options)
        except CommandTimeoutError as error:
            error.stopped = True
            raise
