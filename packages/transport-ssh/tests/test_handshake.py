"""Host keys and algorithms against a server in this process: what it shows is made up here."""

from __future__ import annotations

import asyncio
import base64
import os
import pwd
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from peer import AUTHORITY, HOST, KEY, KIND, OTHER, public, server
from transport_core import (
    ConfigurationError,
    ConnectivityError,
    Delivery,
    Event,
    HostKeyError,
    Warned,
)
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, _algorithms, _dial
from transport_ssh._ask import Clock
from transport_ssh._client import Client
from transport_testbed.conformance._watch import LoopWatch

pytestmark = pytest.mark.asyncio


# -- the file


async def test_a_file_is_read_at_each_connect(tmp_path: Path) -> None:
    """What is written into it counts from the next connection on."""
    async with server() as peer:
        path = tmp_path / "known"
        path.write_text(peer.line(KEY))
        transport = peer.transport(path)
        async with transport:
            path.write_text(peer.line(OTHER))
        with pytest.raises(HostKeyError) as caught:
            await transport.__aenter__()
        assert caught.value.reason == "changed"
        path.write_text(peer.line(OTHER) + peer.line(KEY))
        async with transport:
            pass
        assert peer.logins == 2


@pytest.mark.parametrize("form", ("{}", "{}\n", "\ufeff{}", "# c\r\n\r\n{}\r\n", "x\x0c{}\n"))
async def test_ends_of_lines(form: str, tmp_path: Path) -> None:
    """CRLF, a byte order mark and a missing end are read; a form feed begins no line."""
    async with server() as peer:
        path = tmp_path / "known"
        path.write_bytes(form.format(peer.line(KEY).rstrip()).encode())
        if "\x0c" in form:
            await peer.refuses(path, "unknown")
        else:
            await peer.opens(path)


async def test_a_malformed_line_is_skipped_with_a_warning() -> None:
    """The event says which, and at which hop; what follows counts."""
    events: list[Event] = []
    async with server() as peer:
        text = f"garbage\n{peer.line(KEY)}@odd {peer.line(OTHER)}"
        async with peer.transport(text, events):
            pass
    warned = [event.message for event in events if isinstance(event, Warned)]
    assert len(warned) == 1
    assert "line 1, line 3 " in warned[0]
    assert f"{HOST}:{peer.port}" in warned[0]


async def test_a_file_of_100000_lines_stays_fast_and_does_not_block_the_loop(
    tmp_path: Path,
) -> None:
    """A site's file is long, half of it hashed, and the loop goes on while it is read."""
    key = public(OTHER)
    hashed = f"|1|{base64.b64encode(b's' * 20).decode()}|{base64.b64encode(b'd' * 20).decode()}"
    lines = [f"h{n}.example,[h{n}.example]:2222 {key}\n{hashed} {key}\n" for n in range(50_000)]
    async with server() as peer:
        path = tmp_path / "known"
        path.write_text("".join(lines) + peer.line(KEY))
        with LoopWatch(limit=0.25) as watch:
            async with asyncio.timeout(20.0):
                await peer.opens(path)
    assert not watch.blocked


@pytest.mark.parametrize("what", ("missing", "a directory", "a pipe", "unreadable"))
async def test_a_file_that_cannot_be_read_is_a_matter_of_configuration(
    what: str, tmp_path: Path
) -> None:
    """Nobody is connected to without pins, and the error names the file."""
    path = tmp_path / "known"
    if what == "a directory":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)  # without a writer, for which an open would wait
    elif what == "unreadable":
        if os.geteuid() == 0:
            pytest.skip("root reads everything")
        path.touch(0o000)
    async with server() as peer:
        with pytest.raises(ConfigurationError, match=re.escape(str(path))):
            await peer.opens(path)
        assert not peer.tried


async def test_the_null_device_holds_no_pins() -> None:
    """As those write it who want no file to be read."""
    async with server() as peer:
        await peer.refuses(Path(os.devnull), "unknown")


async def test_an_account_without_a_name_is_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container that runs under any number; asyncssh wants a name, and USER gives it."""
    uid = 54321
    assert uid not in {each.pw_uid for each in pwd.getpwall()}
    monkeypatch.setattr(os, "getuid", lambda: uid)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    async with server() as peer:
        with pytest.raises(ConfigurationError, match="USER"):
            await peer.opens(peer.line(KEY))
        monkeypatch.setenv("USER", "anything")
        await peer.opens(peer.line(KEY))


# -- the key


async def test_an_alias_stands_for_host_and_port() -> None:
    """It is looked up without a port; the address itself does not count any more."""
    async with server() as peer:
        await peer.opens(f"cluster {public(KEY)}", host_key_alias="cluster")
        await peer.refuses(peer.line(KEY), "unknown", host_key_alias="cluster")
        await peer.refuses(f"cluster {public(OTHER)}", "changed", host_key_alias="cluster")


@pytest.mark.parametrize("kind", (KIND, "ssh-rsa", "ecdsa-sha2-nistp256"))
async def test_of_several_keys_the_pinned_one_is_asked_for(kind: str) -> None:
    """Whichever the server would rather show."""
    keys = {each: asyncssh.generate_private_key(each) for each in (KIND, "ecdsa-sha2-nistp256")}
    keys["ssh-rsa"] = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    async with server(*keys.values()) as peer:
        await peer.opens(peer.line(keys[kind]))


async def test_a_server_with_another_type_of_key_has_changed_it() -> None:
    """It is no failed negotiation: the error has the fingerprints."""
    ecdsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    async with server(ecdsa) as peer:
        error = await peer.refuses(peer.line(KEY), "changed")
        assert error.seen == ecdsa.get_fingerprint()
        assert error.expected == (KEY.get_fingerprint(),)


# -- the certificate


def certified(**about: Any) -> tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]:
    """Return the host's key with a certificate of the authority."""
    return KEY, AUTHORITY.generate_host_certificate(KEY, "h", **about)


async def test_a_certificate_of_the_authority_is_accepted() -> None:
    """For the host that it names, by address or alias, or for all if it names none."""
    async with server(certified(principals=[HOST, "cluster"])) as peer:
        authority = peer.line(AUTHORITY, "@cert-authority")
        await peer.opens(authority)
        await peer.opens(f"@cert-authority * {public(AUTHORITY)}", host_key_alias="cluster")
    async with server(certified()) as peer:
        await peer.opens(peer.line(AUTHORITY, "@cert-authority"))


@pytest.mark.parametrize(
    ("about", "wrong"),
    (
        ({"valid_before": "20200101"}, "expired"),
        ({"valid_after": "20990101"}, "not yet valid"),
        ({"principals": ["other"]}, "principal"),
    ),
)
async def test_a_certificate_that_does_not_hold_is_refused(
    about: dict[str, Any], wrong: str
) -> None:
    """The error says what is wrong with it, and shows the host's key."""
    async with server(certified(**about)) as peer:
        error = await peer.refuses(peer.line(AUTHORITY, "@cert-authority"), "unknown")
        assert wrong in str(error)
        assert error.seen == KEY.get_fingerprint()


async def test_a_certificate_that_is_signed_with_sha1_is_refused() -> None:
    """As by OpenSSH: who can make two texts with one hash could make one for any host."""
    authority = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    for algorithm in ("rsa-sha2-256", "ssh-rsa"):
        signed = authority.generate_host_certificate(KEY, "h", sig_alg=algorithm)
        async with server((KEY, signed)) as peer:
            known = peer.line(authority, "@cert-authority")
            if algorithm != "ssh-rsa":
                await peer.opens(known)
                continue
            error = await peer.refuses(known, "unknown")
            assert "signed with ssh-rsa" in str(error)
            assert error.seen == KEY.get_fingerprint()


async def test_a_certificate_names_its_host_in_lower_case() -> None:
    """However the host is written in the options, or its alias; as OpenSSH has it."""
    async with server(certified(principals=["cluster", "localhost"])) as peer:
        authority = f"@cert-authority * {public(AUTHORITY)}"
        await peer.opens(authority, host_key_alias="Cluster")
        await peer.opens(authority, host="LOCALHOST")


async def test_a_user_certificate_is_no_host_certificate() -> None:
    """Who may log in cannot pose as the host."""
    certificate = AUTHORITY.generate_user_certificate(KEY, "u")
    async with server((KEY, certificate)) as peer:
        error = await peer.refuses(peer.line(AUTHORITY, "@cert-authority"), "unknown")
        assert "type" in str(error)


async def test_what_is_revoked_is_refused_whoever_vouches_for_it() -> None:
    """The authority, or the host's own key below it; the error shows which."""
    async with server(certified()) as peer:
        authority = peer.line(AUTHORITY, "@cert-authority")
        for key in (AUTHORITY, KEY):
            error = await peer.refuses(f"{authority}@revoked * {public(key)}", "revoked")
            assert error.seen == key.get_fingerprint()


async def test_without_an_authority_no_certificate_is_asked_for() -> None:
    """The error shows the host's key, which one could pin, and not who signed it."""
    async with server(certified()) as peer:
        assert (await peer.refuses("", "unknown")).seen == KEY.get_fingerprint()
        await peer.opens(peer.line(KEY))


async def test_an_authority_vouches_for_a_key_that_is_not_the_pinned_one() -> None:
    """A line for the host that is out of date does not shut out a host that has been signed."""
    async with server(certified()) as peer:
        await peer.opens(peer.line(OTHER) + peer.line(AUTHORITY, "@cert-authority"))


# -- the algorithms

WEAK = re.compile(r"sha1|^ssh-rsa|dss|cbc|arcfour|3des|group1-|group-exchange|^gss|rsa1024|md5")
VULNERABLE = re.compile(r"chacha20|cbc")


def offered(pins: str) -> dict[str, Iterable[bytes]]:
    """Return all lists of the options with which a hop is dialled."""
    hop = SSHOptions(
        host="h", user="u", auth=PrivateKey(data=b""), known_hosts=KnownHosts(text=pins)
    )
    found, _ = _dial._read_pins(hop)
    client = Client(hop, found, None, Clock(1.0), lambda _: None)
    options = _dial._connection_options(hop, client)
    names = ("kex_algs", "encryption_algs", "mac_algs", "signature_algs")
    lists = {name: getattr(options, name) for name in names}
    return {**lists, "host": [each.encode() for each in options.server_host_key_algs]}


@pytest.mark.parametrize(
    "pins", ("", f"@cert-authority * {public(AUTHORITY)}"), ids=("no authority", "an authority")
)
async def test_nothing_weak_is_offered(pins: str) -> None:
    """No SHA-1, DSA, CBC or short group, whatever asyncssh's defaults are (S4)."""
    for what, algorithms in offered(pins).items():
        words = [each.decode() for each in algorithms]
        assert words, what
        assert not [each for each in words if WEAK.search(each)], what
        assert not [each for each in words if VULNERABLE.search(each)], what


async def test_a_server_with_weak_algorithms_only_is_not_logged_in_to() -> None:
    """Nobody is told who we are over what can be broken, and the error says what is missing."""
    for weak in (
        {"encryption_algs": ["chacha20-poly1305@openssh.com"]},
        {"encryption_algs": ["aes256-cbc"]},
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes128-ctr"]},
    ):
        async with server(**weak) as peer:
            with pytest.raises(ConnectivityError, match="algorithm") as caught:
                await peer.opens(peer.line(KEY))
            assert caught.value.delivery is Delivery.NOT_SENT
            assert not peer.tried


async def test_an_rsa_host_key_signs_with_sha2() -> None:
    """A server that can sign with SHA-1 only is not believed."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    assert "ssh-rsa" not in _algorithms.host_keys(("ssh-rsa",), certified=True)
    async with server(key) as peer:
        await peer.opens(peer.line(key))
