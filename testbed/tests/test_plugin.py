"""The plugin, run by pytest within pytest: subjects, states, guards, with workers too."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .guests import GOOD, WORKERS, make_guest, rows, run


@pytest.fixture(autouse=True)
def guest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that has the small suite at hand."""
    make_guest(pytester, monkeypatch)


@WORKERS
def test_a_conformant_transport_is_green(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Skips are told with their reasons, and are not passes."""
    result = run(pytester, GOOD, *workers)
    assert result.ret == 0
    assert rows(pytester) == {
        "good@here test_words[x]": "passed",
        "good@here test_words[y-z]": "passed",
        "good@here test_signals": "not claimed",
        "good@here test_shells": "not offered",
        "good@here test_files": "passed",
    }
    result.stdout.fnmatch_lines([
        "RUN-01*.", "RUN-02*o", "RUN-05*c", "FILE-01*.",
        "not claimed: signals * RUN-05",
        "not offered: login-shell: nothing logs in here * RUN-02",
        "CONFORMANT: 1 subject, 3 checks passed, 0 failed, 1 not claimed, 1 not offered, *",
    ])  # fmt: skip


@WORKERS
def test_a_failing_transport_is_red(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """Its failures are listed with the way to run them again."""
    test = (
        "from suite import *\nclass TestBad(Suite):\n  def make_transport(self, t): return Wrong()"
    )
    result = run(pytester, test, *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "failed: bad@here RUN-01 test_words*: AssertionError*",
        "    python3 -m pytest test_guest.py -k test_words --transport-targets bad@here",
        "NOT CONFORMANT: *2 failed*",
    ])  # fmt: skip


@WORKERS
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("test_words = None", "*test_words (RUN-01) is deleted*"),
        ("async def test_files(self, case): pass", "*test_files (FILE-01) is overridden*"),
        ("entry_point = 'nowhere'", "*nowhere*"),
        ("targets = ('here', 'nowhere-*')", "*no place is called nowhere-**"),
    ],
)
def test_a_guest_that_changes_the_suite_is_red(
    pytester: pytest.Pytester, workers: tuple[str, ...], line: str, said: str
) -> None:
    """Although every test that is left passes."""
    result = run(pytester, GOOD.replace("pass", f"\n  {line}"), *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"not green: {said}", "NOT CONFORMANT:*"])


@WORKERS
def test_a_place_of_the_testbed_that_fails_is_an_error(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Neither a failure of the transport nor green."""
    places = "\n  targets, places = ('here', 'pod'), {'pod': away}"
    result = run(pytester, GOOD.replace("pass", places), *workers)
    assert result.ret == 3
    assert set(rows(pytester).values()) == {"passed", "not claimed", "not offered", "error"}
    result.stdout.fnmatch_lines(["error: good@pod*the server is down", "NO VERDICT: *0 failed*"])


def test_a_harness_error_within_a_test_is_an_error(pytester: pytest.Pytester) -> None:
    """Whoever raises it says that nothing follows for the transport."""
    body = "\n  def make_transport(self, t):\n    f = Fake(); f.name = 'broken testbed'; return f"
    assert run(pytester, GOOD.replace("pass", body)).ret == 3
    assert rows(pytester)["good@here test_files"] == "error"


def test_skips_that_nobody_earned_are_failures(pytester: pytest.Pytester) -> None:
    """A mark on the class does not make a transport conformant."""
    result = run(pytester, GOOD.replace("class", "@pytest.mark.skip(reason='later')\nclass"))
    assert result.ret == 1
    result.stdout.fnmatch_lines(["failed: good@here *skipped without being entitled to it*"])


def test_all_skipped_is_not_green(pytester: pytest.Pytester) -> None:
    """A place that is not there leaves nothing executed."""
    test = GOOD.replace("pass", "targets = ('direct',)")
    result = run(pytester, test, "--transport-stack=none")
    assert result.ret == 5
    result.stdout.fnmatch_lines(["not green: nothing was executed", "NO VERDICT: *"])


def test_a_run_that_was_asked_to_leave_out_is_partial(pytester: pytest.Pytester) -> None:
    """The word and the reason say so."""
    test = GOOD.replace("pass", "targets = ('here', 'direct')")
    result = run(pytester, test, "--transport-stack=none")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["partial: --transport-stack=none", "PARTIAL: 2 subjects, 3 *"])
    result = run(pytester, test, "-k", "files", "--transport-targets=good@h*")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["partial: -k files", "partial: --transport-targets*", "PARTIAL: *"]
    )


def test_no_subjects_is_not_green(pytester: pytest.Pytester) -> None:
    """A pattern that matches nothing, or no test of the suite at all."""
    assert run(pytester, GOOD, "--transport-targets=nowhere").ret == 5
    assert run(pytester, "def test_x(): pass").ret == 5


def test_a_hook_that_takes_tests_out_is_found(pytester: pytest.Pytester) -> None:
    """They were counted when they were collected."""
    hook = "def pytest_collection_modifyitems(items):\n  items[:] = items[1:]"
    pytester.makeconftest(hook)
    result = run(pytester, GOOD)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["not green: good@here: 1 of 5 tests did not report"])


def test_two_guests_of_one_name_are_found(pytester: pytest.Pytester) -> None:
    """Their results would be taken for each other's."""
    result = run(pytester, GOOD + "class TestGood(Suite): pass\n")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["not green: TestGoodConformance and TestGood are both called good"]
    )


def test_runs_without_the_suite_are_left_alone(pytester: pytest.Pytester) -> None:
    """No table, no judgement, nothing loaded: not even the contract."""
    pytester.makepyfile(
        test_guest="""
        import sys
        def test_x():
            mine = {name for name in sys.modules if name.startswith("transport_")}
            assert mine == {"transport_testbed", "transport_testbed.conformance",
                            "transport_testbed.conformance.plugin"}
        """
    )
    for options in ((), ("-n2",)):
        result = pytester.runpytest_subprocess(*options)
        assert result.ret == 0
        result.stdout.no_fnmatch_line("*conformance*")


def test_collecting_only_is_not_judged(pytester: pytest.Pytester) -> None:
    """Nor does it start a stack."""
    test = GOOD.replace("pass", "targets = ('here', 'direct')")
    result = run(pytester, test, "--collect-only", "-q")
    assert result.ret == 0
    wanted = ["*test_words[[]good@direct-x]", "*test_shells[[]good@here]"]
    result.stdout.fnmatch_lines_random(wanted)


def test_the_plugin_is_light() -> None:
    """Every pytest run of the environment pays for it: 20 ms beside pytest itself."""
    script = (
        "import pytest, asyncio, time; began = time.perf_counter();"
        "import transport_testbed.conformance.plugin; print(time.perf_counter() - began)"
    )
    took = min(
        float(
            subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
        )
        for _ in range(3)
    )
    assert took < 0.02


DROPS = """
from dataclasses import replace
from contextlib import contextmanager
from transport_core import FILES_MINIMUM
from transport_testbed.conformance import *
from transport_testbed.targets import Places
from suite import *

class Drops(Fake):
    capabilities = FILES_MINIMUM

@contextmanager
def alone():
    with Places("none", "/nowhere").open("here") as target:
        yield replace(target, name="alone", minimum=FILES_MINIMUM)

class TestDropsConformance(Suite):
    targets, places = ({place!r},), {{"alone": alone}}
    def make_transport(self, target): return Drops()
"""


@pytest.mark.parametrize(("place", "code"), [("here", 1), ("alone", 0)])
def test_commands_may_be_denied_only_where_the_place_grants_none(
    pytester: pytest.Pytester, place: str, code: int
) -> None:
    """A transport that drops them empties a section, and that is not green."""
    result = run(pytester, DROPS.format(place=place))
    assert result.ret == code
    found = rows(pytester)
    assert found[f"drops@{place} test_words[x]"] == "not claimed"
    assert found[f"drops@{place} test_files"] == "passed"
    if code:
        result.stdout.fnmatch_lines(["*drops@here: no test of section OneTests was executed*"])
