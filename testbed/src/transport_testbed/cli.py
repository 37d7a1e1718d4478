"""Bring a stack up and leave it up, say how to reach it, take it down; work in it; compare reports.

Thin: what a stack is, the stack knows, and what a report says, the reports.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from transport_testbed import _compare, _inside, _reports, _state
from transport_testbed.stack import Provider, Stack, StackError, StackSpec, providers

#: Stacks that are brought up, by their providers' names.
STACKS = ("native", "containers")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    first_line = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m transport_testbed", description=first_line)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up_parser = commands.add_parser("up", help="start servers and leave them running")
    up_parser.add_argument("--no-slurm", action="store_true", help="leave Slurm out")
    text = "as processes or in containers; without it, the first that works here"
    up_parser.add_argument("--stack", choices=STACKS, help=text)
    commands.add_parser("down", help="stop them")
    commands.add_parser("status", help="say whether they run, and how to reach them")
    commands.add_parser("stacks", help="say which stacks work here, and why another does not")
    _inside.add(commands.add_parser("inside", help="run pytest on a host of a stack in containers"))
    _add_compare(commands.add_parser("compare", help="print reports as one table, and differences"))
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if words[:1] == ["inside"] and "--" in words else len(words)
    asked = parser.parse_args(words[:end])
    if asked.command == "compare":
        return compare(asked.reports, asked.markdown)
    try:
        if asked.command == "up":
            if asked.no_slurm and asked.stack == "containers":
                up_parser.error("--no-slurm is for --stack native: containers have all parts")
            return up(StackSpec(slurm=not asked.no_slurm), asked.stack)
        if asked.command == "stacks":
            return stacks()
        if asked.command == "inside":
            return _inside.inside(asked, words[end + 1 :])
        return down() if asked.command == "down" else status()
    except StackError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return 1


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print reports of the suite as one table, and what differs between them."
    parser.epilog = (
        "exit code: 0 all reports are green and every difference has its reason in a report; "
        "1 not so; 2 a file is missing or is no report"
    )
    text = "conformance.json of a run, such as build/conformance/native/conformance.json"
    parser.add_argument("reports", nargs="+", metavar="REPORT.json", help=text)
    text = "append the same as Markdown to FILE, such as $GITHUB_STEP_SUMMARY"
    parser.add_argument("--markdown", default="", metavar="FILE", help=text)


def compare(paths: Sequence[str], markdown: str = "") -> int:
    """Print reports beside each other; the exit code says whether they agree."""
    try:
        reports = _reports.read(paths)
        if markdown:
            _reports.append(markdown, _compare.markdown(reports))
    except _reports.ReportError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return 2
    lines, ok = _compare.text(reports)
    _say(*lines)
    return 0 if ok else 1


def stacks() -> int:
    """Say of each stack whether it works here; the exit code says whether any does."""
    found = {each.name: each.unavailable() for each in providers() if each.name in STACKS}
    for name, why_not in found.items():
        _say(f"{name}: {f'not here: {why_not}' if why_not else 'here'}")
    return 0 if None in found.values() else 1


def up(spec: StackSpec, name: str | None = None) -> int:
    """Start a stack that outlives this process; one that runs already is kept."""
    stack = _state.load()
    if stack is not None and _provider(stack).runs(stack):
        _say("up already")
        _say(*_how_to_reach(stack))
        return 0
    _state.prepare()
    why_not = []
    for provider in providers():
        if provider.name not in ([name] if name else STACKS):
            continue
        if reason := provider.unavailable():
            why_not.append(f"{provider.name}: {reason}")
            continue
        if stack is not None:
            # It died; what is left of it would be nobody's once another one is described there.
            _provider(stack).stop(stack)
        _start(provider, spec)
        return 0
    print("; ".join(why_not), file=sys.stderr)  # noqa: T201 - a command line prints
    return 1


def _start(provider: Provider, spec: StackSpec) -> None:
    stack = provider.start(spec, keep=True)
    try:
        _state.save(stack)
    except BaseException:
        # Without its description nobody could take it down.
        provider.stop(stack)
        raise
    _say(f"up in {stack.timings['total']:.2f} s: {_versions(stack)}")
    _say(*_how_to_reach(stack))


def down() -> int:
    """Stop what ``up`` left, of whatever version; nothing to stop is no error."""
    stack = _state.remains()
    if stack is None:
        _say("nothing is up")
        return 0
    _provider(stack).stop(stack)
    _state.remove()
    _say("down")
    return 0


def status() -> int:
    """Say whether a stack is up; the exit code says it as well."""
    stack = _state.load()
    if stack is None or not _provider(stack).runs(stack):
        _say("nothing is up" if stack is None else "it died; down removes what is left")
        return 1
    _say(f"up: {_versions(stack)}", *_how_to_reach(stack))
    return 0


def _provider(stack: Stack) -> Provider:
    for each in providers():
        if each.name == stack.provider:
            return each
    raise StackError(stack.provider, "this version of the testbed has no such stack",
                     hint="take it down with the version that brought it up")  # fmt: skip


def _how_to_reach(stack: Stack) -> Iterator[str]:
    config = shlex.quote(str(_state.folder() / "config"))
    ssh = shlex.quote(shutil.which("ssh") or str(Path(stack.root, "openssh", "ssh")))
    yield "log in:"
    yield from (
        f"  {ssh} -F {config} {name}" for name in ("bash", "jump-bash") if _has(stack, name)
    )
    yield f"also: {' '.join(each.name for each in stack.endpoints)}"
    if not stack.isolated:
        yield f"not isolated: {stack.why_not_isolated}"
    if "SLURM_CONF" not in stack.environment:
        return
    yield "Slurm from this machine:"
    for name, value in stack.environment.items():
        # The PATH of whoever pastes it, with the stack's tools before it.
        own = value.split(":", 1)[0]
        yield f"  export {name}=" + (
            f'{shlex.quote(own)}:"$PATH"' if name == "PATH" else shlex.quote(value)
        )


def _has(stack: Stack, name: str) -> bool:
    return any(endpoint.name == name for endpoint in stack.endpoints)


def _versions(stack: Stack) -> str:
    return ", ".join(f"{name} {version}" for name, version in stack.versions.items())


def _say(*lines: str) -> None:
    try:
        for line in lines:
            print(line)  # noqa: T201 - a command line prints
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has had enough. What is still buffered goes nowhere, and without an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
