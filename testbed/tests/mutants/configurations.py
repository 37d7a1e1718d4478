"""A simulated login that a configuration leads to, right and broken (CONN-07).

The configuration is simulated as well: a variant of the place changes one of its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from transport_core import (
    AuthenticationError,
    ConfigurationError,
    ConnectivityError,
    HostKeyError,
    TransportError,
)
from transport_testbed.conformance import Target

from .connections import HeldTransport, Server

_NAMES = ("Option value", "config:1")


class ConfiguredTransport(HeldTransport):
    """Logs in as its configuration says; nothing is broken here."""

    OFFERS: ClassVar = {"ssh-config"}
    FACTS: ClassVar[Mapping[str, Any]] = {"home": "/home/right"}
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "another user": {"home": "/home/other"},
        "another spelling": {},
        "another port": {"raises": ConnectivityError("port", hop="hop 2 of 2")},
        "another key": {"raises": AuthenticationError("key", hop="hop 2 of 2")},
        "another user at the hop": {"raises": AuthenticationError("user", hop="hop 1 of 2")},
        "no pins": {"raises": HostKeyError("pins", reason="unknown", hop="hop 2 of 2")},
        "no pins at the hop": {
            "raises": HostKeyError("pins", reason="unknown", hop="hop 1 of 2"),
        },
        "another way": {"names": _NAMES},
        "a condition that is a program": {"names": _NAMES},
        "no check of host keys": {"names": _NAMES},
        "names from a resolver": {"names": _NAMES},
    }

    def __init__(self, server: Server, target: Target) -> None:
        super().__init__(server, target)
        self.home = str(target.facts.get("home"))
        if "names" in target.facts:
            self.refuse(" ".join(target.facts["names"]))

    def refuse(self, text: str) -> None:
        """Name an option that is not supported."""
        raise ConfigurationError(text)

    async def __aenter__(self) -> Self:
        error: TransportError | None = self.target.facts.get("raises")
        if error is not None:
            self.fail(error)
        return await super().__aenter__()

    def fail(self, error: TransportError) -> None:
        """Fail as a login with a wrong value does."""
        raise error

    async def run(self, *args: Any, **options: Any) -> Any:
        return await super().run(*args, **{**options, "env": {"HOME": self.home}})


class LogsInAsOneself(ConfiguredTransport):
    """Takes the name of who runs it, whatever User says."""

    def __init__(self, server: Server, target: Target) -> None:
        super().__init__(server, target)
        self.home = "/home/oneself"


class IgnoresTheHop(ConfiguredTransport):
    """Goes straight to what only a hop reaches."""

    async def __aenter__(self) -> Self:
        raise ConnectivityError("no route to host")


class ReadsItOnce(ConfiguredTransport):
    """Believes for ever what it has read of the first configuration."""

    def __init__(self, server: Server, target: Target) -> None:
        super().__init__(server, target)
        self.home = str(self.FACTS["home"])


class TakesOneSpelling(ConfiguredTransport):
    """Knows a configuration only as it is mostly written."""

    def __init__(self, server: Server, target: Target) -> None:
        super().__init__(server, target)
        if target.variant == "another spelling":
            raise ConfigurationError("bad configuration option: USER")


class IgnoresPort(ConfiguredTransport):
    """Takes the port that it likes."""

    def fail(self, error: TransportError) -> None:
        if not isinstance(error, ConnectivityError):
            super().fail(error)


class OffersOtherKeys(ConfiguredTransport):
    """Offers all keys that are there, until one is let in."""

    def fail(self, error: TransportError) -> None:
        if self.target.variant != "another key":
            super().fail(error)


class TrustsOtherFiles(ConfiguredTransport):
    """Takes pins from its own file, whatever UserKnownHostsFile says."""

    def fail(self, error: TransportError) -> None:
        if not isinstance(error, HostKeyError):
            super().fail(error)


class HopsAreAlike(ConfiguredTransport):
    """Does not say which server of the configuration has failed."""

    def fail(self, error: TransportError) -> None:
        raise type(error)(str(error), hop="somewhere")


class PassesOverOptions(ConfiguredTransport):
    """What it does not support it leaves out in silence."""

    def refuse(self, text: str) -> None:
        """Do nothing."""


class NamesNoLine(ConfiguredTransport):
    """Says that something is not supported, and not where."""

    def refuse(self, text: str) -> None:
        super().refuse(text.partition(" config:")[0])
