"""Sphinx configuration; ``nox -s docs`` builds, and every warning is an error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "interCEde transports"
author = "interCEde developers"
copyright = author

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "interCEde transports"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# By their names, as the code has them: what they stand for is said once.
autodoc_type_aliases = {
    "EventSink": "transport_core.EventSink",
    "PathArg": "transport_core.authoring.PathArg",
    "Progress": "transport_core.Progress",
    "SourceKind": "transport_core.SourceKind",
    "Stdin": "transport_core.Stdin",
    "Word": "transport_core.authoring.Word",
}
python_use_unqualified_type_names = True
autodoc_use_type_comments = False
napoleon_use_rtype = False
napoleon_use_ivar = True

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

ALIAS = re.compile(r"TypeAliasForwardRef\('([\w.]+)'\)")
GENERATOR = re.compile(r"^~?[\w.]*?(Async|)Generator\[(.*?)(, None)+\]$")


def readable(
    _app: object,
    _what: str,
    _name: str,
    obj: Callable[..., Any],
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write aliases in a union by their names, and a context manager as what it is to a caller."""
    if signature is not None:
        signature = ALIAS.sub(r"\1", signature)
    if returns is not None and inspect.unwrap(obj) is not obj:
        returns = GENERATOR.sub(r"~contextlib.Abstract\1ContextManager[\2]", returns)
    return signature, returns


def setup(app: Sphinx) -> None:
    """Connect what Sphinx calls."""
    app.connect("autodoc-process-signature", readable)
