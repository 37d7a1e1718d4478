"""The pinning decision, by table."""

import base64
import hashlib
import hmac

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_ssh import _hostkeys

ED25519 = "ssh-ed25519"


def blob(seed: str, kind: str = "ssh-ed25519") -> bytes:
    """Return something with a key's shape."""
    name = kind.encode()
    body = hashlib.sha256(seed.encode()).digest()
    return len(name).to_bytes(4, "big") + name + len(body).to_bytes(4, "big") + body


def line(patterns: str, seed: str, kind: str = "ssh-ed25519", marker: str = "") -> str:
    """Return one known_hosts line."""
    key = base64.b64encode(blob(seed, kind)).decode()
    return f"{marker} {patterns} {kind} {key} comment".strip()


def hashed(name: str) -> str:
    """Return a name as ``ssh-keygen -H`` writes it."""
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("text", "host", "port", "reason"),
    (
        (line("h", "a"), "h", 22, "trusted"),
        (line("h", "a"), "H", 22, "trusted"),
        (line("h", "b"), "h", 22, "changed"),
        (line("h", "a"), "other", 22, "unknown"),
        (line("h", "a"), "h", 2222, "unknown"),
        (line("[h]:2222", "a"), "h", 2222, "trusted"),
        (line("[h]:2222", "a"), "h", 22, "unknown"),
        (line("x,h", "a"), "h", 22, "trusted"),
        (line("*.org", "a"), "h.org", 22, "trusted"),
        (line("h?", "a"), "h1", 22, "trusted"),
        (line("*.org,!h.org", "a"), "h.org", 22, "unknown"),
        (line(hashed("h"), "a"), "h", 22, "trusted"),
        (line(hashed("[h]:2222"), "a"), "h", 2222, "trusted"),
        (line("|1|bad", "a"), "h", 22, "unknown"),
        (line("h", "a") + "\n" + line("h", "a", marker="@revoked"), "h", 22, "revoked"),
        (line("*", "a", marker="@revoked"), "h", 22, "revoked"),
        (line("h", "a", marker="@cert-authority"), "h", 22, "unknown"),
        (line("h", "b") + "\n" + line("h", "a"), "h", 22, "trusted"),
        ("", "h", 22, "unknown"),
        ("# only a comment\n\n", "h", 22, "unknown"),
        ("\ufeff" + line("h", "a") + "\r\n", "h", 22, "trusted"),
    ),
)
def test_verdicts(text: str, host: str, port: int, reason: str) -> None:
    """A key ``a`` against the store."""
    pins, _ = _hostkeys.parse(text)
    verdict = _hostkeys.judge(pins, host, port, blob("a"))
    assert verdict.reason == reason
    assert verdict.trusted == (reason == "trusted")
    assert verdict.seen.startswith("SHA256:")


@pytest.mark.parametrize(
    ("marker", "seed", "reason"),
    (
        ("@cert-authority", "a", "trusted"),
        ("@cert-authority", "b", "changed"),
        ("", "a", "unknown"),
        ("@revoked", "a", "revoked"),
    ),
)
def test_authorities(marker: str, seed: str, reason: str) -> None:
    """Only a line marked as authority signs hosts."""
    pins, _ = _hostkeys.parse(line("h", seed, marker=marker))
    assert _hostkeys.judge_authority(pins, "h", 22, blob("a"), blob("host")).reason == reason


def test_a_revoked_key_is_refused_whoever_signed_it() -> None:
    """The authority is trusted, and the key that it signed is not; it is the key that is shown."""
    text = line("h", "a", marker="@cert-authority") + "\n" + line("*", "host", marker="@revoked")
    pins, _ = _hostkeys.parse(text)
    verdict = _hostkeys.judge_authority(pins, "h", 22, blob("a"), blob("host"))
    assert verdict.reason == "revoked"
    assert verdict.seen == _hostkeys.fingerprint(blob("host"))
    assert _hostkeys.judge_authority(pins, "h", 22, blob("a"), blob("other")).trusted


def test_a_certificate_in_which_no_key_is_found_is_not_trusted() -> None:
    """What cannot be compared with the revoked keys is not let in."""
    pins, _ = _hostkeys.parse(line("h", "a", marker="@cert-authority"))
    assert not _hostkeys.judge_authority(pins, "h", 22, blob("a"), None).trusted


@pytest.mark.parametrize("kind", ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp384"))
def test_the_key_in_a_certificate(kind: str) -> None:
    """It is the one that the host would show without a certificate."""
    key, authority = asyncssh.generate_private_key(kind), asyncssh.generate_private_key(ED25519)
    certificate = authority.generate_host_certificate(key, "h", principals=["h"])
    assert _hostkeys.certified_key(certificate.public_data) == key.public_data


@pytest.mark.parametrize("kind", ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp384"))
@pytest.mark.parametrize(
    ("signer", "algorithm"),
    (("ssh-ed25519", "ssh-ed25519"), ("ssh-rsa", "rsa-sha2-256"), ("ssh-rsa", "ssh-rsa")),
)
def test_how_a_certificate_is_signed(kind: str, signer: str, algorithm: str) -> None:
    """The name of its signature; SHA-1 is called as the key is."""
    key, authority = asyncssh.generate_private_key(kind), asyncssh.generate_private_key(signer)
    whole = authority.generate_host_certificate(key, "h", sig_alg=algorithm).public_data
    assert _hostkeys.signed_with(whole) == algorithm
    assert _hostkeys.signed_with(whole[:-1]) is None
    assert _hostkeys.signed_with(key.public_data) is None


@pytest.mark.parametrize("cut", (0, 3, 20, 40, 60))
def test_what_is_no_certificate_holds_no_key(cut: int) -> None:
    """Truncated anywhere, a plain key, or of a type that nobody knows."""
    key = asyncssh.generate_private_key(ED25519)
    whole = key.generate_host_certificate(key, "h").public_data
    assert _hostkeys.certified_key(whole[:cut]) is None
    assert _hostkeys.certified_key(key.public_data) is None
    assert _hostkeys.certified_key(whole.replace(b"ed25519", b"ed25520")) is None


@pytest.mark.parametrize(
    "bad",
    ("garbage", "h ssh-ed25519", "h ssh-ed25519 !!!", "@odd h ssh-ed25519 AAAA", "h ssh-rsa AAAA"),
)
def test_a_malformed_line_is_skipped_and_numbered(bad: str) -> None:
    """The rest of the file still counts, as with OpenSSH."""
    pins, malformed = _hostkeys.parse(f"# c\n{bad}\n{line('h', 'a')}\n")
    assert malformed == (2,)
    assert len(pins) == 1


def test_pinned_types_are_asked_for() -> None:
    """A server with several keys is to show the pinned one."""
    pins, _ = _hostkeys.parse(
        line("h", "a")
        + "\n"
        + line("h", "r", "ssh-rsa")
        + "\n"
        + line("x", "y", "ecdsa-sha2-nistp256")
    )
    assert _hostkeys.preferred_kinds(pins, "h", 22) == ("ssh-ed25519", "ssh-rsa")


def naive(pattern: str, name: str) -> bool:
    """Match ``*`` and ``?`` letter by letter, as sshd(8) says it."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(naive(pattern[1:], name[cut:]) for cut in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and naive(pattern[1:], name[1:])


NAMES = st.text("ab.", min_size=1, max_size=6)
PORTS = st.sampled_from((22, 2222))


@st.composite
def entries(draw: st.DrawFn) -> list[tuple[bool, bool, str]]:
    """Return patterns of one line: negated, hashed, and the text that is meant."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        is_hashed = draw(st.booleans())
        text = draw(NAMES if is_hashed else st.text("ab.*?", min_size=1, max_size=5))
        if draw(st.booleans()):
            text = f"[{text}]:2222"
        found.append((draw(st.booleans()), is_hashed, text))
    return found


@given(entries(), NAMES, PORTS)
def test_a_line_is_for_a_host_as_a_naive_reading_of_its_patterns_says(
    patterns: list[tuple[bool, bool, str]], host: str, port: int
) -> None:
    """One pattern has to match, and none that is negated; hashed ones are exact."""
    name = host if port == 22 else f"[{host}]:{port}"
    hits = [
        (negated, text == name if is_hashed else naive(text, name))
        for negated, is_hashed, text in patterns
    ]
    wanted = any(hit for negated, hit in hits if not negated)
    wanted = wanted and not any(hit for negated, hit in hits if negated)
    words = ",".join("!" * n + (hashed(t) if h else t) for n, h, t in patterns)
    pins, malformed = _hostkeys.parse(line(words, "a"))
    assert not malformed
    assert bool(_hostkeys.lookup(pins, host.upper(), port)) == wanted


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    """Lines are pins or have their number told; nothing else comes of them."""
    pins, malformed = _hostkeys.parse(text)
    assert len(pins) + len(malformed) <= len(text.splitlines())
    assert _hostkeys.judge(pins, "h", 22, blob("a")).reason in ("unknown", "changed", "revoked")


def test_a_certificate_is_asked_for_only_where_an_authority_is_pinned() -> None:
    """For that host; a plain key, or another's authority, is none."""
    text = line("h", "a", marker="@cert-authority") + "\n" + line("x", "b")
    pins, _ = _hostkeys.parse(text)
    assert _hostkeys.has_authority(pins, "h", 22)
    assert not _hostkeys.has_authority(pins, "x", 22)
