"""What a transfer has moved: counts, limits and progress, by table."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from transport_core import Symlinks, TransferLimitError
from transport_core.authoring import Deadline, End
from transport_ssh._transfer import CallerError, Tally, Transfer


def transfer(**more: Any) -> Transfer:
    """Return what a caller asked for."""
    plain: dict[str, Any] = {
        "source": End("local", "source", b"l"),
        "destination": End("remote", "destination", b"r"),
        "mode": None,
        "overwrite": True,
        "parents": False,
        "symlinks": Symlinks.KEEP,
        "kind": None,
        "deadline": Deadline(None),
        "progress": None,
    }
    return Transfer(**{**plain, **more})


def test_entries_and_bytes_are_counted() -> None:
    """Announced before they are read, moved afterwards."""
    tally = Tally(transfer())
    for size in (3, 4):
        tally.listed(size)
    assert (tally.entries, tally.total) == (2, 7)
    tally.moved(3)
    tally.moved(4)
    tally.files = 2
    result = tally.result()
    assert (result.files, result.bytes) == (2, 7)
    assert result.seconds >= 0


def test_progress_is_told_what_is_done_and_what_there_is() -> None:
    """The total is None as long as nothing was announced."""
    told: list[tuple[int, int | None]] = []
    tally = Tally(transfer(progress=lambda done, total: told.append((done, total))))
    tally.moved(1)
    tally.listed(5)
    tally.moved(4)
    assert told == [(1, None), (5, 5)]


def test_an_error_of_the_callers_progress_is_carried_out_whole() -> None:
    """Nobody below takes it for an error of the transfer."""
    mine = OSError("mine")

    def fail(done: int, total: int | None) -> None:
        raise mine

    with pytest.raises(CallerError) as caught:
        Tally(transfer(progress=fail)).moved(1)
    assert caught.value.error is mine
    assert caught.value.__cause__ is mine


@pytest.mark.parametrize(
    ("limits", "sizes", "passes"),
    (
        ({}, (10**12, 10**12), True),
        ({"max_files": 2}, (1, 1), True),
        ({"max_files": 2}, (1, 1, 1), False),
        ({"max_files": 0}, (0,), False),
        ({"max_bytes": 2}, (1, 1), True),
        ({"max_bytes": 2}, (1, 2), False),
        ({"max_bytes": 0}, (0,), True),
    ),
)
def test_announced_sizes_are_held_to_the_limits(
    limits: dict[str, int], sizes: tuple[int, ...], passes: bool
) -> None:
    """Before anything is read; the error names the limit."""
    tally = Tally(transfer(**limits))
    *first, last = sizes
    for size in first:
        tally.listed(size)
    failing = pytest.raises(TransferLimitError, match=next(iter(limits), "-"))
    with contextlib.nullcontext() if passes else failing:
        tally.listed(last)


def test_a_source_that_sends_more_than_it_announced_is_stopped() -> None:
    """The limit counts what came, whatever was said before."""
    tally = Tally(transfer(max_bytes=4))
    tally.listed(1)
    tally.moved(4)
    with pytest.raises(TransferLimitError, match="max_bytes=4"):
        tally.moved(1)


@pytest.mark.parametrize(("limit", "listed", "left"), ((None, 5, None), (2, 1, 1), (2, 2, 0)))
def test_what_may_still_be_listed(limit: int | None, listed: int, left: int | None) -> None:
    """Without a limit there is no number."""
    tally = Tally(transfer(max_files=limit))
    for _ in range(listed):
        tally.listed(1)
    assert tally.entries_left == left


def test_a_transfer_knows_its_two_sides() -> None:
    """Whichever way it goes."""
    there = transfer()
    back = transfer(
        source=End("remote", "source", b"r"), destination=End("local", "destination", b"l")
    )
    assert (there.local, there.remote) == (back.local, back.remote) == (b"l", b"r")
