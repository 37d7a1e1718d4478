"""A name of a user's own OpenSSH configuration leads where ``ssh`` would go (CONN-07)."""

from __future__ import annotations

from collections.abc import Mapping

from transport_core import (
    AuthenticationError,
    Capability,
    ConfigurationError,
    ConnectivityError,
    HostKeyError,
    TransportError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import failure

HELD = (Capability.CONNECTION,)

DECIDES: Mapping[str, type[TransportError]] = {
    "another port": ConnectivityError,
    "another key": AuthenticationError,
    "another user at the hop": AuthenticationError,
    "no pins": HostKeyError,
    "no pins at the hop": HostKeyError,
}
"""Variants in which one value is wrong, and how the login must fail for it."""

UNSUPPORTED = (
    "another way",
    "a condition that is a program",
    "no check of host keys",
    "names from a resolver",
)
"""Variants with an option that cannot be followed, and must not be passed over."""


class SSHConfigTests:
    """What the user has written down for ``ssh`` holds here as well."""

    @clause("CONN-07", needs=HELD, offers=("ssh-config", "isolated"), opened=False, about="config")
    async def test_a_name_of_the_users_configuration_is_reached(self, case: Case) -> None:
        """Host, port, user, key, pins and hop are found by name, in blocks and included files."""
        path = case.remote("file")
        assert await _home(case) == case.target.facts["home"], "another user"
        async with case.make() as transport:
            await transport.run(["sh", "-c", 'printf here > "$1"', "sh", path])
        assert case.probe.read(path) == b"here", "another host"

    @clause("CONN-07", needs=HELD, offers=("ssh-config",), opened=False, about="config")
    async def test_a_configuration_may_be_spelled_in_many_ways(self, case: Case) -> None:
        """Capitals, equals signs, quotes, comments, carriage returns."""
        assert await _home(case, "another spelling") == case.target.facts["home"]

    @clause("CONN-07", needs=HELD, offers=("ssh-config",), opened=False, about="config")
    async def test_the_configuration_decides_who_logs_in(self, case: Case) -> None:
        """With another user in it, the login is another's."""
        other = case.target.as_variant("another user").facts["home"]
        assert other != case.target.facts["home"]
        assert await _home(case, "another user") == other

    @clause("CONN-07", "ERR-01", needs=HELD, offers=("ssh-config",), opened=False, about="config")
    async def test_every_value_of_the_configuration_counts(self, case: Case) -> None:
        """A wrong one fails the login in its own way, at the hop that it is written for."""
        hops: dict[str, str | None] = {}
        for variant, kind in DECIDES.items():
            try:
                error = await failure(kind, case.make(variant).__aenter__())
            except AssertionError as wrong:
                raise AssertionError(f"{variant}: {wrong}") from wrong
            hops[variant] = error.hop
        assert None not in hops.values(), f"an error does not say at which hop: {hops}"
        assert hops["no pins"] != hops["no pins at the hop"], f"hops are not told apart: {hops}"

    @clause("CONN-07", needs=HELD, offers=("ssh-config",), opened=False, about="config")
    async def test_what_is_not_supported_is_named(self, case: Case) -> None:
        """An option that would lead elsewhere, or check less, is an error with its line."""
        for variant in UNSUPPORTED:
            error = _refused(case, variant)
            missing = [
                word
                for word in case.target.as_variant(variant).facts["names"]
                if word not in str(error)
            ]
            assert not missing, f"{variant}: the error does not say {missing}: {error}"


async def _home(case: Case, variant: str = "") -> str:
    """Return where the login is at home; each account has a place of its own."""
    try:
        async with case.make(variant) as transport:
            return (await transport.run(["printenv", "HOME"])).stdout.decode().rstrip("\n")
    except TransportError as error:
        raise AssertionError(f"not reached: {error!r}") from error


def _refused(case: Case, variant: str) -> ConfigurationError:
    """Return the error of a configuration that must not even make a transport."""
    try:
        case.make(variant)
    except ConfigurationError as error:
        return error
    raise AssertionError(f"{variant}: passed over in silence")
