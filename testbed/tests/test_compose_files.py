"""No fixed key, password or name is in the files that make the containers."""

from __future__ import annotations

import re

import pytest
from transport_testbed.stack.containers import images

#: What a secret would look like: a key, or a word given to something that takes a password.
SECRET = re.compile(
    r"BEGIN [A-Z ]*PRIVATE KEY|ssh-(?:ed25519|rsa) AAAA|\$[156y]\$"
    r"|(?i:pass|passw(?:or)?d|passphrase|secret|token|key)[\"']?\s*[=:]\s*[\"']?[\w+/]{6,}"
    r"|identified by|[0-9a-fA-F]{32}"
)


@pytest.mark.parametrize(
    "line",
    (
        "StoragePass=hunter22", "MYSQL_ROOT_PASSWORD: example", "SECRET='abcdef1'",
        "-----BEGIN OPENSSH PRIVATE KEY-----", "identified by 'x'", "root:$6$abc:19000:",
    ),
)  # fmt: skip
def test_secrets_would_be_seen(line: str) -> None:
    """Or the next test says nothing."""
    assert SECRET.search(line)


def test_no_secret_is_in_the_files_that_make_the_containers() -> None:
    """All are made anew in each run."""
    folder = images.folder()
    paths = [folder / "compose.yaml", *(folder / "images").rglob("*")]
    assert len(paths) > 10
    found = [
        f"{path.name}: {line}"
        for path in paths
        if path.is_file()
        for line in path.read_text().splitlines()
        if SECRET.search(line)
    ]
    assert not found
