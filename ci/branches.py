"""Holds what decides to all of its branches: each pure module by its own tests, and no others.

Runs each module's tests in a process of its own, prints a table, and exits with 1 if a branch of
a module is left that its tests do not take.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import coverage

MODULES = {
    "transport_core": (
        "_argv", "_capabilities", "_deadline", "_ends", "_names", "_output", "_redact", "_results",
        "_stdin",
    ),
    "transport_ssh": (
        "_backoff", "_hostkeys", "_leader", "_link_state", "_opens", "_sessions", "_ssh_config",
        "_ssh_lines", "_ssh_plan", "_transfer", "_tree", "_wire",
    ),
}  # fmt: skip

TOGETHER = {"_ssh_lines": "_ssh_config", "_ssh_plan": "_ssh_config"}
"""Modules that one table tests with another: a configuration is text before it is anything."""


def measure(package: str, module: str) -> tuple[bool, str]:
    """Run a module's tests; return whether they pass and take every branch, and a row."""
    folder = Path("packages", package.replace("_", "-"))
    source = folder / "src" / package / f"{module}.py"
    tests = folder / "tests" / f"test{TOGETHER.get(module, module)}.py"
    with tempfile.TemporaryDirectory() as where:
        data = os.path.join(where, "data")
        words = ["-m", "coverage", "run", f"--data-file={data}", f"--include={source}"]
        words += ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
        ran = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        if ran.returncode:
            return False, f"{package}.{module}: the tests fail\n{ran.stdout}{ran.stderr}"
        return _row(f"{package}.{module}", data, source)


def _row(name: str, data: str, source: Path) -> tuple[bool, str]:
    found = coverage.Coverage(data_file=data)
    found.load()
    table = io.StringIO()
    percent = found.report(morfs=[str(source)], file=table, show_missing=True)
    # The last column of the module's line: what is missing.
    left = table.getvalue().splitlines()[2].partition("%")[2].strip()
    return percent == 100, f"{name:<32}{percent:>6.1f} %  {left}".rstrip()  # noqa: PLR2004


def main() -> int:
    """Measure all, a few at a time."""
    pairs = [(package, name) for package, names in MODULES.items() for name in names]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        rows = list(pool.map(lambda pair: measure(*pair), pairs))
    for _, row in rows:
        print(row)
    whole = sum(good for good, _ in rows)
    print(f"modules with every branch taken by their own tests: {whole} of {len(rows)}")
    return int(whole < len(rows))


if __name__ == "__main__":
    sys.exit(main())
