"""One test between its watchdogs: what they catch, what they leave alone, what they say."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

import pytest
from transport_core import MINIMUM, Capability
from transport_testbed._outside import LocalProbe
from transport_testbed.conformance import Case, Target, clause
from transport_testbed.conformance._clause import Place, clause_of

LAG = 0.15


class Fake:
    """A transport of which opening and closing can be told what to do."""

    name, capabilities = "fake", MINIMUM

    def __init__(self) -> None:
        self.closed = 0

    async def __aenter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        self.closed += 1


def run(
    tmp_path: Path,
    body: Callable[[Case], Coroutine[Any, Any, None]],
    build: Callable[[], Any] = Fake,
    **options: Any,
) -> None:
    """Run a test of the suite as pytest-asyncio would."""

    class Tests:
        @clause("RUN-01", **options)
        async def test_x(self, case: Case) -> None:
            await body(case)

    place = Place(
        target=Target(name="here", workdir=str(tmp_path), probe=LocalProbe()),
        build=lambda target: build(),
        local_dir=tmp_path,
        lag=LAG,
        not_claimed=pytest.skip,
    )

    asyncio.run(Tests().test_x(transport_place=place))  # type: ignore[arg-type]


async def nothing(case: Case) -> None:
    """Use the transport in no way."""


def test_what_a_clean_test_made_is_closed(tmp_path: Path) -> None:
    """The transport of the case, and those that the test made itself; one was asked for claims."""
    made: list[Fake] = []

    def build() -> Fake:
        made.append(Fake())
        return made[-1]

    async def body(case: Case) -> None:
        assert id(case.transport) == id(made[1])
        case.make()

    run(tmp_path, body, build)
    assert [fake.closed for fake in made] == [0, 1, 1]


def test_an_unopened_case_has_no_transport(tmp_path: Path) -> None:
    """The error says what to do."""

    async def body(case: Case) -> None:
        with pytest.raises(RuntimeError, match=r"case\.make"):
            _ = case.transport

    run(tmp_path, body, opened=False)


def test_what_is_not_claimed_is_skipped_before_it_is_opened(tmp_path: Path) -> None:
    """The reason is what is missing."""
    with pytest.raises(pytest.skip.Exception, match="signals"):
        run(tmp_path, nothing, needs=(Capability.RUN, Capability.SIGNALS))


def test_a_hang_fails_and_is_named(tmp_path: Path) -> None:
    """It is no TimeoutError, which a transport might have raised."""

    async def hang(case: Case) -> None:
        await asyncio.sleep(60)

    with pytest.raises(AssertionError, match=r"the test did not end within 0.1 s"):
        run(tmp_path, hang, seconds=0.1)

    async def late(case: Case) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run(tmp_path, late)


def test_a_task_left_is_a_leak(tmp_path: Path) -> None:
    """And so is a call that is still running in the loop's executor."""

    async def task(case: Case) -> None:
        case.keep = asyncio.create_task(asyncio.sleep(5), name="left")  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match=r"LIFE-05.*task left"):
        run(tmp_path, task)
    stop = threading.Event()

    async def pool(case: Case) -> None:
        asyncio.get_running_loop().run_in_executor(None, stop.wait)
        asyncio.get_running_loop().call_later(2, stop.set)

    with pytest.raises(AssertionError, match=r"LIFE-05.*1 calls running"):
        run(tmp_path, pool)


def test_a_thread_left_is_a_leak(tmp_path: Path) -> None:
    """A thread that only ends a little later is none."""
    stop = threading.Event()

    async def thread(case: Case) -> None:
        threading.Thread(target=stop.wait, name="left", daemon=True).start()

    try:
        with pytest.raises(AssertionError, match=r"LIFE-05.*thread left"):
            run(tmp_path, thread)
    finally:
        stop.set()

    async def soon(case: Case) -> None:
        threading.Thread(target=time.sleep, args=(0.1,)).start()

    run(tmp_path, soon)


def test_a_descriptor_left_is_a_leak(tmp_path: Path) -> None:
    """Named by what it is open on."""
    files: list[int] = []

    async def descriptor(case: Case) -> None:
        files.append(os.open(case.local("left"), os.O_CREAT | os.O_WRONLY))

    with pytest.raises(AssertionError, match=r"LIFE-05.*descriptor \d+: .*/left"):
        run(tmp_path, descriptor)
    os.close(files[0])


def test_a_child_left_is_a_leak(tmp_path: Path) -> None:
    """One that ended and was not waited for as well."""
    children: list[subprocess.Popen[bytes]] = []

    async def child(case: Case) -> None:
        children.append(subprocess.Popen(["true"]))

    with pytest.raises(AssertionError, match=r"LIFE-05.*child \d+: true"):
        run(tmp_path, child)
    children[0].wait()


def guest(source: str) -> Any:
    """Code that is not the suite's, as a transport's is not."""
    names: dict[str, Any] = {"__name__": "guest", "time": time, "asyncio": asyncio}
    exec(source, names)
    return names["call"]


ASLEEP = "async def call(seconds): time.sleep(seconds)"
COMPUTING = """
async def call(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
"""


@pytest.mark.parametrize("source", [ASLEEP, COMPUTING], ids=("asleep", "computing"))
def test_a_blocked_loop_is_a_failure_that_names_the_culprit(tmp_path: Path, source: str) -> None:
    """Whether it sleeps or computes; where the machine is busy a sleep is found later."""
    call = guest(source)

    async def body(case: Case) -> None:
        await asyncio.sleep(0.03)
        await call(longer.pop(0))

    longer = [0.5, 2, 8]
    while longer:
        try:
            run(tmp_path, body)
        except AssertionError as error:
            found = str(error)
            break
    assert found.startswith("LIFE-06")
    assert "150 ms" in found
    assert "in call" in found


def test_many_short_callbacks_do_not_block_the_loop(tmp_path: Path) -> None:
    """Each lets the loop run, however many wait for their turn."""
    call = guest("async def call():\n  end = time.thread_time() + 0.004\n"
                 "  while time.thread_time() < end: pass")  # fmt: skip

    async def body(case: Case) -> None:
        await asyncio.gather(*(call() for _ in range(100)))

    run(tmp_path, body)


def test_the_suite_itself_may_block_the_loop(tmp_path: Path) -> None:
    """Looking from outside is synchronous; and an idle loop is not blocked."""
    looks = "def look(seconds):\n    import time\n    time.sleep(seconds)\n"
    names: dict[str, Any] = {"__name__": "transport_testbed.conformance.some_section"}
    exec(looks, names)

    async def body(case: Case) -> None:
        await asyncio.sleep(0.4)
        names["look"](0.4)

    run(tmp_path, body)


def test_a_failure_is_told_rather_than_what_it_led_to(tmp_path: Path) -> None:
    """Leaks after it are no news; a close that fails after it is a note."""

    class Bad(Fake):
        async def aclose(self) -> None:
            raise OSError("close")

    async def fail(case: Case) -> None:
        case.keep = asyncio.create_task(asyncio.sleep(5))  # type: ignore[attr-defined]
        raise ValueError("first")

    with pytest.raises(ValueError, match="first") as found:
        run(tmp_path, fail, Bad)
    assert found.value.__notes__ == ["and closing failed: OSError: close"]
    with pytest.raises(OSError, match="close"):
        run(tmp_path, nothing, Bad)


def test_eventually(tmp_path: Path) -> None:
    """Plain and async predicates; what it waits for in vain is an assertion."""

    async def body(case: Case) -> None:
        seen: list[int] = []

        async def two() -> list[int]:
            seen.append(1)
            return seen if len(seen) > 1 else []

        assert await case.eventually(two) == [1, 1]
        assert await case.eventually(lambda: "x") == "x"
        with pytest.raises(AssertionError, match="not within"):
            await case.eventually(lambda: False, seconds=0.02)

    run(tmp_path, body)


def test_paths_and_marker(tmp_path: Path) -> None:
    """Below the directory of the test; unnamed ones differ; nothing is made."""

    async def body(case: Case) -> None:
        assert case.remote(b"a\xff") == os.fsencode(tmp_path) + b"/a\xff"
        assert case.remote() != case.remote()
        assert case.local("x") == tmp_path / "x"
        assert not case.local().exists()
        assert case.marker.isalnum()

    run(tmp_path, body)


def test_clauses_are_checked_and_kept() -> None:
    """A test without a clause, or with a misspelt one, is a mistake."""
    for wrong in ((), ("RUN-1",), ("RUN-01", "run-02")):
        with pytest.raises(ValueError, match="RUN-01"):
            clause(*wrong)

    @clause("RUN-01", "RUN-02", needs=Capability.STOP, offers="slurm", seconds=5)
    async def test_x(self: object, case: Case, word: str) -> None: ...

    says = clause_of(test_x)
    assert says is not None
    assert (says.ids, says.needs, says.offers) == (
        ("RUN-01", "RUN-02"), (Capability.RUN, Capability.STOP), ("slurm",),
    )  # fmt: skip
    assert says.about == ()

    @clause("FILE-01", "LIFE-05", needs=Capability.MODES, about="shell")
    async def test_y(self: object, case: Case) -> None: ...

    files = clause_of(test_y)
    assert files is not None
    assert files.needs == (Capability.FILES, Capability.MODES)
    assert files.about == ("files", "shell")
    assert clause_of(print) is None
    assert sys.modules["transport_testbed.conformance"].clause is clause
