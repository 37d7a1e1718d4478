"""For people who write transports: the pieces that every transport needs, once."""

from ._argv import (
    PathArg,
    Word,
    check_callback,
    check_limit,
    check_mode,
    check_progress,
    encode_argv,
    encode_env,
    encode_path,
    encode_text,
    encode_word,
)
from ._calls import Calls
from ._deadline import Deadline, check_timeout
from ._discovery import GROUP, check_options, shape_problems
from ._ends import End, stdin_error
from ._errors import transfer_error
from ._events import CommandTold, emit
from ._landing import Landing
from ._names import TEMP_PREFIX, check_link, check_member, temp_name
from ._output import BoundedOutput
from ._redact import escape, short_argv
from ._shield import finish, stoppable
from ._source import Entry, EntryKind, check_kind, open_source, require_kind, scan
from ._stdin import check_stdin, stdin_chunks
from ._streams import StreamedOutput, StreamedOutputs
from ._threads import entered, off_loop, own_thread

__all__ = [
    "GROUP",
    "TEMP_PREFIX",
    "BoundedOutput",
    "Calls",
    "CommandTold",
    "Deadline",
    "End",
    "Entry",
    "EntryKind",
    "Landing",
    "PathArg",
    "StreamedOutput",
    "StreamedOutputs",
    "Word",
    "check_callback",
    "check_kind",
    "check_limit",
    "check_link",
    "check_member",
    "check_mode",
    "check_options",
    "check_progress",
    "check_stdin",
    "check_timeout",
    "emit",
    "encode_argv",
    "encode_env",
    "encode_path",
    "encode_text",
    "encode_word",
    "entered",
    "escape",
    "finish",
    "off_loop",
    "open_source",
    "own_thread",
    "require_kind",
    "scan",
    "shape_problems",
    "short_argv",
    "stdin_chunks",
    "stdin_error",
    "stoppable",
    "temp_name",
    "transfer_error",
]
