"""Every check of this repository by name; ``nox -l`` lists them.

A table of contents: what a session does beyond installing and calling is a script in ci/.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "layers", "coverage", "tests", "conformance"]

PACKAGES = [str(path.parent) for path in sorted(Path().glob("packages/*/pyproject.toml"))]
PROJECTS = [*PACKAGES, "testbed"]
SUITES = ["packages/transport-local", "packages/transport-ssh"]
CONSTRAINTS = "ci/constraints.txt"
GROUPS = nox.project.load_toml("pyproject.toml")
# What the workstation of the containers has, and what it is given besides our own packages.
WORKSTATION_PYTHON = "3.11"
# pip asks its own Python what a requirement is for: a later one needs no typing-extensions.
INSIDE = ["pytest-xdist", "pytest-randomly", "typing-extensions"]
# There is no pyproject.toml on it.
INSIDE_OPTIONS = ["-otransport_loop_lag=250", "-oasyncio_default_fixture_loop_scope=function"]
# Reports of this call of nox.
RAN: list[str] = []
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = list(dict.fromkeys(["3.11", "3.12", "3.13", RUNNING]))


@nox.session
@nox.parametrize("stack", ["native", "containers"])
def conformance(session: nox.Session, stack: str) -> None:
    """Run the conformance suite on transport-local and transport-ssh; -- reaches pytest."""
    _install(session, "suite", "inside")
    _require(session, stack)
    within = stack == "containers"
    # Slurm's commands are within the containers: that suite runs there.
    suites = ["packages/transport-ssh"] if within else SUITES
    session.run(
        "pytest",
        "-n8",  # more than processors: a test waits more than it computes
        "--dist=worksteal",
        "-rfE",  # the suite's own report names what was skipped
        f"--transport-stack={stack}",
        f"--transport-report=build/conformance/{stack}",
        *(f"{suite}/tests/test_conformance.py" for suite in suites),
        *session.posargs,
    )
    RAN.append(f"build/conformance/{stack}/conformance.json")
    # What is asked for by name need not be there: one place more is not worth a stack of its own.
    if within and not session.posargs:
        _conformance_inside(session)
    if len(RAN) > 1:
        session.run("python", "-m", "transport_testbed", "compare", *RAN)


def _require(session: nox.Session, stack: str) -> None:
    """Skip a stack that does not work here, and say why; where both have to, fail."""
    told = session.run(
        *("python", "-m", "transport_testbed", "stacks"), silent=True, success_codes=[0, 1]
    )
    found = dict(line.split(": ", 1) for line in str(told).splitlines() if ": " in line)
    session.log("; ".join(f"{name}: {state}" for name, state in found.items()))
    if found.get(stack) == "here":
        return
    asked = any("conformance(" in word for word in sys.argv)
    if asked or os.environ.get("CI") or "here" not in found.values():
        session.error(f"{stack}: {found.get(stack, told)}")
    session.skip(f"{stack}: {found[stack]}")


def _conformance_inside(session: nox.Session) -> None:
    """Run transport-local's suite on the workstation of the containers, from wheels alone."""
    wheels, report = "build/wheelhouse", "build/conformance/containers-local"
    shutil.rmtree(wheels, ignore_errors=True)
    for project in (*PACKAGES, "testbed"):
        session.run("python", "-m", "build", "-nw", "--outdir", wheels, project, silent=True)
    # By their paths: an index may have others of these names.
    ours = [str(path) for path in sorted(Path(wheels).glob("*.whl")) if "_ssh" not in path.name]
    session.run(
        *("python", "-m", "pip", "download", "--quiet", "--only-binary=:all:"),
        *("--python-version", WORKSTATION_PYTHON, "--dest", wheels, "-c", CONSTRAINTS),
        *(*ours, *INSIDE),
    )
    wanted = ("transport-local", "transport-testbed", *INSIDE)
    session.run(
        *("python", "-m", "transport_testbed", "inside", wheels, "--report", report),
        *(word for package in wanted for word in ("--install", package)),
        *("--", "--pyargs", "transport_testbed.examples.local", "-n2", *INSIDE_OPTIONS),
    )
    RAN.append(f"{report}/conformance.json")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the packages' own tests and the suite's mutants; -- reaches pytest."""
    _install(session, "test")
    _own_tests(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, spelling, and the workflows of CI."""
    _install(session, "lint", projects=())
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    workflows = [str(path) for path in sorted(Path(".github/workflows").glob("*.yml"))]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", *workflows)


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy on sources and tests, pyright on sources and typing/api.py."""
    _install(session, "types")
    for project in PROJECTS:
        session.run("mypy", *_existing(f"{project}/src", f"{project}/tests"))
    session.run("mypy", "ci")
    session.run("pyright")


@nox.session
def layers(session: nox.Session) -> None:
    """Check imports, file sizes, changelogs, clauses against the docs, and workflows."""
    _install(session, "layers", "test")
    session.run("lint-imports", "--no-cache", "--no-logo")
    session.run("python", "ci/layers.py")


@nox.session
def coverage(session: nox.Session) -> None:
    """Hold what decides to every branch: each pure module by its own tests alone."""
    _install(session, "test", "coverage")
    session.run("python", "ci/branches.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into build/docs, and check its examples; warnings are errors."""
    _install(session, "docs", "types")
    session.run("python", "ci/examples.py")
    session.run("python", "ci/errors_page.py")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-E", "docs", "build/docs")


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build wheel and sdist of each package into dist, check them, then run ``wheels``."""
    _install(session, "build", projects=())
    shutil.rmtree("dist", ignore_errors=True)
    for project in PROJECTS:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", project)
    session.run("twine", "check", "--strict", *_built("whl"), *_built("tar.gz"))
    session.notify("wheels")


@nox.session(default=False, reuse_venv=False)
def wheels(session: nox.Session) -> None:
    """Run the packages' own tests on the wheels in dist, and print what installing them costs."""
    _install(session, "build", "test", projects=(), also=_built("whl"))
    session.run("python", "ci/footprint.py", "dist")
    _own_tests(session)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Print the speed of transport-ssh as ratios to asyncssh and OpenSSH, measured here."""
    _install(session, "test")
    session.run("python", "ci/bench.py", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Count what 200 timeouts, 200 cancels and 200 killed sessions of each kind leave behind."""
    _install(session, "test")
    session.run("python", "ci/soak.py")


@nox.session(default=False)
def memory(session: nox.Session) -> None:
    """Measure peak memory: endless output against its limit, 1 GiB files against 64 MiB."""
    _install(session, "test")
    session.run("python", "ci/memory.py")


@nox.session(default=False)
def up(session: nox.Session) -> None:
    """Start the testbed's servers and leave them running; prints how to reach them."""
    _install(session)
    session.run("python", "-m", "transport_testbed", "up", *session.posargs)


@nox.session(default=False)
def down(session: nox.Session) -> None:
    """Stop what ``up`` started."""
    _install(session)
    session.run("python", "-m", "transport_testbed", "down", *session.posargs)


def _install(
    session: nox.Session,
    *groups: str,
    projects: tuple[str, ...] = (*PACKAGES, "testbed[containers,compose]"),
    also: tuple[str, ...] = (),
) -> None:
    # Without bytecode on disk each process compiles all anew, and pytest rewrites every test.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""
    editable = [word for project in projects for word in ("-e", project)]
    tools = nox.project.dependency_groups(GROUPS, *groups) if groups else ()
    install = {"UV_BUILD_CONSTRAINT": CONSTRAINTS, "UV_COMPILE_BYTECODE": "1"}
    session.install("-c", CONSTRAINTS, *editable, *also, *tools, env=install)


def _own_tests(session: nox.Session) -> None:
    folders = _existing(*(f"{project}/tests" for project in PROJECTS))
    # More than two processors: a test waits more than it computes.
    options = ("-n4", "--ignore-glob=*/test_conformance.py")
    session.run("pytest", *options, *(session.posargs or folders))


def _existing(*paths: str) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _built(suffix: str) -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(Path("dist").glob(f"*.{suffix}")))
