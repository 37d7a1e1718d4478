"""What a hostile server tries on ``get``: the corpus of test_hostile_files."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile_server as hostile
from hostile_server import (
    Node,
    endless,
    file,
    folder,
    link,
    nesting,
)
from transport_core import (
    SizeMismatchError,
    Symlinks,
    TransferError,
    TransferLimitError,
    TransferTimeoutError,
    TransportError,
    UnsafePathError,
)

MIB = 1024 * 1024
FOLLOW = Symlinks.FOLLOW

Plant = Callable[[Path, Path], None]
"""Prepares the destination and the place outside of it."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One lie, and what has to become of it."""

    name: str
    root: Node
    error: type[TransportError] | None = None
    """What the call must raise; None where it must succeed with ``content``."""
    content: dict[str, bytes] = field(default_factory=dict)
    answer: hostile.Answer = lambda kind, number, node: None
    plant: Plant = lambda dest, outside: None
    options: dict[str, Any] = field(default_factory=dict)


def bad_name(name: bytes, label: str) -> Iterator[Attack]:
    """One name, for each type of entry that could stand under it."""
    members = {"file": file(b"owned"), "folder": folder((b"in", file())), "link": link(b"ok")}
    for kind, member in members.items():
        yield Attack(
            name=f"name {label} of a {kind}",
            root=folder((b"ok", file()), (name, member)),
            error=UnsafePathError,
        )


def leading_out(target: bytes, label: str) -> Iterator[Attack]:
    """A link that leads out: kept, and then written through."""
    yield Attack(name=f"link {label}", root=folder((b"l", link(target))), error=UnsafePathError)
    through = folder((b"l", link(target)), (b"l", folder((b"owned", file()))))
    yield Attack(name=f"link {label}, then a folder", root=through, error=UnsafePathError)


def special(kind: int, label: str) -> Iterator[Attack]:
    """A type that is never made here, in a tree and as the source."""
    lie = Node(bits=kind | 0o666)
    yield Attack(name=f"{label} in a tree", root=folder((b"s", lie)), error=UnsafePathError)
    yield Attack(name=f"{label} as the source", root=lie, error=UnsafePathError)
    followed = folder((b"s", link(b"x", later=lie)))
    yield Attack(
        name=f"{label} behind a link",
        root=followed,
        error=UnsafePathError,
        options={"symlinks": FOLLOW},
    )


def sized(size: int | None, label: str, content: bytes = b"12345", **more: Any) -> Iterator[Attack]:
    """A size that is not what comes, in a tree and as the source."""
    lie = file(content, size=size, **more)
    yield Attack(name=f"size {label}", root=lie, error=SizeMismatchError)
    yield Attack(name=f"size {label} in a tree", root=folder((b"f", lie)), error=SizeMismatchError)


def _plant_link(at: str) -> Plant:
    def plant(dest: Path, outside: Path) -> None:
        path = dest / at if at else dest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(outside if not at.endswith("f") else outside / "victim")

    return plant


def _plant_file_link(dest: Path, outside: Path) -> None:
    dest.symlink_to(outside / "victim")


def _plant_pipe(dest: Path, outside: Path) -> None:
    dest.mkdir()
    os.mkfifo(dest / "f")


_TREE = folder((b"d", folder((b"f", file(b"inner")))), (b"f", file(b"outer")))
_LONG = b"n" * 256

NAMES: dict[str, bytes] = {
    "up": b"../owned",
    "far up": b"../../../../../../tmp/owned-by-a-test",
    "up in the middle": b"a/../../owned",
    "absolute": b"/tmp/owned-by-a-test",
    "of two parts": b"a/b",
    "with a slash at the end": b"a/",
    "NUL": b"a\0b",
    "empty": b"",
    "dot-slash": b"./owned",
}
TARGETS: dict[str, bytes] = {
    "absolute": b"/etc",
    "up": b"..",
    "up and down": b"../outside",
    "down and up": b"x/../../outside",
    "up at the end": b"./..",
    "empty": b"",
    "with NUL": b"a\0b",
}
TYPES: dict[str, int] = {
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "character device": stat.S_IFCHR,
    "block device": stat.S_IFBLK,
    "no type": 0,
    "every type": 0o170000,
}


def attacks() -> Iterator[Attack]:
    """All of them."""
    for label, name in NAMES.items():
        yield from bad_name(name, label)
    for label, target in TARGETS.items():
        yield from leading_out(target, label)
    for label, kind in TYPES.items():
        yield from special(kind, label)
    yield from links()
    yield from twice()
    yield from planted()
    yield from sizes()
    yield from counts()
    yield from changing()


def links() -> Iterator[Attack]:
    """Links that lead out by way of others."""
    chained = folder((b"here", link(b".")), (b"out", link(b"here/..")))
    yield Attack(name="link through a link to here", root=chained, error=UnsafePathError)
    deep = folder((b"d", folder((b"up", link(b"..")), (b"out", link(b"up/../outside")))))
    yield Attack(name="link through a link up", root=deep, error=UnsafePathError)
    looping = folder((b"a", link(b"b")), (b"b", link(b"a")))
    yield Attack(name="links in a loop", root=looping)
    yield Attack(
        name="link without a target",
        root=folder((b"l", link(b"x"))),
        answer=hostile.saying(hostile.READLINK, lambda number: hostile.names(number, [])),
        error=TransferError,
    )
    two = [(b"x", Node()), (b"y", Node())]
    yield Attack(
        name="link with two targets",
        root=folder((b"l", link(b"x"))),
        answer=hostile.saying(hostile.READLINK, lambda number: hostile.names(number, two)),
        error=TransferError,
    )
    followed = folder((b"l", link(b"/etc", later=file(b"mine"))))
    yield Attack(
        name="link out, followed, is content",
        root=followed,
        content={"l": b"mine"},
        options={"symlinks": FOLLOW},
    )
    round_again = nesting(b"l")
    looped = folder((b"l", link(b".", later=round_again)))
    yield Attack(
        name="link to itself, followed",
        root=looped,
        error=TransferError,
        options={"symlinks": FOLLOW},
    )


def twice() -> Iterator[Attack]:
    """One name under which two things stand."""
    inner = folder((b"owned", file()))
    pairs: dict[str, tuple[Node, Node]] = {
        "link and folder": (link(b"ok"), inner),
        "folder and link": (inner, link(b"ok")),
        "link and file": (link(b"ok"), file()),
        "file and folder": (file(), inner),
        "two files": (file(), file()),
    }
    for label, (first, second) in pairs.items():
        root = folder((b"ok", folder()), (b"x", first), (b"x", second))
        yield Attack(name=f"{label} of one name", root=root, error=UnsafePathError)
    dots = endless(lambda n: b".", folder())
    yield Attack(name="the folder itself without end", root=dots, error=UnsafePathError)
    fold = folder((b"a", file(b"1")), (b"A", file(b"2")), (b"\xc3\xa9", file(b"3")))
    both = {"a": b"1", "A": b"2", "\u00e9": b"3"}
    yield Attack(name="names that differ by case", root=fold, content=both)
    forms = folder((b"\xc3\xa9", link(b"a")), (b"e\xcc\x81", folder((b"in", file()))))
    yield Attack(name="names that differ by form", root=forms, content={"e\u0301/in": b"content"})


def planted() -> Iterator[Attack]:
    """Links that stand at the destination before the call."""
    whole = {"d/f": b"inner", "f": b"outer"}
    yield Attack(
        name="link planted as a folder", root=_TREE, plant=_plant_link("d"), error=UnsafePathError
    )
    yield Attack(name="link planted as a file", root=_TREE, plant=_plant_link("f"), content=whole)
    yield Attack(
        name="link planted as a file below", root=_TREE, plant=_plant_link("d/f"), content=whole
    )
    yield Attack(
        name="link planted as the root of a file",
        root=file(b"mine"),
        plant=_plant_file_link,
        content={"": b"mine"},
    )
    yield Attack(
        name="link planted as the root of a file, no overwrite",
        root=file(b"mine"),
        plant=_plant_file_link,
        options={"overwrite": False},
        error=TransferError,
    )
    for label, root in {"file": folder((b"f", file())), "link": folder((b"f", link(b"x")))}.items():
        name = f"pipe planted as a {label}"
        yield Attack(name=name, root=root, plant=_plant_pipe, error=UnsafePathError)


def sizes() -> Iterator[Attack]:
    """What is announced is not what comes."""
    yield from sized(10, "more than comes")
    yield from sized(3, "less than comes")
    yield from sized(0, "nothing, and something comes")
    yield from sized(None, "is missing")
    yield from sized(2**62, "beyond every disk")
    yield from sized(2**63, "beyond a signed number")
    yield from sized(2**64 - 1, "minus one")
    yield from sized(1000, "of a file without end", endless=True)
    yield from sized(100, "kept, and each read gives more", b"x" * 100, extra=b"y" * 100)
    yield from sized(3 * MIB, "and reads that give more", bytes(3 * MIB), extra=b"y")
    late = folder((b"f", link(b"x", later=file(b"12345", size=4))))
    yield Attack(
        name="size of what a link leads to",
        root=late,
        error=SizeMismatchError,
        options={"symlinks": FOLLOW},
    )
    huge = file(size=2**62, endless=True)
    yield Attack(
        name="file without end under max_bytes",
        root=huge,
        error=TransferLimitError,
        options={"max_bytes": MIB},
    )
    yield Attack(name="file without end", root=huge, error=TransferTimeoutError)
    lies = endless(lambda n: b"f%d" % n, file(b"x" * 100_000, size=10))
    yield Attack(name="small sizes and large files", root=lies, error=SizeMismatchError)


def counts() -> Iterator[Attack]:
    """More than there can be."""
    many = endless(lambda n: b"f%d" % n, file(b""))
    yield Attack(
        name="listing without end under max_files",
        root=many,
        error=TransferLimitError,
        options={"max_files": 50},
    )
    yield Attack(name="listing without end", root=many, error=TransferTimeoutError)
    nothing = hostile.saying(hostile.READDIR, lambda number: hostile.names(number, []))
    yield Attack(
        name="listing of nothing without end",
        root=folder(),
        answer=nothing,
        error=TransferTimeoutError,
    )
    yield Attack(name="folder in itself", root=nesting(b"d"), error=TransferError)
    yield Attack(name="folder twice in itself", root=nesting(b"a", b"b"), error=TransferError)
    yield Attack(
        name="folder in itself under max_files",
        root=nesting(b"d"),
        error=TransferLimitError,
        options={"max_files": 20},
    )
    yield Attack(name="folder of long names in itself", root=nesting(b"n" * 255),
                 error=TransferError)  # fmt: skip
    yield Attack(name="name of 255 bytes", root=folder((b"n" * 255, file())),
                 content={"n" * 255: b"content"})  # fmt: skip
    for length in (256, 4096, 100_000):
        root = folder((b"n" * length, file()))
        yield Attack(name=f"name of {length} bytes", root=root, error=TransferError)
        root = folder((b"n" * length, folder()))
        yield Attack(name=f"folder of {length} bytes", root=root, error=TransferError)
    root = folder((b"l", link(b"t" * 100_000)))
    yield Attack(name="link of 100000 bytes", root=root, error=TransferError)
    claims = lambda number: hostile.packet(hostile.NAME, number, struct.pack(">I", 2**32 - 1))  # noqa: E731
    answer = hostile.saying(hostile.READDIR, claims)
    yield Attack(name="count of 4 billion names", root=folder(), answer=answer, error=TransferError)
    odd = folder((b"\x1b]0;owned\x07\r\n\xe2\x80\xae/x", file()))
    yield Attack(name="name that acts on a terminal", root=odd, error=UnsafePathError)


def changing() -> Iterator[Attack]:
    """What it is told to be, it is no more when it is looked at."""
    yield Attack(
        name="file that is a folder later",
        root=folder((b"x", file(b"abc", later=folder((b"y", file()))))),
        error=TransferError,
    )
    yield Attack(
        name="folder that is a file later",
        root=folder((b"x", Node(bits=stat.S_IFDIR | 0o755, later=file(b"abc")))),
        content={},
    )
    nobody = Node(bits=None, content=b"abc")
    yield Attack(name="source without a type", root=nobody, error=UnsafePathError)
    yield Attack(name="member without a type", root=folder((b"x", nobody)), error=UnsafePathError)
    late = Node(bits=None, content=b"abc", later=link(b"/etc"))
    yield Attack(name="member whose type comes late", root=folder((b"x", late)),
                 error=UnsafePathError)  # fmt: skip
    odd = file(b"abc", mode=0o7777)
    yield Attack(name="setuid, setgid and sticky", root=odd, content={"": b"abc"})
    yield Attack(
        name="setuid in a tree",
        root=folder((b"s", odd), (b"d", folder(mode=0o7777)), mode=0o7777),
        content={"s": b"abc"},
    )
    yield Attack(name="nobody may read it", root=folder((b"f", file(mode=0)), mode=0o700),
                 content={"f": b"content"})  # fmt: skip


ATTACKS = tuple(attacks())
