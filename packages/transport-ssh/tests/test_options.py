"""Options: impossible ones are refused before anything happens, with what and where."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from transport_core import ConfigurationError, build, names
from transport_ssh import Hop, KnownHosts, PrivateKey, SSHOptions, SSHTransport

GOOD = SSHOptions(
    host="h", user="u", auth=PrivateKey("/no/such/key"), known_hosts=KnownHosts(text="")
)


@pytest.mark.parametrize(
    ("option", "value"),
    (
        ("host", ""),
        ("host", "-oProxyCommand=x"),
        ("host", "a b"),
        ("host", "a\nb"),
        ("host", "u@h"),
        ("host", "x" * 256),
        ("host", None),
        ("user", ""),
        ("user", "-l"),
        ("port", 0),
        ("port", 65536),
        ("port", "22"),
        ("port", True),
        ("auth", "key"),
        ("known_hosts", None),
        ("connect_timeout", 0),
        ("connect_timeout", float("nan")),
        ("connect_timeout", float("inf")),
        ("keepalive_interval", -1),
        ("keepalive_count", 0),
        ("max_sessions", 0),
        ("logins_per_minute", 0),
        ("kill_grace", "2"),
        ("files", "scp"),
        ("files", None),
        ("commands", 1),
        ("via", ("h",)),
    ),
)
def test_an_impossible_option_is_a_configuration_error(option: str, value: Any) -> None:
    """The text names the option."""
    with pytest.raises(ConfigurationError, match=option):
        dataclasses.replace(GOOD, **{option: value})


@pytest.mark.parametrize(
    ("interval", "count", "asked"),
    ((7.5, 3, (7.5, 3)), (10.0, 2, (10.0, 2)), (15.0, 1, (10.0, 2)), (1.0, 30, (1.0, 30))),
)
def test_a_dead_peer_is_noticed_within_the_bound_and_never_by_one_question(
    interval: float, count: int, asked: tuple[float, int]
) -> None:
    """A loop that stood still misses the answer to one."""
    options = dataclasses.replace(GOOD, keepalive_interval=interval, keepalive_count=count)
    assert options.keepalive == asked
    assert asked[0] * (asked[1] + 1) == interval * (count + 1)


def test_sources_are_exactly_one() -> None:
    """Neither none nor two."""
    for bad in (PrivateKey, lambda: PrivateKey("a", b"b"), KnownHosts):
        with pytest.raises(ConfigurationError):
            bad()


def test_no_secret_is_in_a_repr() -> None:
    """Key material and pins are not shown."""
    options = dataclasses.replace(
        GOOD, auth=PrivateKey(data=b"CANARY", passphrase=lambda: "CANARY")
    )
    assert "CANARY" not in repr(options) + repr(SSHTransport(options))


def test_options_from_a_mapping_name_what_is_unknown_or_missing() -> None:
    """As a configuration file would give them."""
    plain = {"host": "h", "user": "u", "identity": "~/k", "known_hosts": "~/kh"}
    hop = {**plain, "host": "gate"}
    options = SSHOptions.from_mapping({**plain, "via": [hop]})
    assert [h.host for h in options.hops] == ["gate", "h"]
    assert isinstance(options.via[0], Hop)
    with pytest.raises(ConfigurationError, match=r"hots.*did you mean 'host'"):
        SSHOptions.from_mapping({**plain, "hots": 1})
    with pytest.raises(ConfigurationError, match=r"missing option: user, identity \(or agent"):
        SSHOptions.from_mapping({"host": "h", "known_hosts": "x"})
    with pytest.raises(ConfigurationError, match=r"via\[0\]"):
        SSHOptions.from_mapping({**plain, "via": [{"host": "g"}]})


def test_it_is_found_and_built_by_name() -> None:
    """DISC, with the entry point of the installed distribution."""
    assert "ssh" in names()
    built = build("ssh", {"host": "h", "user": "u", "identity": "~/k", "known_hosts": "~/kh"})
    assert built.name == "ssh://u@h:22"


def test_importing_does_not_import_asyncssh() -> None:
    """Listing transports must not cost 0.2 s."""
    code = "import sys, transport_ssh; sys.exit('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
