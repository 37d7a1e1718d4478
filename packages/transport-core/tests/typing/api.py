"""Never run, type-checked only: what a user of the contract writes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

from transport_core import (
    Capability,
    CommandResult,
    CommandTimeoutError,
    NotFoundError,
    RemoteProcess,
    StreamingTransport,
    TransferResult,
    Transport,
    build,
    load,
    names,
)


async def source() -> AsyncIterator[bytes]:
    """Give stdin piece by piece."""
    yield b"x"


async def use(transport: Transport) -> None:
    """Call each verb with what it takes."""
    assert_type(transport.name, str)
    assert_type(transport.capabilities, frozenset[Capability])
    result = await transport.run(["a", b"b", Path("c")], stdin=source(), env={"A": b"1"}, timeout=1)
    assert_type(result, CommandResult)
    assert_type(result.exit_status, int | None)
    assert_type(await transport.put(Path("a"), b"b", kind="tree"), TransferResult)
    assert_type(await transport.get("a", "b", max_bytes=1), TransferResult)
    try:
        await transport.run(("true",), check=True)
    except CommandTimeoutError as error:
        assert_type(error.result, CommandResult | None)
    except NotFoundError as error:
        assert_type(error.errno, int | None)


async def follow(transport: Transport) -> None:
    """Stream, where it can."""
    if isinstance(transport, StreamingTransport):
        async with transport.stream(["a", b"b"], env={"A": "1"}, cwd="/", timeout=1) as process:
            assert_type(process, RemoteProcess)
            async for chunk in process.stdout:
                assert_type(chunk, bytes)
            assert_type(await process.write(b"x"), bool)
            await process.close_stdin()
            await process.terminate()
            await process.kill()
            assert_type(await process.wait(), CommandResult)


async def find() -> None:
    """Find one by name."""
    assert_type(names(), tuple[str, ...])
    assert_type(load("local"), type[Transport])
    async with build("local", {"cwd": "/"}) as transport:
        await use(transport)
