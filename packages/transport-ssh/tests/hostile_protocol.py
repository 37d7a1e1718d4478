"""A server that does not keep to the protocol, or says nothing: the corpus of that."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import hostile_server as hostile
from hostile_attacks import Attack
from hostile_server import CutError, HangupError, StallError, file, folder
from transport_core import ConnectivityError, TransferTimeoutError, TransportError

SOURCE = folder((b"f", file(b"x" * 1000)))
NO_TEXT = (hostile.text(b"\xff\xfe"), hostile.text(b"\xff"))
STAGES = {"open": hostile.OPEN, "read": hostile.READ, "close": hostile.CLOSE}
STAGES |= {"stat": hostile.STAT, "opendir": hostile.OPENDIR, "readdir": hostile.READDIR}
MALFORMED: dict[str, Callable[[int], bytes]] = {
    "cut short": lambda number: hostile.packet(hostile.HANDLE, number, b"\0\0"),
    "of another kind": lambda number: hostile.packet(hostile.ATTRS, number, struct.pack(">I", 0)),
    "of no known kind": lambda number: hostile.packet(250, number),
    "OK in place of a value": lambda number: hostile.status(number, 0),
    "with bytes behind it": lambda number: hostile.packet(
        hostile.HANDLE, number, hostile.text(b"h"), b"more"
    ),
    "with a huge length inside": lambda number: hostile.packet(
        hostile.HANDLE, number, struct.pack(">I", 0xFFFFFFFF)
    ),
    "of another request": lambda number: hostile.status(number + 7, 4),
    "without a number": lambda number: b"\0\0\0\1" + bytes([hostile.STATUS]),
    "of no bytes": lambda number: b"\0\0\0\0",
    "of 4 GiB": lambda number: b"\xff\xff\xff\xff" + bytes(100),
    "of 200 MB": lambda number: struct.pack(">I", 200_000_000) + bytes(1000),
    "with text that is none": lambda number: hostile.packet(
        hostile.STATUS,
        number,
        struct.pack(">I", 4),
        hostile.text(b"\xff\xfe"),
        hostile.text(b"\xff"),
    ),
    "of an unknown failure": lambda number: hostile.status(number, 0xFFFFFFFF, b"what"),
}


def attacks() -> Iterator[Attack]:
    """The server does not keep to the protocol, or says nothing."""
    for label, kind in STAGES.items():
        yield Attack(
            name=f"silence after {label}",
            root=SOURCE,
            answer=hostile.refusing(kind, StallError),
            # Whether a handle was closed does not matter to the file that has arrived.
            error=TransferTimeoutError,
            options={"timeout": 1.0},
        )
    for label, exception in {"session": HangupError, "connection": CutError}.items():
        for where in ("stat", "opendir", "readdir", "open", "read"):
            yield Attack(
                name=f"end of the {label} at {where}",
                root=SOURCE,
                answer=hostile.refusing(STAGES[where], exception),
                error=ConnectivityError,
            )
    for label, said in MALFORMED.items():
        for where in ("stat", "opendir", "readdir", "open", "read"):
            yield Attack(
                name=f"answer to {where} {label}",
                root=SOURCE,
                answer=hostile.saying(STAGES[where], said),
                error=TransportError,
                options={"timeout": 2.0},
            )


ATTACKS = tuple(attacks())
