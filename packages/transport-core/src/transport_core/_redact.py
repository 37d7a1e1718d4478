"""Text that is safe to show: shortened argv, escaped remote bytes.

Owns what a log, a repr or an error may say; knows nothing of errors or transports.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_SHOWN = 60  # characters of a program's name that a message shows


def escape(text: str | bytes, limit: int = 400) -> str:
    """Return remote text made harmless for a terminal or a log.

    Control, format (bidi) and undecodable characters are written as escapes;
    more than ``limit`` characters are cut, and the cut is shown.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4 + 4].decode("utf-8", "backslashreplace")
    cut = text[:limit]
    shown = "".join(c if _is_harmless(unicodedata.category(c)) else _escaped(c) for c in cut)
    return shown + ("…" if len(text) > limit else "")


def _is_harmless(category: str) -> bool:
    return category[0] != "C" and category not in ("Zl", "Zp")  # line and paragraph separators


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def short_argv(argv: Sequence[bytes]) -> str:
    """Return the program's name and the number of its arguments, never their values.

    Arguments may hold secrets; they are whole only in an ``argv`` attribute (ERR-5).
    """
    if not argv:
        return "''"
    more = len(argv) - 1
    program = escape(argv[0], _SHOWN) or "''"
    return program if not more else f"{program} (and {more} argument{'s' if more > 1 else ''})"
