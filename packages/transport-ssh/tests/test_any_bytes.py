"""What decides holds for any bytes from the other side, however they are cut into pieces."""

import base64

from hypothesis import given
from hypothesis import strategies as st
from transport_ssh import _hostkeys, _wire

MARK = b"@0123456789abcdef:b"


def fed(data: bytes, cuts: list[int]) -> tuple[_wire.Unmarker, bytes]:
    """Feed bytes in pieces; return the unmarker and what it gave for the command's own."""
    unmarker, given_back, last = _wire.Unmarker(MARK), b"", 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        given_back += unmarker.feed(data[last:cut])
        last = cut
    return unmarker, given_back


cuts = st.lists(st.integers(0, 10_000), max_size=12)
noise = st.one_of(
    st.binary(max_size=300),
    st.integers(1, len(MARK) - 1).map(lambda length: MARK[:length] * 3),
    st.just(b"@" * 300),
).filter(lambda data: MARK not in data and not any(data.endswith(MARK[:n]) for n in range(1, 19)))
line = st.binary(max_size=60).map(lambda data: data.replace(b"\n", b""))


@given(noise, line, st.binary(max_size=300), cuts)
def test_noise_value_and_output_are_told_apart_wherever_it_is_cut(
    before: bytes, value: bytes, output: bytes, at: list[int]
) -> None:
    """Not a byte of the output is lost, not a byte of the noise is in it."""
    unmarker, given_back = fed(before + MARK + value + b"\n" + output, at)
    assert given_back == output
    assert unmarker.value == value.strip()
    assert unmarker.noise == before[-4096:]


@given(noise, cuts)
def test_without_a_marker_nothing_is_the_commands_own(before: bytes, at: list[int]) -> None:
    """All of it is noise, and an error's text shows its end."""
    unmarker, given_back = fed(before, at)
    assert (given_back, unmarker.value) == (b"", None)
    assert unmarker.rest() == before[-4096:]


@given(st.binary(min_size=1, max_size=5000).map(lambda data: data.replace(b"\n", b"x")))
def test_what_is_kept_is_bounded_whatever_comes(block: bytes) -> None:
    """Noise without end, and a marker's line without end."""
    for begin in (b"", MARK):
        unmarker = _wire.Unmarker(MARK)
        unmarker.feed(begin)
        for _ in range(20_000 // len(block) + 2):
            assert unmarker.feed(block) == b""
        assert len(unmarker.rest()) <= 4096
        assert len(unmarker._held) <= 8192 + len(MARK) + len(block)
        assert unmarker.value is None


@given(st.binary(max_size=80), st.binary(max_size=200), st.none() | st.integers(-1, 300))
def test_any_end_of_stderr_is_read_or_not(token: bytes, stderr: bytes, status: int | None) -> None:
    """Only our own token says that a program was not started."""
    found = _wire.read_failure(b"@" + token, stderr, status)
    assert found is None or b"@" + token in stderr


words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["@revoked", "@cert-authority", "@odd", "h", "[h]:22", "*", "!h", "ssh-rsa"]),
    st.sampled_from(["|1||", "|1|x|y", "|1|x|y|z", "|1|AAAA|BBBB", "|2|a|b", "[", "]:", "[h]:x"]),
    st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
)
texts = st.one_of(
    st.text(), st.lists(st.lists(words, max_size=6).map(" ".join), max_size=6).map("\n".join)
)


@given(texts, st.text(max_size=20), st.integers(1, 65535), st.binary(max_size=60))
def test_any_known_hosts_is_read_and_trusts_nobody_by_chance(
    text: str, host: str, port: int, blob: bytes
) -> None:
    """No text raises, every line is a pin or is told, and only a pinned key is trusted."""
    pins, malformed = _hostkeys.parse(text)
    lines = [each for each in text.removeprefix("\ufeff").split("\n") if each.strip()]
    comments = [each for each in lines if each.lstrip().startswith("#")]
    assert len(pins) + len(malformed) == len(lines) - len(comments)
    for judged in (
        _hostkeys.judge(pins, host, port, blob),
        _hostkeys.judge_authority(pins, host, port, blob, None),
    ):
        assert not judged.trusted or blob in {pin.blob for pin in pins}
    assert isinstance(_hostkeys.preferred_kinds(pins, host, port), tuple)
