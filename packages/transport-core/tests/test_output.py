"""The bounded collector."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from transport_core.authoring import BoundedOutput


@given(st.lists(st.binary(max_size=20)), st.none() | st.integers(0, 60))
def test_it_keeps_the_first_bytes_and_says_when_there_were_more(
    chunks: list[bytes], limit: int | None
) -> None:
    output, whole = BoundedOutput(limit), b""
    for chunk in chunks:
        whole += chunk
        fits = limit is None or len(whole) <= limit
        assert output.feed(chunk) is fits
        assert output.exceeded is not fits
    assert output.getvalue() == whole[:limit]


def test_small_chunks_cost_no_more_than_their_bytes() -> None:
    tracemalloc.start()
    output = BoundedOutput(None)
    for number in range(100_000):
        output.feed(number.to_bytes(4, "big"))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000


def test_handing_out_what_was_kept_costs_no_copy() -> None:
    """A limit of 64 MiB is 64 MiB of memory, not twice that."""
    tracemalloc.start()
    output, size = BoundedOutput(None), 48 * 1024 * 1024
    for _ in range(size // 65536):
        output.feed(bytes(65536))
    kept = output.getvalue()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == size
    assert peak < 1.3 * size
    assert output.getvalue() is kept
