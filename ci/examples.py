"""Checks the Python examples of README and docs: all are type-checked, some are run.

An example that follows ``<!-- example: run -->`` is run in a directory of its own. One that
follows ``<!-- example: goes on -->`` is checked together with the one before it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FENCE = re.compile(
    r"(?:<!-- example: (?P<what>[a-z ]+) -->\n+)?^```python\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
OUT = Path("build/examples")


def pages() -> list[Path]:
    """Return the pages whose examples are checked."""
    own = [Path("README.md"), *Path("packages").glob("*/README.md"), Path("testbed/README.md")]
    return [path for path in [*own, *sorted(Path("docs").rglob("*.md"))] if path.exists()]


def extract(page: Path) -> list[tuple[Path, bool]]:
    """Write a page's examples as files; return each, and whether it is to be run."""
    found: list[tuple[Path, bool]] = []
    text = page.read_text()
    stem = "_".join(page.with_suffix("").parts).replace("-", "_").lower()
    for match in FENCE.finditer(text):
        if match["what"] == "goes on":
            path = found[-1][0]
            path.write_text(path.read_text() + "\n\n" + match["code"])
            continue
        line = text[: match.start("code")].count("\n") + 1
        path = OUT / f"{stem}_line_{line}.py"
        path.write_text(match["code"])
        found.append((path, match["what"] == "run"))
    return found


def main() -> int:
    """Check them all."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    examples = [example for page in pages() for example in extract(page)]
    # A reader's function needs no annotation.
    check = [sys.executable, "-m", "mypy", "--allow-untyped-defs", "--allow-untyped-calls"]
    failed = subprocess.run([*check, *(str(path) for path, _ in examples)], check=False).returncode
    for path in (path for path, runs in examples if runs):
        with tempfile.TemporaryDirectory() as place:
            failed += subprocess.run(
                [sys.executable, path.resolve()], cwd=place, check=False
            ).returncode
    ran = sum(runs for _, runs in examples)
    print(f"examples: {len(examples)} type-checked, {ran} run, {'some' if failed else '0'} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
