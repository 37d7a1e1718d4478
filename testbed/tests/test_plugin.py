"""The plugin, run by pytest within pytest: subjects, states, guards, exit codes, with workers too.

The suite here is a small one, with the same machinery and a handful of tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = '''
from contextlib import contextmanager
import os
import pytest
from transport_core import MINIMUM, Capability
from transport_testbed.conformance import *
from transport_testbed.conformance._claims import catalogue
from transport_testbed.conformance._collect import open_place


class Fake:
    """Does nothing, in the shape that the machinery needs."""
    name, capabilities = "fake", MINIMUM
    async def __aenter__(self): return self
    async def aclose(self): pass


class OneTests:
    @clause("RUN-01")
    @pytest.mark.parametrize("word", ("x", "y-z"))
    async def test_words(self, case, word):
        assert case.transport.name != "wrong"

    @clause("RUN-05", needs=Capability.SIGNALS)
    async def test_signals(self, case):
        assert case.transport.name != "wrong"

    @clause("RUN-02", offers="login-shell")
    async def test_shells(self, case): ...


class TwoTests:
    @clause("FILE-01")
    async def test_files(self, case):
        if case.transport.name == "broken testbed":
            raise HarnessError("out of order")
        if case.transport.name == "deadly":
            os._exit(3)
        assert not case.local("x").exists() and case.probe.listdir(case.remote(".")) == []


class Suite(OneTests, TwoTests):
    targets, entry_point, label, places = ("here",), None, None, {}

    @pytest.fixture
    def transport_place(self, request):
        with open_place(request, self.make_transport) as place:
            yield place

    def make_transport(self, target):
        return Fake()

Suite.catalogue = catalogue(Suite)


@contextmanager
def away():
    raise HarnessError("the server is down")
    yield


class Wrong(Fake):
    name = "wrong"


class Able(Fake):
    capabilities = MINIMUM | {Capability.SIGNALS}
'''

GOOD = "from suite import *\nclass TestGoodConformance(Suite): pass\n"
WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=("alone", "workers"))
WAIVER = """
[[waiver]]
clause = "RUN-01"
reason = "known"
issue = "https://example.org/1"
until = 2999-01-01
"""


@pytest.fixture(autouse=True)
def guest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that has the small suite at hand."""
    pytester.makepyfile(suite=SUITE)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    # A worker that dies leaves its directories behind: here, where they are removed.
    monkeypatch.setenv("TMPDIR", str(pytester.path))


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run a guest's test file in a process of its own, and write reports."""
    pytester.makepyfile(test_guest=test)
    return pytester.runpytest_subprocess("--transport-report=report", *options)


def rows(pytester: pytest.Pytester) -> dict[str, str]:
    """What each test of the report came to."""
    found = json.loads(Path(pytester.path, "report", "conformance.json").read_text())
    return {f"{row['subject']} {row['variant']}": row["state"] for row in found["rows"]}


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


def test_a_failure_is_run_again_as_it_was_run(pytester: pytest.Pytester) -> None:
    """On the same stack and with the same waivers; by nox where that runs the suite."""
    pytester.makefile(".toml", w=WAIVER.replace("RUN-01", "FILE-01"))
    test = (
        "from suite import *\nclass TestBad(Suite):\n  def make_transport(self, t): return Wrong()"
    )
    options = ("--transport-waivers=w.toml", "--transport-stack=none", "-k", "words")
    line = "-k test_words --transport-targets bad@here"
    for noxfile in ("", "def tests(session): pass"):
        Path(pytester.path, "noxfile.py").write_text(noxfile)
        again = f"{line} --transport-stack=none --transport-waivers=w.toml"
        wanted = [f"    python3 -m pytest test_guest.py {again}"]
        run(pytester, test, *options).stdout.fnmatch_lines(wanted)
    Path(pytester.path, "noxfile.py").write_text("def conformance(session): pass")
    wanted = [f"    nox -s conformance -- {line} --transport-waivers=w.toml"]
    run(pytester, test, *options).stdout.fnmatch_lines(wanted)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("'here'", '* is no tuple of names; try: targets = ("here",)'),
        ("()", '* names no place; try: targets = ("here",)'),
        ("('hree',)", "*no place is called hree; there are: here,*"),
        ("None", "* is no tuple of names; try: *"),
    ],
    ids=("text", "nothing", "typo", "none"),
)
def test_targets_that_leave_nothing_to_run_are_one_error(
    pytester: pytest.Pytester, given: str, said: str
) -> None:
    """Which says in which class, and what to write; no test of an odd name is run."""
    result = run(pytester, GOOD.replace("pass", f"targets = {given}"))
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"*TestGoodConformance: {said}"])
    result.stdout.no_fnmatch_line("*_collect.py*")
    assert not rows(pytester)


@pytest.mark.parametrize(
    ("body", "what"),
    [("def make_transport(self, t): Fake()", "None"),
     ("async def make_transport(self, t): return Fake()", "a coroutine")],
    ids=("none", "coroutine"),
)  # fmt: skip
def test_what_is_no_transport_is_said_plainly(
    pytester: pytest.Pytester, body: str, what: str
) -> None:
    """One line for each test, without the insides of the suite."""
    result = run(pytester, GOOD.replace("pass", f"\n  {body}"), "-Werror", "-k", "files")
    assert result.ret == 1
    said = f"TestGoodConformance.make_transport returned {what}; try: *"
    result.stdout.fnmatch_lines([said, f"failed: good@here FILE-01 test_files: Failed: {said}"])
    result.stdout.no_fnmatch_line("*_clause.py*")


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


def test_a_worker_that_dies_is_an_error(pytester: pytest.Pytester) -> None:
    """Nobody knows at whose fault; the test it died in is named."""
    body = "\n  def make_transport(self, t):\n    f = Fake(); f.name = 'deadly'; return f"
    result = run(pytester, GOOD.replace("pass", body), "-n2")
    assert result.ret == 3
    assert rows(pytester)["good@here test_files"] == "error"
    result.stdout.fnmatch_lines(["error: good@here * test_files: the process*ended"])


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


@WORKERS
def test_waived_failures_are_told_and_green(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Pytest counts them as expected failures; the verdict counts them apart."""
    pytester.makefile(".toml", w=WAIVER)
    test = (
        "from suite import *\nclass TestBad(Suite):\n  def make_transport(self, t): return Wrong()"
    )
    result = run(pytester, test, "--transport-waivers=w.toml", *workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines([
        "waived: bad@here RUN-01 *(waived: known (https://example.org/1, until 2999-01-01))",
        "CONFORMANT with 2 waived failures: *",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [("", "", "passes"), ("RUN-01", "RUN-99", "matches no test"), ("2999", "1999", "expired")],
)
def test_a_stale_waiver_is_red(
    pytester: pytest.Pytester, before: str, after: str, said: str
) -> None:
    """What it waives passes, does not exist, or its day is over."""
    pytester.makefile(".toml", w=WAIVER.replace(before, after) if before else WAIVER)
    result = run(pytester, GOOD, "--transport-waivers=w.toml")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"not green: waiver of RUN-*{said}*"])


def test_a_bad_waiver_file_is_a_usage_error(pytester: pytest.Pytester) -> None:
    """Before anything is run."""
    result = run(pytester, GOOD, "--transport-waivers=missing.toml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: waivers missing.toml*"])


def test_other_tests_keep_their_say(pytester: pytest.Pytester) -> None:
    """A conformant transport does not hide that another test of the run failed."""
    result = run(pytester, GOOD + "def test_other(): assert False\n")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["CONFORMANT: *"])


@WORKERS
def test_what_pytest_calls_failed_is_not_pardoned(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """A plugin that fails the run, as for too little coverage, is heard above a green verdict."""
    pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtestloop(session):\n"
        "  result = yield\n  session.testsfailed += 1\n  return result"
    )
    result = run(pytester, GOOD, *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["CONFORMANT: *"])


@WORKERS
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("item.session.shouldfail = 'session-timeout: 3 s'", "*session-timeout: 3 s"),
        ("item.session.shouldstop = 'enough'", "*enough"),
        ("raise KeyboardInterrupt", "*interrupt*"),
    ],
    ids=("timeout", "stop", "interrupt"),
)
def test_a_run_that_was_stopped_is_not_green(
    pytester: pytest.Pytester, workers: tuple[str, ...], body: str, why: str
) -> None:
    """Nobody asked to leave out what did not run: neither the exit code nor a report says ok."""
    pytester.makeconftest(f"def pytest_runtest_teardown(item):\n  if 'y-z' in item.name: {body}")
    result = run(pytester, GOOD, "-p", "no:randomly", *workers)
    assert result.ret in (1, 2)  # which one is pytest's affair
    found = json.loads(Path(pytester.path, "report", "conformance.json").read_text())
    assert (found["ok"], found["verdict"]) == (False, "NO VERDICT")
    result.stdout.fnmatch_lines([f"not green: stopped: {why}", "NO VERDICT: *"])


@WORKERS
def test_a_file_that_cannot_be_read_is_not_green(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """It may have had another transport, of which nothing is known."""
    pytester.makepyfile(test_other="import nowhere")
    result = run(pytester, GOOD, "--continue-on-collection-errors", *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["not green: test_other.py: could not be collected", "NO VERDICT*"])


def test_a_run_that_is_killed_leaves_no_report_of_an_earlier_one(pytester: pytest.Pytester) -> None:
    """What was green last time is not there to be taken for this time's; other files stay."""
    assert run(pytester, GOOD).ret == 0
    Path(pytester.path, "report", "other.txt").touch()
    body = "\n  def make_transport(self, t): import os; os._exit(9)"
    assert run(pytester, GOOD.replace("pass", body)).ret == 9
    assert [each.name for each in Path(pytester.path, "report").iterdir()] == ["other.txt"]


def test_a_report_that_cannot_be_written_is_a_usage_error(pytester: pytest.Pytester) -> None:
    """Before anything is run, and not after all of it."""
    Path(pytester.path, "report").touch()
    result = run(pytester, GOOD)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --transport-report=report: *; try: a directory"])


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
