"""Seconds that each phase of a start took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Timings:
    """Seconds per phase."""

    begun: float = field(default_factory=time.perf_counter)
    phases: dict[str, float] = field(default_factory=dict)

    def mark(self, phase: str) -> None:
        """End a phase; the next one begins."""
        spent = time.perf_counter() - self.begun - sum(self.phases.values())
        self.phases[phase] = round(spent, 4)

    def total(self) -> dict[str, float]:
        """Return the seconds of each phase, and their sum."""
        return {**self.phases, "total": round(sum(self.phases.values()), 4)}
