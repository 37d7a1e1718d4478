"""An SSH server on loopback whose SFTP lies: it says what a test tells it to say, byte for byte.

Speaks SFTP version 3 by itself, since a library's server refuses to send most of these lies.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncssh
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")

INIT, OPEN, CLOSE, READ, LSTAT = 1, 3, 4, 5, 7
OPENDIR, READDIR, STAT, READLINK = 11, 12, 17, 19
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105

_EOF, _NO_SUCH_FILE, _UNSUPPORTED = 1, 2, 8
_BATCH = 100
_WITH_PATH = {OPEN, LSTAT, OPENDIR, STAT, READLINK}


class StallError(Exception):
    """Never answer this request."""


class HangupError(Exception):
    """End the SFTP session in place of an answer."""


class CutError(Exception):
    """End the connection in place of an answer."""


@dataclass(kw_only=True)
class Node:
    """What the server says of one path."""

    bits: int | None = stat.S_IFREG | 0o644
    """Type and permissions; None: the attribute is missing."""
    content: bytes = b""
    size: int | None = -1
    """Announced bytes; -1: those of the content, None: the attribute is missing."""
    endless: bool = False
    """Every read gives as many bytes as were asked for, at any offset."""
    extra: bytes = b""
    """Sent with each read, beyond what was asked for."""
    target: bytes = b""
    members: Callable[[], Iterator[tuple[bytes, Node]]] = lambda: iter(())
    later: Node | None = None
    """What it is once it is looked at by itself, or opened."""

    @property
    def now(self) -> Node:
        """What stands there when it is looked at by itself."""
        return self.later or self

    def attrs(self) -> bytes:
        """Return the attributes as SFTP encodes them."""
        size = len(self.content) if self.size == -1 else self.size
        flags = (size is not None) | ((self.bits is not None) << 2)
        parts = [struct.pack(">I", flags)]
        if size is not None:
            parts.append(struct.pack(">Q", size))
        if self.bits is not None:
            parts.append(struct.pack(">I", self.bits))
        return b"".join(parts)


def file(content: bytes = b"content", mode: int = 0o644, **more: Any) -> Node:
    """Return a regular file."""
    return Node(bits=stat.S_IFREG | mode, content=content, **more)


def link(target: bytes, **more: Any) -> Node:
    """Return a symbolic link."""
    return Node(bits=stat.S_IFLNK | 0o777, target=target, **more)


def folder(*members: tuple[bytes, Node], mode: int = 0o755) -> Node:
    """Return a directory; a name may stand in it twice."""
    return Node(bits=stat.S_IFDIR | mode, members=lambda: iter(members))


def nesting(*names: bytes) -> Node:
    """Return a directory that holds itself under each name."""
    found = Node(bits=stat.S_IFDIR | 0o755)
    found.members = lambda: ((name, found) for name in names)
    return found


def endless(name: Callable[[int], bytes], member: Node) -> Node:
    """Return a directory whose listing does not end."""
    members = lambda: ((name(number), member) for number in itertools.count())  # noqa: E731
    return Node(bits=stat.S_IFDIR | 0o755, members=members)


Answer = Callable[[int, int, Node | None], bytes | None]
"""From the kind and number of a request and its node to raw bytes; None for the usual answer."""


def packet(kind: int, number: int, *parts: bytes) -> bytes:
    """Return one whole SFTP packet."""
    body = struct.pack(">BI", kind, number) + b"".join(parts)
    return struct.pack(">I", len(body)) + body


def text(value: bytes) -> bytes:
    """Return a string as SSH encodes it."""
    return struct.pack(">I", len(value)) + value


def status(number: int, code: int, reason: bytes = b"") -> bytes:
    """Return a status packet."""
    return packet(STATUS, number, struct.pack(">I", code), text(reason), text(b""))


def names(number: int, entries: list[tuple[bytes, Node]]) -> bytes:
    """Return a packet of directory entries."""
    each = (text(name) + text(name) + node.attrs() for name, node in entries)
    return packet(NAME, number, struct.pack(">I", len(entries)), *each)


def refusing(kind: int, exception: type[Exception]) -> Answer:
    """Do that in place of an answer to one kind of request, and to all that follow."""
    begun: list[int] = []

    def answer(asked: int, number: int, node: Node | None) -> bytes | None:
        if begun or asked == kind:
            begun.append(asked)
            raise exception
        return None

    return answer


def saying(kind: int, said: Callable[[int], bytes]) -> Answer:
    """Say these bytes in answer to one kind of request."""
    return lambda asked, number, node: said(number) if asked == kind else None


@dataclass
class Lies:
    """One lying file system, mounted at ``/root``."""

    root: Node
    answer: Answer = lambda kind, number, node: None
    asked: list[int] = field(default_factory=list)
    """The kinds of the requests that came."""
    _handles: dict[bytes, tuple[Node, Iterator[tuple[bytes, Node]]]] = field(default_factory=dict)

    def _find(self, path: bytes) -> Node | None:
        """Names may hold slashes, so a path is matched name by name."""
        if not path.startswith(b"/root"):
            return None
        node, rest = self.root, path[len(b"/root") :]
        while rest:
            for name, member in node.now.members():
                if rest[1:] == name or rest[1:].startswith(name + b"/"):
                    node, rest = member, rest[1 + len(name) :]
                    break
            else:
                return None
        return node

    def reply(self, kind: int, number: int, body: bytes) -> bytes:
        """Return the raw answer to a request."""
        self.asked.append(kind)
        length = int.from_bytes(body[:4], "big")
        subject, rest = body[4 : 4 + length], body[4 + length :]
        handle = self._handles.get(subject)
        node = self._find(subject) if kind in _WITH_PATH else handle and handle[0]
        special = self.answer(kind, number, node)
        return self._usual(kind, number, subject, rest, node) if special is None else special

    def _usual(self, kind: int, number: int, subject: bytes, rest: bytes, node: Any) -> bytes:
        if kind == CLOSE or node is None:
            return status(number, _NO_SUCH_FILE if kind != CLOSE else 0, b"no such file")
        answers: dict[int, Callable[[], bytes]] = {
            STAT: lambda: packet(ATTRS, number, node.now.attrs()),
            LSTAT: lambda: packet(ATTRS, number, node.attrs()),
            READLINK: lambda: names(number, [(node.target, Node(bits=None, size=None))]),
            OPEN: lambda: self._opened(number, node.now),
            OPENDIR: lambda: self._opened(number, node.now),
            READDIR: lambda: self._listed(number, subject),
            READ: lambda: _data(number, node, *struct.unpack(">QI", rest)),
        }
        return answers[kind]() if kind in answers else status(number, _UNSUPPORTED)

    def _opened(self, number: int, node: Node) -> bytes:
        name = b"%d" % len(self._handles)
        self._handles[name] = (node, node.members())
        return packet(HANDLE, number, text(name))

    def _listed(self, number: int, handle: bytes) -> bytes:
        batch = list(itertools.islice(self._handles[handle][1], _BATCH))
        return names(number, batch) if batch else status(number, _EOF)


def _data(number: int, node: Node, offset: int, count: int) -> bytes:
    data = bytes(count) if node.endless else node.content[offset : offset + count]
    return packet(DATA, number, text(data + node.extra)) if data else status(number, _EOF)


class AnybodyIsWelcome(asyncssh.SSHServer):
    """Takes any key."""

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return True


class _LyingSession(asyncssh.SSHServerSession[bytes]):
    """Answers each request at once with what the lies say."""

    def __init__(self, lies: Lies) -> None:
        self._lies = lies
        self._came = b""
        self._greeted = False

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._came += data
        while len(self._came) >= 4 + int.from_bytes(self._came[:4] or b"\xff" * 4, "big"):
            end = 4 + int.from_bytes(self._came[:4], "big")
            body, self._came = self._came[4:end], self._came[end:]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        if not self._greeted:
            self._greeted = True
            self._chan.write(b"\0\0\0\5\2\0\0\0\3")
            return
        try:
            self._chan.write(self._lies.reply(body[0], int.from_bytes(body[1:5], "big"), body[5:]))
        except StallError:
            pass
        except HangupError:
            self._chan.exit(0)
        except CutError:
            self._chan.get_extra_info("connection").abort()


@contextlib.asynccontextmanager
async def lying(lies: Lies) -> AsyncIterator[SSHTransport]:
    """Give an open transport to a server that lies."""

    class Server(AnybodyIsWelcome):
        def session_requested(self) -> Any:
            return _LyingSession(lies)

    async with listening(Server) as port, SSHTransport(options(port)) as transport:
        yield transport


@contextlib.asynccontextmanager
async def listening(factory: Callable[[], asyncssh.SSHServer]) -> AsyncIterator[int]:
    """Give the port of an SSH server."""
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=factory, server_host_keys=[HOST_KEY], encoding=None
    )
    try:
        yield server.get_port()
    finally:
        server.close()
        await server.wait_closed()


def options(port: int, **more: Any) -> SSHOptions:
    """Return options that pin the server's key."""
    pinned = HOST_KEY.export_public_key().decode()
    return SSHOptions(
        host="127.0.0.1",
        port=port,
        user="victim",
        auth=PrivateKey(data=CLIENT_KEY.export_private_key()),
        known_hosts=KnownHosts(text=f"[127.0.0.1]:{port} {pinned}"),
        **more,
    )


def memory() -> int:
    """Return the resident bytes of this process."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
