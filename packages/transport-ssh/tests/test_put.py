"""In which order a tree is put, and what of it is held: with another side that keeps nothing.

What the other side does with it is tested on real servers.
"""

import gc
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from transport_core import Symlinks
from transport_core.authoring import Deadline, End, Entry
from transport_ssh._put import put
from transport_ssh._remote import NewFile
from transport_ssh._transfer import Transfer
from transport_ssh._tree import Found

pytestmark = pytest.mark.asyncio(loop_scope="function")

FOLDERS = 20


class Nowhere:
    """RemoteFiles that forget what they are given."""

    at_once = 4

    def __init__(self) -> None:
        self.made: set[bytes] = set()
        self.early: list[bytes] = []
        self.held = self.files = 0
        self.vanish: Path | None = None

    async def look(self, path: bytes, *, follow: bool) -> Found | None:
        return None

    async def members(
        self, path: bytes, most: int | None
    ) -> AsyncGenerator[tuple[bytes, Found], None]:
        nothing: list[tuple[bytes, Found]] = []
        for each in nothing:
            yield each

    async def link_target(self, path: bytes) -> bytes:
        raise NotImplementedError

    async def read(self, path: bytes, size: int) -> AsyncGenerator[bytes, None]:
        nothing: list[bytes] = []
        for each in nothing:
            yield each

    async def put_file(self, target: bytes, new: NewFile) -> None:
        if os.path.dirname(target) not in self.made:
            self.early.append(target)
        async for chunk in new.content:
            new.moved(len(chunk))
        self.files += 1
        if self.files % 200 == 0:
            self.held = max(self.held, entries())

    async def put_link(self, target: bytes, points_to: bytes, *, overwrite: bool) -> None:
        raise NotImplementedError

    async def make_directory(self, path: bytes, *, follow: bool) -> bool:
        self.made.add(path)
        if self.vanish is not None and self.vanish.exists():
            self.vanish.unlink()
        return True

    async def make_parents(self, path: bytes) -> None:
        raise NotImplementedError

    async def set_mode(self, path: bytes, mode: int) -> None:
        assert path in self.made


def entries() -> int:
    """Count the entries that this process holds, garbage too."""
    return sum(type(each) is Entry for each in gc.get_objects())


def order(tree: Path) -> Transfer:
    """Return a put of a tree."""
    return Transfer(
        source=End("local", "source", os.fsencode(tree)), mode=None, overwrite=True, parents=False,
        destination=End("remote", "destination", b"there"), symlinks=Symlinks.KEEP, kind=None,
        deadline=Deadline(None), progress=None,
    )  # fmt: skip


def plant(tree: Path, files: int) -> Path:
    """Make a tree of folders with so many files each."""
    for folder in range(FOLDERS):
        (tree / f"{folder:02}").mkdir(parents=True)
        for name in range(files):
            (tree / f"{folder:02}" / f"{name:04}").touch()
    return tree


async def test_memory_does_not_grow_with_the_files_of_a_tree(tmp_path: Path) -> None:
    """A tree is put as it is listed: of 4000 files no more is known than two batches."""
    there, asked = Nowhere(), order(plant(tmp_path / "tree", 200))
    # An earlier test's error may hold the frames of its put, and with them what that had listed.
    gc.collect()
    before = entries()
    found = await put(there, asked)
    assert (found.files, there.early) == (FOLDERS * 200, [])
    assert 0 < there.held - before < 1000


async def test_a_member_that_is_gone_before_it_is_listed_again_is_told(tmp_path: Path) -> None:
    """The count before anything was sent is what has to arrive."""
    there = Nowhere()
    tree = plant(tmp_path / "tree", 30)
    there.vanish = tree / "19" / "0029"
    with pytest.raises(FileNotFoundError, match="vanished"):
        await put(there, order(tree))
