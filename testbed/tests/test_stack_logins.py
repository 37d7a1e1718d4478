"""The stack's ways to log in, tried with OpenSSH's own client; and one-time codes. No transport."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from transport_testbed._codes import code, fresh
from transport_testbed.stack import Endpoint, Stack, StackSpec
from transport_testbed.stack._runs import ALIASES
from transport_testbed.stack.native import NativeProvider

PROVIDER = NativeProvider()
SMALL = StackSpec(slurm=False, jump=False, shells=("bash",))
KINDS = ("certificate", "agent", "encrypted-key", "password", "totp", "two-factors")

if reason := PROVIDER.unavailable():
    pytest.skip(f"no native stack here: {reason}", allow_module_level=True)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack without Slurm."""
    up = PROVIDER.start(SMALL)
    yield up
    PROVIDER.stop(up)


def login(
    stack: Stack, endpoint: Endpoint, answer: str, *first: str
) -> subprocess.CompletedProcess[str]:
    """Log in once with OpenSSH's client, which gets *answer* for whatever it asks."""
    place = Path(stack.root)
    ask = place / "ask"
    ask.write_text('#!/bin/sh\nprintf %s "$ANSWER"\n')
    ask.chmod(0o755)
    known = place / "known"
    known.write_text(endpoint.known_hosts)
    options = {
        "UserKnownHostsFile": known, "GlobalKnownHostsFile": "/dev/null", "LogLevel": "ERROR",
        "StrictHostKeyChecking": "yes", "NumberOfPasswordPrompts": "1", "IdentitiesOnly": "yes",
        "IdentityFile": endpoint.identity or "none", "IdentityAgent": endpoint.agent or "none",
        "CertificateFile": endpoint.certificate or "none", "ConnectTimeout": "10",
    }  # fmt: skip
    lines = [*first, *(f"{name}={value}" for name, value in options.items())]
    words = [word for line in lines for word in ("-o", line)]
    argv = [str(place / "openssh" / "ssh"), "-F", "none", *words, "-p", str(endpoint.port),
            f"{endpoint.user}@{endpoint.host}", "echo $USER"]  # fmt: skip
    environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force",
                   "ANSWER": answer}  # fmt: skip
    return subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip


def answer(stack: Stack, endpoint: Endpoint) -> str:
    """What such a login is asked for."""
    if endpoint.login in ("totp", "two-factors"):
        return fresh(endpoint.secret, Path(stack.root), 40)
    return endpoint.secret


@pytest.mark.parametrize("kind", KINDS)
def test_one_logs_in_in_that_way_and_not_with_what_is_wrong(stack: Stack, kind: str) -> None:
    """With what the endpoint says, and with nothing else."""
    endpoint = stack.endpoint(f"auth-{kind}")
    assert endpoint.login == kind
    done = login(stack, endpoint, answer(stack, endpoint))
    assert (done.stdout.strip(), done.stderr) == (endpoint.user, "")
    wrong = endpoint.mistaken()
    assert login(stack, wrong, answer(stack, wrong)).returncode == 255


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_key_alone_lets_nobody_in(stack: Stack, kind: str) -> None:
    """The user's key is good for an agent's account, and half of what two factors are."""
    plain = stack.endpoint("bash")
    endpoint = stack.endpoint(f"auth-{kind}")
    other = replace(endpoint, identity=plain.identity, certificate="", agent="")
    assert login(stack, other, "").returncode == (0 if kind == "agent" else 255)


def test_a_code_is_good_once(stack: Stack) -> None:
    """What is replayed is refused."""
    endpoint = stack.endpoint("auth-totp")
    given = answer(stack, endpoint)
    assert [login(stack, endpoint, given).returncode for _ in range(2)] == [0, 255]


def test_whoever_offers_all_keys_of_the_agent_is_refused_first(stack: Stack) -> None:
    """A stranger's key is the first, so that the choice shows in the server's log."""
    endpoint = stack.endpoint("auth-agent")
    log = Path(stack.logs[f"sshd-{endpoint.server}"])
    before = log.read_text().count("Failed publickey")
    assert login(stack, endpoint, "").returncode == 0
    assert log.read_text().count("Failed publickey") == before
    anything = replace(endpoint, identity="")
    assert login(stack, anything, "", "IdentitiesOnly=no").returncode == 0
    assert log.read_text().count("Failed publickey") == before + 1


def test_short_names_end_with_the_stack() -> None:
    """What stands outside of a stack's directory is removed with it."""

    def names(root: str) -> list[str]:
        links = [each for base in ALIASES for each in Path(base).iterdir() if each.is_symlink()]
        return [str(each) for each in links if os.readlink(each).startswith(f"{root}/")]

    up = PROVIDER.start(SMALL)
    before = names(up.root)
    PROVIDER.stop(up)
    assert len(before) == 1
    assert not names(up.root)


def test_no_secret_is_in_the_repr_of_an_endpoint(stack: Stack) -> None:
    """A failed test prints it."""
    for kind in KINDS:
        endpoint = stack.endpoint(f"auth-{kind}")
        assert not endpoint.secret or endpoint.secret not in repr(endpoint)


@pytest.mark.parametrize(
    ("seconds", "digits"),
    ((59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (20000000000, "353130")),
)
def test_codes_are_those_of_the_standard(seconds: int, digits: str) -> None:
    """The examples of RFC 6238, appendix B, their last six digits."""
    assert code(base64.b32encode(b"12345678901234567890").decode(), seconds // 30) == digits


def test_a_code_is_given_out_once(tmp_path: Path) -> None:
    """To whichever process asks; where none is left, that is said."""
    seed = base64.b32encode(b"x" * 20).decode()
    given = [fresh(seed, tmp_path, 5) for _ in range(10)]
    assert len(set(given)) >= 9  # two of a million may agree
    fresh(seed, tmp_path, 5)
    with pytest.raises(RuntimeError, match="used up"):
        fresh(seed, tmp_path, 4)
