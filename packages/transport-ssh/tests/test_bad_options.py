"""Options that nothing can be done with: told at construction, and nothing else comes out."""

import asyncio
import base64
import copy
import dataclasses
import math
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import hostile_server as hostile
import pytest
from transport_core import ConfigurationError, ConnectivityError, Delivery, HostKeyError
from transport_ssh import Agent, Hop, KnownHosts, PrivateKey, SSHOptions, SSHTransport

FLAG: Any = True
GOOD: dict[str, Any] = {
    "host": "h",
    "user": "u",
    "auth": PrivateKey("/no/such/key"),
    "known_hosts": KnownHosts(text=""),
}
NO_TEXT: tuple[Any, ...] = (7, FLAG, b"h", [], {}, object(), "", "a\0b", "\ud800")
NO_NUMBER: tuple[Any, ...] = ("1", b"1", [], None, FLAG, object(), 1j, math.nan, math.inf)
HOSTS = (
    "-oProxyCommand=x", "-h", "ssh://", "ssh://h", "ssh://u@h:22", "u@h", "u@@h", "@", "h:22",
    "[::1]", "[h]:22", "a b", " h", "a\tb", "a\nb", "a\x1bb", "a\x7fb", "a\x9bb", "a\u202eb",
    "\u00a0", "a/b", "x" * 256,
)  # fmt: skip
"""Targets as they stand in URLs, in other tools' options and in attacks on both."""


def bad() -> Iterator[tuple[str, Any]]:
    """Give option and value."""
    for name in ("host", "user"):
        yield from ((name, value) for value in (*NO_TEXT, None))
    yield from (("host_key_alias", value) for value in NO_TEXT)
    yield from (("host", value) for value in HOSTS)
    yield from (("user", value) for value in ("-l", "a b", "a\nb", "a\u202eb", "x" * 256))
    yield from (("auth", value) for value in (*NO_TEXT, None, "key", PrivateKey))
    yield from (("known_hosts", value) for value in (*NO_TEXT, None, "file", KnownHosts))
    yield from (("via", value) for value in (7, None, "ab", {"a": 1}, [None], ["h"], iter(())))
    for name in ("port", "keepalive_count", "max_sessions", "logins_per_minute"):
        yield from ((name, value) for value in (*NO_NUMBER, 0, -1, 1.5))
    yield from (("port", value) for value in (65536, 2**70))
    for name in ("connect_timeout", "keepalive_interval", "kill_grace"):
        yield from ((name, value) for value in (*NO_NUMBER, 0, -1, -math.inf, 2**2000))


def outcome(call: Callable[[], object]) -> str:
    """Return what became of a call in one word and text."""
    try:
        return f"accepted: {call()!r}"
    except ConfigurationError as error:
        return f"ConfigurationError: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def test_an_impossible_option_is_told_at_construction() -> None:
    """Each by a ConfigurationError that names the option, and is a ValueError."""
    found = {
        (option, repr(value)): outcome(partial(SSHOptions, **{**GOOD, option: value}))
        for option, value in bad()
    }
    wrong = {
        key: told
        for key, told in found.items()
        if not told.startswith("ConfigurationError") or key[0] not in told
    }
    assert not wrong
    assert len(found) > 150
    assert issubclass(ConfigurationError, ValueError)


def test_a_hop_is_checked_like_the_target() -> None:
    """What a jump host cannot be is told just as well."""
    hops = [(option, value) for option, value in bad() if option in ("host", "port", "user")]
    accepted = [
        (option, value)
        for option, value in hops
        if outcome(partial(Hop, **{**GOOD, option: value}))[:5] != "Confi"
    ]
    assert not accepted


def test_pins_have_exactly_one_source_of_the_right_kind() -> None:
    """A text is a str, a path names a file; nothing is read."""
    paths = [value for value in NO_TEXT if value != b"h"]
    told = [outcome(partial(KnownHosts, path=path)) for path in (*paths, b"h")]
    told += [outcome(partial(KnownHosts, text=text)) for text in NO_TEXT[:5]]
    assert not [each for each in told if not each.startswith("ConfigurationError: KnownHosts")]


MAPPINGS: tuple[Any, ...] = (
    None, 7, "x", [], {}, {"host": 1}, {1: 2}, {"host": "h"},
    {**GOOD, "identity": "k"}, {**GOOD, "via": [7]}, {**GOOD, "via": "ab"}, {**GOOD, "via": None},
    {**GOOD, "via": [{}]}, {**GOOD, "via": [[]]}, {**GOOD, "known_hosts": 7},
    {**GOOD, "Port": 22}, {**GOOD, "port ": 22}, {**GOOD, "": 1},
)  # fmt: skip


@pytest.mark.parametrize("options", MAPPINGS)
def test_a_mapping_that_is_no_configuration_is_told(options: Any) -> None:
    """As it may come from a file: unknown, missing, of another type."""
    told = outcome(lambda: SSHTransport.from_options(options))
    assert told.startswith("ConfigurationError")


def test_what_is_no_options_or_callback_is_a_type_error() -> None:
    """The caller's mistakes in Python."""
    options = SSHOptions(**GOOD)
    with pytest.raises(TypeError, match="options"):
        SSHTransport({"host": "h"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_event"):
        SSHTransport(options, on_event=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_event is called, not awaited"):
        SSHTransport(options, on_event=asyncio.sleep)  # type: ignore[arg-type]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host",
    (".", "..", "a" * 70, "%00", "m\u00fcnchen.invalid", "h..invalid", "*", "$(x).invalid", "1.2"),
)  # fmt: skip
async def test_a_host_that_is_none_is_told_when_it_is_looked_up(host: str, tmp_path: Path) -> None:
    """Whatever the resolver says of it: a connectivity error, in time, with nothing sent."""
    key = tmp_path / "key"
    key.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    key.chmod(0o600)
    given = {**GOOD, "host": host, "auth": PrivateKey(key), "connect_timeout": 2.0, "port": 1}
    with pytest.raises(ConnectivityError) as caught:
        async with SSHTransport(SSHOptions(**given)):
            pass
    assert caught.value.delivery is Delivery.NOT_SENT
    assert caught.value.hop


PINS: tuple[bytes, ...] = (
    b"",
    b"garbage",
    b"\xff\xfe\x00",
    b"\0" * 100,
    b"a b\r\nc d\r\n",
    b"\xef\xbb\xbf",
    b"|1|x|y z w",
    b"@revoked",
    b"@cert-authority *",
    b"* ssh-rsa AAAA",
    b"[h]:x ssh-ed25519 AAAA",
    b"!* k AAAA",
    b"# only\n" * 100_000,
    b"x" * 1_000_000,
    b"h ssh-ed25519 " + b"A" * 100_000,
)


@pytest.mark.asyncio
@pytest.mark.parametrize("pins", range(len(PINS)))
async def test_pins_that_pin_nothing_let_nobody_in(pins: int, tmp_path: Path) -> None:
    """Whatever the file holds: the host is unknown, and nothing else comes out."""
    path = tmp_path / "known_hosts"
    path.write_bytes(PINS[pins])

    async with hostile.listening(hostile.AnybodyIsWelcome) as port:
        options = dataclasses.replace(hostile.options(port), known_hosts=KnownHosts(path=path))
        with pytest.raises(HostKeyError) as caught:
            async with SSHTransport(options):
                pass
    assert caught.value.reason == "unknown"


def _armour(inside: bytes) -> bytes:
    begin, end = b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"\n-----END OPENSSH PRIVATE KEY-----\n"
    return begin + inside + end


_KEY = asyncssh.generate_private_key("ssh-ed25519")
_WHOLE = _KEY.export_private_key()
KEYS = {
    "empty": b"",
    "garbage": b"\xff\0garbage",
    "public": _KEY.export_public_key(),
    "cut short": _WHOLE[: len(_WHOLE) // 2],
    "without its end": _WHOLE[:-60],
    "encrypted": _KEY.export_private_key("pkcs8-pem", passphrase="secret"),
    "PuTTY": b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
    "another PEM": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "no base64": _armour(b"!!!"),
    "huge numbers": _armour(base64.b64encode(b"openssh-key-v1\0" + b"\xff" * 200)),
    "deep DER": b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(b"\x30\x80" * 2000) + b"\n"
    b"-----END PRIVATE KEY-----\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", KEYS)
async def test_a_key_that_is_none_is_a_configuration_error(name: str, tmp_path: Path) -> None:
    """From a file or as bytes, told before anything is sent; the content is in no text."""
    data = KEYS[name]
    path = tmp_path / "key"
    path.write_bytes(data)
    path.chmod(0o600)
    for auth in (PrivateKey(path), PrivateKey(data=data)):
        options = SSHOptions(**{**GOOD, "host": "h.invalid", "auth": auth})
        with pytest.raises(ConfigurationError) as caught:
            async with SSHTransport(options):
                pass
        lines = [line for line in data.decode("latin-1").split("\n")[1:-1] if len(line) > 8]
        assert not [line for line in lines if line in str(caught.value)]


@pytest.mark.asyncio
async def test_a_directory_is_no_key_and_no_pins(tmp_path: Path) -> None:
    """Neither is a file that is not there."""
    for path in (tmp_path, tmp_path / "missing", tmp_path / ("n" * 300)):
        for given in ({"auth": PrivateKey(path)}, {"known_hosts": KnownHosts(path=path)}):
            with pytest.raises(ConfigurationError):
                async with SSHTransport(SSHOptions(**{**GOOD, "host": "h.invalid", **given})):
                    pass


_TEXT = _WHOLE.decode()
_FOR_A_PATH: dict[str, Callable[[str], object]] = {
    "PrivateKey": PrivateKey,
    "certificate": lambda text: PrivateKey("/k", certificate=text),
    "Agent": Agent,
    "socket": lambda text: Agent("SHA256:x", socket=text),
    "KnownHosts": KnownHosts,
    "one of several": lambda text: KnownHosts(path=["/k", text]),
    "path-like": lambda text: PrivateKey(Path(text)),
    "identity=": lambda text: SSHOptions.from_mapping(
        {"host": "h", "user": "u", "known_hosts": "/k", "identity": text}
    ),
    "known_hosts=": lambda text: SSHOptions.from_mapping(
        {"host": "h", "user": "u", "known_hosts": text, "identity": "/k"}
    ),
    "agent=": lambda text: SSHOptions.from_mapping(
        {"host": "h", "user": "u", "known_hosts": "/k", "agent": text}
    ),
    "from_ssh_config": lambda text: SSHOptions.from_ssh_config("h", path=text),
    "an override": lambda text: SSHOptions.from_ssh_config("h", path="/dev/null", identity=text),
}


@pytest.mark.parametrize("form", ("whole", "escaped line ends", "no header", "no newline"))
@pytest.mark.parametrize("way", _FOR_A_PATH)
def test_a_key_that_is_given_for_its_path_is_refused_and_not_shown(way: str, form: str) -> None:
    """A path is shown in texts and reprs, and pickled: at construction, before it can be."""
    lines = _TEXT.split("\n")
    text = {
        "whole": _TEXT,
        "escaped line ends": _TEXT.replace("\n", "\\n"),
        "no header": "\n".join(lines[1:-2]),
        "no newline": lines[0] + lines[1],
    }[form]
    with pytest.raises(ConfigurationError, match="holds a key, not a path") as told:
        _FOR_A_PATH[way](text)
    error = told.value
    assert error.hint
    whole = f"{error}{error!r}{error.args}{pickle.dumps(error)!r}"
    assert not [line for line in lines[1:-2] if line in whole]
    assert (error.__cause__, error.__context__) == (None, None)


def test_a_public_key_with_the_end_of_its_line_is_one() -> None:
    """As it stands in its file."""
    text = _KEY.export_public_key().decode()
    assert text.endswith("\n")
    assert Agent(text).identity == text


def test_the_path_of_the_pins_is_their_subject() -> None:
    """As that of a key is its own; the lines have to be called by name."""
    assert KnownHosts("/k") == KnownHosts(path="/k")
    with pytest.raises(ConfigurationError, match="give text="):
        KnownHosts("h ssh-ed25519 AAAA\n")


def test_a_configuration_is_named_by_a_path() -> None:
    """What is none is told as an option is."""
    paths: tuple[Any, ...] = (5, b"/c", "a\0b", "")
    for path in paths:
        told = outcome(partial(SSHOptions.from_ssh_config, "h", path=path))
        assert told.startswith("ConfigurationError: from_ssh_config: path")


def test_key_material_is_not_pickled() -> None:
    """A pickle is written somewhere; a path may be, and a copy is the value itself."""
    secret, path = PrivateKey(data=b"CANARY"), PrivateKey("/k")
    for holder in (secret, SSHOptions(**{**GOOD, "auth": secret})):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(holder)
    options = SSHOptions(**{**GOOD, "auth": path})
    assert pickle.loads(pickle.dumps(options)) == options
    assert copy.deepcopy(secret) is secret
