"""The texts that pin one server in many ways, by table; and one of them by OpenSSH's own reader."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from transport_testbed._pins import fingerprint, hashed, texts
from transport_testbed.conformance.host_keys import ACCEPTED, REFUSED, REFUSED_AUTHORITY
from transport_testbed.stack import providers
from transport_testbed.stack.native.acquire import acquire

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"
SIGNER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY"
PIN, AUTHORITY = f"[127.0.0.1]:2222 {KEY}\n", f"@cert-authority [127.0.0.1]:2222 {SIGNER}\n"


def test_there_is_a_text_for_each_variant_of_the_suite() -> None:
    """And none that no test of the suite reads."""
    assert set(texts(PIN, AUTHORITY)) == {*ACCEPTED, *REFUSED, *REFUSED_AUTHORITY}


@pytest.mark.parametrize(
    ("name", "text"),
    (
        ("wildcards", f"[1?7.*,nobody {KEY}\n"),
        ("a negation of another", f"!nobody,* {KEY}\n"),
        ("signed by the authority", AUTHORITY),
        ("pinned for another port", f"[127.0.0.1]:2223 {KEY}\n"),
        ("pinned for no port", f"127.0.0.1 {KEY}\n"),
        ("negated name", f"[127.0.0.1]:2222,![127.0.0.1]:2222 {KEY}\n"),
        ("authority as a plain pin", f"[127.0.0.1]:2222 {SIGNER}\n"),
        ("revoked", f"{PIN}@revoked * {KEY}\n"),
        ("revoked authority", f"{AUTHORITY}@revoked [127.0.0.1]:2222 {SIGNER}\n"),
    ),
)
def test_texts(name: str, text: str) -> None:
    """Of one server on port 2222."""
    assert texts(PIN, AUTHORITY)[name] == text


def test_openssh_reads_hashed_names_and_fingerprints_as_we_write_them(tmp_path: Path) -> None:
    """ssh-keygen finds the hashed name, and shows the same fingerprint."""
    if reason := providers()[0].unavailable():
        pytest.skip(f"no OpenSSH here: {reason}")
    prefix, known = acquire(), tmp_path / "known"
    known.write_text(f"{hashed('[127.0.0.1]:2222')} {KEY}\n")
    argv = [prefix.loader, "--library-path", prefix.library_path, prefix.program("ssh-keygen")]
    argv += ["-l", "-F", "[127.0.0.1]:2222", "-f", str(known)]
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert fingerprint(PIN) in found.stdout, found
