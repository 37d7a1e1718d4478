"""Logins to a real sshd with keys of every kind and format, certificates, and an agent."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from transport_core import AuthenticationError, ConfigurationError
from transport_ssh import Agent, KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.stack import Endpoint, Stack, StackSpec, providers

PASSPHRASE = "a passphrase"
SIGN = 13  # of the agent's protocol


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with all ways to log in."""
    provider = providers()[0]
    if reason := provider.unavailable():
        pytest.skip(f"no stack here: {reason}")
    up = provider.start(StackSpec(slurm=False, jump=False, shells=("bash",)))
    yield up
    provider.stop(up)


def to(endpoint: Endpoint, auth: Any) -> SSHTransport:
    """Return a transport to an account of the stack."""
    return SSHTransport(
        SSHOptions(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            auth=auth,
            known_hosts=KnownHosts(text=endpoint.known_hosts),
        )
    )


def refused(stack: Stack, endpoint: Endpoint) -> int:
    """Count refused attempts in the server's log."""
    return Path(stack.logs[f"sshd-{endpoint.server}"]).read_text().count("Failed ")


KINDS: dict[str, dict[str, Any]] = {
    "ssh-ed25519": {},
    "ecdsa-sha2-nistp256": {},
    "ecdsa-sha2-nistp521": {},
    "ssh-rsa": {"key_size": 2048},
}


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", KINDS)
async def test_a_certificate_of_any_kind_of_key_is_one_offer(kind: str, stack: Stack) -> None:
    """RSA as well, which asyncssh alone would offer under two names."""
    endpoint = stack.endpoint("auth-certificate")
    authority = asyncssh.read_private_key(Path(stack.root, "keys", "signer"))
    key = asyncssh.generate_private_key(kind, **KINDS[kind])
    signed = authority.generate_user_certificate(key, "test", principals=[endpoint.user])
    auth = PrivateKey(data=key.export_private_key(), certificate=signed.export_certificate())
    before = refused(stack, endpoint)
    async with to(endpoint, auth) as transport:
        assert (await transport.run(["printf", "in"])).stdout == b"in"
    assert refused(stack, endpoint) == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "form", ("openssh", "pkcs8-pem", "pkcs8-der", "pkcs1-pem", "openssh locked", "pkcs8-pem locked")
)
async def test_a_key_of_any_format_logs_in(form: str, stack: Stack, tmp_path: Path) -> None:
    """Also encrypted, with the passphrase from the callback."""
    endpoint = stack.endpoint("auth-certificate")
    authority = asyncssh.read_private_key(Path(stack.root, "keys", "signer"))
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    name, _, locked = form.partition(" ")
    (tmp_path / "key").write_bytes(key.export_private_key(name, PASSPHRASE if locked else None))
    (tmp_path / "key").chmod(0o600)
    signed = authority.generate_user_certificate(key, "test", principals=[endpoint.user])
    signed.write_certificate(tmp_path / "key-cert.pub")
    auth = PrivateKey(
        tmp_path / "key", passphrase=lambda: PASSPHRASE, certificate=tmp_path / "key-cert.pub"
    )
    async with to(endpoint, auth):
        pass


@pytest.mark.asyncio
async def test_an_agents_key_is_chosen_by_text_fingerprint_or_file(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two is offered and no other, so that the server refuses nothing."""
    endpoint = stack.endpoint("auth-agent")
    text = Path(endpoint.identity).read_text()
    before = refused(stack, endpoint)
    monkeypatch.setenv("SSH_AUTH_SOCK", endpoint.agent)
    for identity in (text, asyncssh.import_public_key(text).get_fingerprint(), endpoint.identity):
        async with to(endpoint, Agent(identity)):
            pass
    assert refused(stack, endpoint) == before


@pytest.mark.asyncio
async def test_an_agent_without_the_chosen_key_offers_none(stack: Stack) -> None:
    """The error lists what it has, by fingerprint, and the server hears of nothing."""
    endpoint = stack.endpoint("auth-agent")
    before = refused(stack, endpoint)
    with pytest.raises(ConfigurationError) as caught:
        await to(endpoint, Agent("SHA256:missing", socket=endpoint.agent)).__aenter__()
    assert str(caught.value).count("SHA256:") == 3
    assert refused(stack, endpoint) == before


@pytest.mark.asyncio
async def test_an_agent_that_declines_to_sign_is_told_from_a_server_that_refuses(
    stack: Stack, tmp_path: Path
) -> None:
    """Its user may have said no (``ssh-add -c``): the key is in order, and so is the account."""
    endpoint = stack.endpoint("auth-agent")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, agent = await asyncio.open_unix_connection(endpoint.agent)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                asked = await _message(reader)
                if asked[4] == SIGN:
                    writer.write(b"\0\0\0\1\5")
                else:
                    agent.write(asked)
                    writer.write(await _message(behind))
        agent.close()
        writer.close()

    async with await asyncio.start_unix_server(talk, tmp_path / "agent"):
        auth = Agent(endpoint.identity, socket=tmp_path / "agent")
        with pytest.raises(AuthenticationError, match=r"SSH agent .* did not sign") as caught:
            await to(endpoint, auth).__aenter__()
    assert "ssh-add -c" in str(caught.value.hint)
    assert "authorized_keys" not in str(caught.value)
    assert caught.value.tried == ()


async def _message(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size, "big"))
