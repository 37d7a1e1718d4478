"""What a finished call returns."""

import dataclasses
import pickle

import pytest
from transport_core import CommandFailedError, CommandResult, TransferResult


def result(status: int | None = 0, ended_by: str | None = None) -> CommandResult:
    return CommandResult(
        argv=(b"tool", b"--password=secret"), exit_status=status, exit_signal=ended_by,
        stdout=b"o\xff", stderr=b"\xc3\xa9", duration=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "ended_by", "ok", "ending"),
    [
        (0, None, True, "exited with 0"),
        (255, None, False, "exited with 255"),
        (None, "TERM", False, "was ended by signal TERM"),
        (None, None, False, "has no known end"),
    ],
)
def test_its_end_in_words_and_as_a_check(
    status: int | None, ended_by: str | None, *, ok: bool, ending: str
) -> None:
    found = result(status, ended_by)
    assert (found.ok, found.ending()) == (ok, ending)
    if ok:
        assert found.check() is found
    else:
        with pytest.raises(CommandFailedError, match=ending) as caught:
            found.check()
        assert caught.value.result is found
        assert "secret" not in str(caught.value)


def test_text_views_never_fail() -> None:
    assert (result().stdout_text, result().stderr_text) == ("o\N{REPLACEMENT CHARACTER}", "é")


def test_it_is_a_frozen_picklable_value_whose_repr_shows_no_content() -> None:
    found = result()
    assert pickle.loads(pickle.dumps(found)) == found
    assert "secret" not in repr(found)
    assert "stdout" not in repr(found)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.exit_status = 1  # type: ignore[misc]
    moved = TransferResult(files=1, bytes=2, seconds=0.5)
    assert pickle.loads(pickle.dumps(moved)) == moved
