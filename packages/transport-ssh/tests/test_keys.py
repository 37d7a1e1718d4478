"""Key files, certificates and agents that cannot be used: told before a byte is sent."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import asyncssh
import asyncssh.asn1
import pytest
from transport_core import AuthenticationError, ConfigurationError, ConnectTimeoutError, Delivery
from transport_ssh import Agent, KnownHosts, PrivateKey, SSHOptions, SSHTransport, _keys
from transport_ssh._ask import in_thread
from transport_ssh._keys import _pair

PUTTY = b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPublic-Lines: 2\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of keys and certificates."""
    place = tmp_path_factory.mktemp("keys")
    authority = asyncssh.generate_private_key("ssh-ed25519")
    made = {
        "good": asyncssh.generate_private_key("ssh-ed25519"),
        "other": asyncssh.generate_private_key("ssh-ed25519"),
        "short": asyncssh.generate_private_key("ssh-rsa", key_size=1024),
    }
    for name, key in made.items():
        key.write_private_key(place / name)
        key.write_public_key(place / f"{name}.pub")
        certificate = authority.generate_user_certificate(key, "i", principals=["me"])
        certificate.write_certificate(place / f"{name}-cert.pub")
        (place / name).chmod(0o600)
    old = authority.generate_user_certificate(made["good"], "i", valid_before=1)
    old.write_certificate(place / "old-cert.pub")
    locked = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    locked.write_private_key(place / "locked", "pkcs8-pem", "passphrase")
    (place / "locked").chmod(0o600)
    return place


class Listener:
    """Something that would notice a connection."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]

    @property
    def reached(self) -> bool:
        """Whether anybody has connected."""
        try:
            self.server.accept()[0].close()
        except BlockingIOError:
            return False
        return True


async def refused(auth: Any, kind: type[Exception] = ConfigurationError, seconds: float = 5) -> Any:
    """Return the error of a login that must end before a byte is sent."""
    listener = Listener()
    try:
        options = SSHOptions(
            host="127.0.0.1",
            port=listener.port,
            user="me",
            auth=auth,
            known_hosts=KnownHosts(text=""),
            connect_timeout=seconds,
        )
        with pytest.raises(kind) as caught:
            await asyncio.wait_for(SSHTransport(options).__aenter__(), 20)
        assert not listener.reached
    finally:
        listener.server.close()
    return caught.value


def written(tmp_path: Path, data: bytes, mode: int = 0o600) -> Path:
    """Return a file."""
    path = tmp_path / "key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def negative() -> bytes:
    """Return an RSA key with a number below zero in it."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key("pkcs1-der")
    numbers: Any = asyncssh.asn1.der_decode(key)
    return asyncssh.asn1.der_encode((*numbers[:3], -numbers[3], *numbers[4:]))


CORPUS: dict[str, Callable[[bytes], bytes]] = {
    "a header that is a pattern": lambda good: b"-----BEGIN ( PRIVATE KEY-----\nAAAA\n",
    "negative numbers": lambda good: negative(),
    "empty": lambda good: b"",
    "blank": lambda good: b"\n\n",
    "zero bytes": lambda good: b"\0" * 400,
    "truncated": lambda good: good[: len(good) // 2],
    "without its end": lambda good: good[: good.rindex(b"-----END")],
    "PuTTY's": lambda good: PUTTY,
    "not ASCII": lambda good: os.urandom(400),
    "a header alone": lambda good: b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
    "PEM of nothing": lambda good: (
        b"-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----"
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("what", CORPUS)
@pytest.mark.parametrize("form", ("path", "data"))
async def test_what_is_no_key_is_a_configuration_error(
    what: str, form: str, keys: Path, tmp_path: Path
) -> None:
    """Whatever stands there, as a file or as bytes; a line with the format helps."""
    data = CORPUS[what]((keys / "good").read_bytes())
    auth = PrivateKey(written(tmp_path, data)) if form == "path" else PrivateKey(data=data)
    error = await refused(auth)
    assert error.delivery is Delivery.NOT_SENT
    assert error.hop
    assert error.hint


@pytest.mark.asyncio
async def test_a_public_key_or_a_certificate_is_no_private_key(keys: Path) -> None:
    """The hint says which of the two files is meant, and not how to hide it from others."""
    for name in ("good.pub", "good-cert.pub"):
        (keys / name).chmod(0o644)
        assert "not the .pub" in (await refused(PrivateKey(keys / name))).hint


@pytest.mark.asyncio
async def test_what_is_no_file_does_not_hang(tmp_path: Path) -> None:
    """A directory, a named pipe without a writer, a device, a socket, and nothing at all."""
    os.mkfifo(tmp_path / "fifo")
    server = socket.socket(socket.AF_UNIX)
    with server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path, tmp_path / "fifo", "/dev/zero", tmp_path / "socket", "/no/such"):
            await refused(PrivateKey(path))


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", (0o644, 0o640, 0o666, 0o604))
async def test_a_key_that_others_can_read_is_refused(mode: int, keys: Path, tmp_path: Path) -> None:
    """Also through a link, as OpenSSH has it; the hint is the command that mends it."""
    path = written(tmp_path, (keys / "good").read_bytes(), mode)
    link = tmp_path / "link"
    link.symlink_to(path)
    for name in (path, link):
        error = await refused(PrivateKey(name))
        assert f"{mode:04o}" in str(error)
        assert error.hint.startswith("chmod 600")


@pytest.mark.asyncio
async def test_an_rsa_key_of_1024_bits_is_refused(keys: Path) -> None:
    """It is too short to be safe, whether or not the server minds."""
    assert "1024" in str(await refused(PrivateKey(keys / "short")))


@pytest.mark.asyncio
async def test_an_encrypted_key_needs_the_passphrase_that_fits(keys: Path) -> None:
    """None, a wrong one, none from the callback, a callback that fails, one that gives no text."""

    async def later() -> str:
        return "wrong too"

    def fails() -> str:
        raise LookupError("CANARY")

    bad: list[tuple[Any, type[Exception]]] = [
        (None, ConfigurationError),
        (lambda: "wrong", ConfigurationError),
        (lambda: "", ConfigurationError),
        (later, ConfigurationError),
        (lambda: None, ConfigurationError),
        (lambda: b"passphrase", ConfigurationError),
        (lambda: "CANARY\udce9", ConfigurationError),
        (fails, AuthenticationError),
    ]
    for callback, kind in bad:
        error = await refused(PrivateKey(keys / "locked", passphrase=callback), kind)
        assert "CANARY" not in f"{error!r}{error.__context__!r}" or callback is fails
        assert "CANARY" not in str(error)
        assert error.delivery is Delivery.NOT_SENT
    assert isinstance(error.__cause__, LookupError)


@pytest.mark.asyncio
async def test_a_passphrase_is_not_asked_for_a_key_in_the_clear(keys: Path) -> None:
    """What is not needed is not asked: here the certificate ends it first."""

    def never() -> str:
        raise AssertionError

    auth = PrivateKey(keys / "good", passphrase=never, certificate=b"no certificate")
    assert "no certificate" in str(await refused(auth))


@pytest.mark.asyncio
async def test_a_certificate_must_fit_its_key_and_its_time(keys: Path, tmp_path: Path) -> None:
    """For another key, past its end, no certificate at all, a directory, not there."""
    good = keys / "good"
    said: dict[Any, str] = {
        keys / "other-cert.pub": "is not for",
        keys / "good.pub": "no certificate",
        tmp_path: "directory",
        tmp_path / "missing": "cannot be read",
        b"": "no certificate",
        (keys / "old-cert.pub").read_bytes(): "expired",
    }
    for certificate, words in said.items():
        assert words in str(await refused(PrivateKey(good, certificate=certificate)))


@pytest.mark.asyncio
async def test_a_home_of_nobody_is_a_place_where_nothing_is(keys: Path) -> None:
    """A path that begins with the name of no user here."""
    nobody = "~nobody-of-this-name/key"
    for auth in (
        PrivateKey(nobody),
        PrivateKey(keys / "good", certificate=nobody),
        Agent(nobody),
        Agent("\udcff AAAA"),
    ):
        assert "No such file" in str(await refused(auth))


@pytest.mark.asyncio
async def test_who_does_not_answer_in_time_is_named(keys: Path, tmp_path: Path) -> None:
    """A callback or an agent counts towards ``connect_timeout``; the network is not blamed."""

    async def never() -> str:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(silent, tmp_path / "agent"):
        for auth, whom in (
            (PrivateKey(keys / "locked", passphrase=never), "the passphrase callback"),
            (Agent("SHA256:x", socket=tmp_path / "agent"), "the SSH agent"),
        ):
            error = await refused(auth, ConnectTimeoutError, 1.5)
            assert whom in str(error)
            assert "within 1.5 s" in str(error)
            assert "network" not in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("auth", (PrivateKey("/stuck/key"), Agent("/stuck/key.pub")))
async def test_a_disk_that_hangs_is_not_waited_for(
    auth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is what reads it: a home on a server that is away may hang for days."""
    awake, gave_up = threading.Event(), threading.Event()

    def hang(path: str) -> BinaryIO:
        if not awake.wait(15):
            gave_up.set()
        raise FileNotFoundError(path)

    monkeypatch.setattr(_keys, "open_source", hang)
    error = await refused(auth, ConnectTimeoutError, 0.5)
    assert "the disk with the key" in str(error)
    assert not gave_up.is_set()
    awake.set()


@pytest.mark.asyncio
async def test_what_a_thread_gives_is_not_shown_by_the_task_that_waits_for_it() -> None:
    """It is a key or a passphrase (ERR-05)."""
    task = asyncio.create_task(in_thread(lambda: "CANARY"))
    seen = []
    while not task.done():
        seen.append(repr(task))
        await asyncio.sleep(0)
    assert await task == "CANARY"
    assert "CANARY" not in "".join(seen)


@pytest.mark.asyncio
async def test_an_agents_rsa_key_of_1024_bits_is_refused(keys: Path, tmp_path: Path) -> None:
    """As one in a file is."""
    short = asyncssh.read_public_key(keys / "short.pub").public_data

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        told = b"\x0c\0\0\0\1" + len(short).to_bytes(4, "big") + short + b"\0\0\0\0"
        writer.write(len(told).to_bytes(4, "big") + told)
        writer.close()

    async with await asyncio.start_unix_server(talk, tmp_path / "agent"):
        auth = Agent(keys / "short.pub", socket=tmp_path / "agent")
        assert "1024" in str(await refused(auth))


@pytest.mark.asyncio
async def test_an_agent_that_is_not_there_is_told(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket named, none there, nobody behind it, an identity that is no public key."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert "SSH_AUTH_SOCK" in str(await refused(Agent("SHA256:x")))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "none"))
    assert "ssh-add" in (await refused(Agent("SHA256:x"))).hint
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(dead))
    await refused(Agent("SHA256:x", socket=dead))
    await refused(Agent(keys / "good", socket=dead))
    await refused(Agent("/no/such.pub", socket=dead))


@pytest.mark.asyncio
async def test_an_agent_that_answers_nonsense_or_nothing_ends_in_an_error(tmp_path: Path) -> None:
    """Within the time that a connection may take."""
    for answer in (b"", b"\0\0\0\1\5", b"\0\0\0\5\x0c\xff\xff\xff\xff", b"\xff\xff\xff\xff"):
        path = tmp_path / f"agent-{answer.hex()}"

        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer
        ) -> None:
            await reader.read(5)
            writer.write(answer)
            writer.close()

        server = await asyncio.start_unix_server(talk, path)
        await refused(Agent("SHA256:x", socket=path))
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("certified", (False, True))
def test_an_rsa_key_signs_with_sha2_only(certified: bool) -> None:
    """Whatever the server says it takes; and a certificate has one name to be offered under."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    signed = asyncssh.generate_private_key("ssh-ed25519").generate_user_certificate(key, "i")
    pair = _pair(key, signed.export_certificate() if certified else None, "the key")
    assert b"ssh-rsa" not in (pair.algorithm, pair.sig_algorithm, *pair.sig_algorithms)
    assert pair.algorithm.startswith(b"rsa-sha2-512")
