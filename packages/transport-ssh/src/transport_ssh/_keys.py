"""Reads the configured key, certificate or agent, so that exactly one key can be offered.

Everything that can be found wrong here is found before a byte is sent.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncssh
from asyncssh.agent import SSHAgentClient
from asyncssh.public_key import CERT_TYPE_USER, SSHOpenSSHCertificate
from transport_core import ConfigurationError
from transport_core.authoring import escape, open_source

from ._ask import Clock, ask, check_text, in_thread
from ._auth import Agent, Auth, PrivateKey, chosen, exposed, public_blob, too_short
from ._hostkeys import fingerprint

_LARGEST = 1024 * 1024
_FORMATS = "give the private key, not the .pub file, in OpenSSH, PEM or PKCS#8 format"

_RSA, _RSA_CERTIFICATE = b"ssh-rsa", b"ssh-rsa-cert-v01@openssh.com"
_RSA_SIGNATURES = (b"rsa-sha2-512", b"rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class Offer:
    """The one key that is offered."""

    pair: asyncssh.SSHKeyPair
    source: str
    """Where it is from, for people."""

    @property
    def key(self) -> str:
        """Which key it is, for people."""
        return f"the key {fingerprint(self.pair.key_public_data)}"


@contextlib.asynccontextmanager
async def offered(factors: tuple[Auth, ...], clock: Clock) -> AsyncIterator[Offer | None]:
    """Give the one key that is offered, for as long as the login takes; None if there is none.

    Raises:
        ConfigurationError: It cannot be read, decrypted or found, or others can read it.
        AuthenticationError: The callback for its passphrase raised.
    """
    async with contextlib.AsyncExitStack() as stack:
        offer = None
        for factor in factors:
            if isinstance(factor, PrivateKey):
                offer = await _from_file(factor, clock)
            elif isinstance(factor, Agent):
                offer = await stack.enter_async_context(_from_agent(factor, clock))
        yield offer


async def _from_file(auth: PrivateKey, clock: Clock) -> Offer:
    key, shown, encrypted = await in_thread(_read_key, auth)
    if encrypted is not None:
        if auth.passphrase is None:
            raise ConfigurationError(
                f"{shown} is encrypted and there is no passphrase",
                hint="give PrivateKey a passphrase callback",
            )
        what = "the passphrase callback"
        with clock.waiting_for(what):
            answer = await ask(what, auth.passphrase)
        key = await in_thread(_decrypt, encrypted, check_text(what, answer), shown)
    return Offer(await in_thread(_pair, key, auth.certificate, shown), shown)


def _read_key(auth: PrivateKey) -> tuple[asyncssh.SSHKey | None, str, bytes | None]:
    """Return the key, its name in texts, and its bytes if it is encrypted. Blocking."""
    if auth.path is None:
        return _import(auth.data or b"", "the private key")
    data, shown, info = _read("the private key", auth.path)
    found = _import(data, shown)
    # After its format: a public key that is given for it may well be read by others.
    if exposed(info.st_mode, info.st_uid, os.geteuid()):
        raise ConfigurationError(
            f"{shown} can be read by others (mode {stat.S_IMODE(info.st_mode):04o})",
            hint=f"chmod 600 {shown.removeprefix('the private key ')}",
        )
    return found


def _import(data: bytes, shown: str) -> tuple[asyncssh.SSHKey | None, str, bytes | None]:
    try:
        return asyncssh.import_private_key(data), shown, None
    except asyncssh.KeyEncryptionError:
        return None, shown, data
    except Exception as error:  # of what a damaged file makes asyncssh raise, there is no list
        if "assphrase" in str(error):
            return None, shown, data
        raise ConfigurationError(
            f"{shown} is no private key that can be read", hint=_FORMATS
        ) from error


def _decrypt(data: bytes, passphrase: str, shown: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(data, passphrase)
    except Exception as error:  # as above
        if "bcrypt" in str(error):
            raise ConfigurationError(
                f"{shown} is encrypted in OpenSSH's format, and the package bcrypt is missing",
                hint="install transport-ssh[bcrypt], or convert the key: ssh-keygen -p -m PKCS8",
            ) from error
        raise ConfigurationError(
            f"{shown} is encrypted and the passphrase does not fit",
            hint="ssh-keygen -y -f FILE asks for the passphrase and shows whether it fits",
        ) from error


def _pair(
    key: asyncssh.SSHKey, source: str | os.PathLike[str] | bytes | None, shown: str
) -> asyncssh.SSHKeyPair:
    _check_length(key.public_data, shown)
    if source is None:
        return _without_sha1(asyncssh.load_keypairs([key])[0])
    certificate = _certificate(key, source, shown)
    pairs = asyncssh.load_keypairs([(key, certificate)])
    return _without_sha1(next(each for each in pairs if each.has_cert))


def _check_length(blob: bytes, shown: str) -> None:
    if bits := too_short(blob):
        raise ConfigurationError(
            f"{shown} is an RSA key of {bits} bits, which is too short to be safe",
            hint="make a new one: ssh-keygen -t ed25519",
        )


def _without_sha1(pair: asyncssh.SSHKeyPair) -> asyncssh.SSHKeyPair:
    """Let an RSA key sign with SHA-2 only, and have its certificate offered under one name.

    asyncssh would fall back to SHA-1, and offer a certificate a second time, by the name of its
    signature; servers since OpenSSH 7.8 take that one only.
    """
    best = _RSA_SIGNATURES[0]
    if pair.algorithm == _RSA_CERTIFICATE:
        pair.algorithm = best + _RSA_CERTIFICATE.removeprefix(_RSA)
        pair.sig_algorithms = (best,)
    elif _RSA in pair.sig_algorithms:
        pair.sig_algorithms = _RSA_SIGNATURES
    else:
        return pair
    pair.set_sig_algorithm(best)
    return pair


def _certificate(
    key: asyncssh.SSHKey, source: str | os.PathLike[str] | bytes, shown: str
) -> asyncssh.SSHCertificate:
    if isinstance(source, bytes):
        data, name = source, "the certificate"
    else:
        data, name, _ = _read("the certificate", source)
    try:
        certificate = _in_openssh_format(asyncssh.import_certificate(data))
    except Exception as error:  # as of a key
        raise ConfigurationError(
            f"{name} is no certificate that can be read", hint="it is what ssh-keygen -s makes"
        ) from error
    try:
        certificate.validate(CERT_TYPE_USER, None)
    except ValueError as error:
        raise ConfigurationError(
            f"{name} cannot be used: {escape(str(error))}",
            hint="ask the site for a new certificate",
        ) from error
    if certificate.key.public_data != key.public_data:
        raise ConfigurationError(
            f"{name} is not for {shown}: it certifies {fingerprint(certificate.key.public_data)}",
            hint=f"the key is {fingerprint(key.public_data)}",
        )
    return certificate


def _in_openssh_format(certificate: asyncssh.SSHCertificate) -> SSHOpenSSHCertificate:
    if not isinstance(certificate, SSHOpenSSHCertificate):
        raise asyncssh.KeyImportError("an X.509 certificate")
    return certificate


@contextlib.asynccontextmanager
async def _from_agent(auth: Agent, clock: Clock) -> AsyncIterator[Offer]:
    identity = await in_thread(_identity, auth)
    where = _socket(auth)
    shown = f"the SSH agent at '{escape(where)}'"
    agent = SSHAgentClient(where)
    try:
        try:
            with clock.waiting_for(shown):
                pairs = await agent.get_keys()
        except (OSError, EOFError, ValueError, asyncssh.Error) as error:
            raise ConfigurationError(
                f"{shown} does not answer", hint="check that it runs: ssh-add -l"
            ) from error
        blobs = [pair.public_data for pair in pairs]
        found = chosen(identity, blobs)
        if found is None:
            raise _not_in_agent(identity, shown, blobs)
        _check_length(blobs[found], f"the key {fingerprint(blobs[found])} of {shown}")
        yield Offer(_without_sha1(pairs[found]), shown)
    finally:
        agent.close()
        await agent.wait_closed()


def _socket(auth: Agent) -> str:
    if auth.socket is not None:
        return os.path.expanduser(auth.socket)
    if not (where := os.environ.get("SSH_AUTH_SOCK", "")):
        raise ConfigurationError(
            "there is no SSH agent: SSH_AUTH_SOCK is not set", hint="start one, or name its socket"
        )
    return where


def _identity(auth: Agent) -> str | bytes:
    """Return the fingerprint, or the public key itself. Blocking."""
    if isinstance(auth.identity, str):
        if auth.identity.startswith("SHA256:"):
            return auth.identity
        if blob := public_blob(auth.identity):
            return blob
    data, shown, _ = _read("the public key", auth.identity)
    blob = public_blob(data.decode("utf-8", "replace"))
    if blob is None:
        raise ConfigurationError(
            f"{shown} is no public key", hint="give the .pub file, or a fingerprint SHA256:…"
        )
    return blob


def _not_in_agent(identity: str | bytes, shown: str, blobs: list[bytes]) -> ConfigurationError:
    wanted = identity if isinstance(identity, str) else fingerprint(identity)
    known = ", ".join(map(fingerprint, blobs)) or "none"
    return ConfigurationError(
        f"{shown} does not have the key {escape(wanted)}; it has: {known}",
        hint="add it with ssh-add",
    )


def _read(what: str, source: str | os.PathLike[str]) -> tuple[bytes, str, os.stat_result]:
    """Return the content of a file, its name in texts, and what it is."""
    # Not Path.expanduser, which raises what is no error of ours where there is no such user.
    path = os.path.expanduser(source)
    shown = f"{what} '{escape(path)}'"
    try:
        # Buffered: a single read may give less than there is.
        with io.BufferedReader(open_source(path)) as file:  # type: ignore[type-var]
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise ConfigurationError(f"{shown} is no regular file")
            return file.read(_LARGEST), shown, info
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}") from error
