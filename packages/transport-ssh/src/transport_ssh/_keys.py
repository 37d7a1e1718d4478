"""Reads the configured private key, and refuses one that others can read. Blocking."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import asyncssh
from transport_core import ConfigurationError

from ._options import PrivateKey


def load_key(auth: PrivateKey) -> asyncssh.SSHKey:
    """Return the key, decrypted.

    Raises:
        ConfigurationError: It cannot be read or decrypted, or others can read it.
    """
    data, shown = _read(auth)
    passphrase = auth.passphrase() if auth.passphrase is not None else None
    try:
        return asyncssh.import_private_key(data, passphrase)
    except asyncssh.KeyEncryptionError as error:
        raise ConfigurationError(
            f"{shown} is encrypted and "
            + ("the passphrase does not fit" if passphrase else "there is no passphrase"),
            hint="give PrivateKey a passphrase callback",
        ) from error
    except asyncssh.KeyImportError as error:
        raise ConfigurationError(
            f"{shown} is no private key that can be read",
            hint="give the private key, not the .pub file, in OpenSSH, PEM or PKCS#8 format",
        ) from error


def _read(auth: PrivateKey) -> tuple[bytes, str]:
    if auth.path is None:
        return auth.data or b"", "the private key"
    path = Path(auth.path).expanduser()
    shown = f"the private key '{path}'"
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            data = file.read()
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}") from error
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise ConfigurationError(
            f"{shown} can be read by others (mode {stat.S_IMODE(info.st_mode):04o})",
            hint=f"chmod 600 {path}",
        )
    return data, shown
