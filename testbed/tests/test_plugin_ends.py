"""How a run ends, by pytest within pytest: exit codes, reports, waivers, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .guests import GOOD, WAIVER, WORKERS, make_guest, rows, run


@pytest.fixture(autouse=True)
def guest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that has the small suite at hand."""
    make_guest(pytester, monkeypatch)


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


def test_a_worker_that_dies_is_an_error(pytester: pytest.Pytester) -> None:
    """Nobody knows at whose fault; the test it died in is named."""
    body = "\n  def make_transport(self, t):\n    f = Fake(); f.name = 'deadly'; return f"
    result = run(pytester, GOOD.replace("pass", body), "-n2")
    assert result.ret == 3
    assert rows(pytester)["good@here test_files"] == "error"
    result.stdout.fnmatch_lines(["error: good@here * test_files: the process*ended"])


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
