"""How the properties are tested: by what comes out, not by how long a loaded machine takes."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # the shared suite runs without it
    from hypothesis import settings

    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
