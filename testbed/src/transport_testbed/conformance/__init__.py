"""The suite that every transport is held to: subclass TransportConformance in a test file.

Loads nothing until a name is used, because pytest imports this package in every run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transport_testbed.conformance._case import Case
    from transport_testbed.conformance._clause import clause
    from transport_testbed.conformance._suite import TransportConformance
    from transport_testbed.conformance._target import Faults, HarnessError, Probe, Target

__all__ = [
    "Case",
    "Faults",
    "HarnessError",
    "Probe",
    "Target",
    "TransportConformance",
    "clause",
]

_HOMES = {
    "Case": "_case",
    "Faults": "_target",
    "HarnessError": "_target",
    "Probe": "_target",
    "Target": "_target",
    "TransportConformance": "_suite",
    "clause": "_clause",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
