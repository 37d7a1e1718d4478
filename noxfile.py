"""Every check of this repository by name; ``nox -l`` lists them.

A table of contents: what a session does beyond installing and calling is a script in ci/.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "layers", "coverage", "tests", "conformance"]

PROJECTS = [str(path.parent) for path in sorted(Path().glob("packages/*/pyproject.toml"))]
PROJECTS.append("testbed")
SUITES = ["packages/transport-local", "packages/transport-ssh"]
CONSTRAINTS = "ci/constraints.txt"
GROUPS = nox.project.load_toml("pyproject.toml")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = list(dict.fromkeys(["3.11", "3.12", "3.13", RUNNING]))


@nox.session
def conformance(session: nox.Session) -> None:
    """Run the conformance suite on transport-local and transport-ssh; -- reaches pytest."""
    _install(session, "test")
    session.run(
        "pytest",
        "-n6",
        "--dist=worksteal",
        "--transport-stack=auto",
        "--transport-report=build/conformance",
        *(f"{suite}/tests/test_conformance.py" for suite in SUITES),
        *session.posargs,
    )


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
    projects: tuple[str, ...] = tuple(PROJECTS),
    also: tuple[str, ...] = (),
) -> None:
    editable = [word for project in projects for word in ("-e", project)]
    tools = nox.project.dependency_groups(GROUPS, *groups) if groups else ()
    session.install(
        "-c", CONSTRAINTS, *editable, *also, *tools, env={"UV_BUILD_CONSTRAINT": CONSTRAINTS}
    )


def _own_tests(session: nox.Session) -> None:
    folders = _existing(*(f"{project}/tests" for project in PROJECTS))
    options = ("-nauto", "--maxprocesses=4", "--ignore-glob=*/test_conformance.py")
    session.run("pytest", *options, *(session.posargs or folders))


def _existing(*paths: str) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _built(suffix: str) -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(Path("dist").glob(f"*.{suffix}")))
