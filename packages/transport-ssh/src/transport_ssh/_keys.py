"""Reads the configured key, certificate or agent, so that exactly one key can be offered.

Everything that can be found wrong here is found before a byte is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
from asyncssh.agent import SSHAgentClient
from asyncssh.public_key import CERT_TYPE_USER, SSHOpenSSHCertificate
from transport_core import ConfigurationError
from transport_core.authoring import escape, off_loop, open_source

from ._ask import ask
from ._auth import Agent, Auth, PrivateKey, chosen, exposed, public_blob, too_short
from ._hostkeys import fingerprint

_LARGEST = 1024 * 1024
_FORMATS = "give the private key, not the .pub file, in OpenSSH, PEM or PKCS#8 format"

_RSA, _RSA_CERTIFICATE = b"ssh-rsa", b"ssh-rsa-cert-v01@openssh.com"
_RSA_SIGNATURES = (b"rsa-sha2-512", b"rsa-sha2-256")


@contextlib.asynccontextmanager
async def offered(
    factors: tuple[Auth, ...], seconds: float
) -> AsyncIterator[asyncssh.SSHKeyPair | None]:
    """Give the one key that is offered, for as long as the login takes; None if there is none.

    Raises:
        ConfigurationError: It cannot be read, decrypted or found, or others can read it.
        AuthenticationError: The callback for its passphrase raised.
    """
    async with contextlib.AsyncExitStack() as stack:
        pair = None
        for factor in factors:
            if isinstance(factor, PrivateKey):
                pair = await _from_file(factor)
            elif isinstance(factor, Agent):
                pair = await stack.enter_async_context(_from_agent(factor, seconds))
        yield pair


async def _from_file(auth: PrivateKey) -> asyncssh.SSHKeyPair:
    key, shown, encrypted = await off_loop(_read_key, auth)
    if encrypted is not None:
        if auth.passphrase is None:
            raise ConfigurationError(
                f"{shown} is encrypted and there is no passphrase",
                hint="give PrivateKey a passphrase callback",
            )
        passphrase = await ask("the passphrase callback", auth.passphrase)
        key = await off_loop(_decrypt, encrypted, passphrase, shown)
    return await off_loop(_pair, key, auth.certificate, shown)


def _read_key(auth: PrivateKey) -> tuple[asyncssh.SSHKey | None, str, bytes | None]:
    """Return the key, its name in texts, and its bytes if it is encrypted. Blocking."""
    if auth.path is None:
        data, shown = auth.data or b"", "the private key"
    else:
        data, shown = _read("the private key", auth.path, secret=True)
    try:
        return asyncssh.import_private_key(data), shown, None
    except asyncssh.KeyEncryptionError:
        return None, shown, data
    except (asyncssh.KeyImportError, ValueError) as error:
        if "assphrase" in str(error):
            return None, shown, data
        raise ConfigurationError(
            f"{shown} is no private key that can be read", hint=_FORMATS
        ) from error


def _decrypt(data: bytes, passphrase: object, shown: str) -> asyncssh.SSHKey:
    if not isinstance(passphrase, str):
        raise ConfigurationError("the passphrase callback must return a str")
    try:
        return asyncssh.import_private_key(data, passphrase)
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError, ValueError) as error:
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
    if bits := too_short(key.public_data):
        raise ConfigurationError(
            f"{shown} is an RSA key of {bits} bits, which is too short to be safe",
            hint="make a new one: ssh-keygen -t ed25519",
        )
    if source is None:
        return _without_sha1(asyncssh.load_keypairs([key])[0])
    certificate = _certificate(key, source, shown)
    pairs = asyncssh.load_keypairs([(key, certificate)])
    return _without_sha1(next(each for each in pairs if each.has_cert))


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
        data, name = _read("the certificate", source, secret=False)
    try:
        certificate = _in_openssh_format(asyncssh.import_certificate(data))
        certificate.validate(CERT_TYPE_USER, None)
    except asyncssh.KeyImportError as error:
        raise ConfigurationError(
            f"{name} is no certificate that can be read", hint="it is what ssh-keygen -s makes"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"{name} cannot be used: {error}", hint="ask the site for a new certificate"
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
async def _from_agent(auth: Agent, seconds: float) -> AsyncIterator[asyncssh.SSHKeyPair]:
    identity = await off_loop(_identity, auth)
    where = _socket(auth)
    agent = SSHAgentClient(where)
    try:
        try:
            async with asyncio.timeout(seconds):
                pairs = await agent.get_keys()
        except (OSError, EOFError, ValueError, asyncssh.Error) as error:
            raise ConfigurationError(
                f"the SSH agent at '{escape(where)}' does not answer",
                hint="check that it runs: ssh-add -l",
            ) from error
        blobs = [pair.public_data for pair in pairs]
        found = chosen(identity, blobs)
        if found is None:
            raise _not_in_agent(identity, where, blobs)
        yield _without_sha1(pairs[found])
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
    data, shown = _read("the public key", auth.identity, secret=False)
    blob = public_blob(data.decode("utf-8", "replace"))
    if blob is None:
        raise ConfigurationError(
            f"{shown} is no public key", hint="give the .pub file, or a fingerprint SHA256:…"
        )
    return blob


def _not_in_agent(identity: str | bytes, where: str, blobs: list[bytes]) -> ConfigurationError:
    wanted = identity if isinstance(identity, str) else fingerprint(identity)
    known = ", ".join(map(fingerprint, blobs)) or "none"
    return ConfigurationError(
        f"the SSH agent at '{escape(where)}' does not have the key {escape(wanted)};"
        f" it has: {known}",
        hint="add it with ssh-add",
    )


def _read(what: str, source: str | os.PathLike[str], *, secret: bool) -> tuple[bytes, str]:
    """Return the content of a file and its name in texts."""
    path = Path(source).expanduser()
    shown = f"{what} '{escape(str(path))}'"
    try:
        with open_source(path) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise ConfigurationError(f"{shown} is no regular file")
            data = file.read(_LARGEST)
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}") from error
    if secret and exposed(info.st_mode, info.st_uid, os.geteuid()):
        raise ConfigurationError(
            f"{shown} can be read by others (mode {stat.S_IMODE(info.st_mode):04o})",
            hint=f"chmod 600 '{escape(str(path))}'",
        )
    return data, shown
