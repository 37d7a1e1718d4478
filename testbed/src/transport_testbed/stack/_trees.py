"""Removing a tree of which a test, or a process that is just ending, still has a part.

Must not know whose it is.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def remove(root: Path) -> None:
    """Remove a tree, even where a test has taken the permissions off a directory."""
    for _ in range(3):
        # Again if need be: a process that is just ending may still have added a file.
        for folder, names, _ in os.walk(root):
            # Parents come first, so that a directory is opened before it is looked into.
            for path in (Path(folder, name) for name in names):
                # Another process may be removing the same.
                with suppress(OSError):
                    if not path.is_symlink():
                        path.chmod(0o700)
        shutil.rmtree(root, ignore_errors=True)
        if not root.exists():
            return
