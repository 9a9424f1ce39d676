"""How far a conclusion depends on what was assumed: unmeasured confounding and choices of the analyst."""

from __future__ import annotations

from analyses.sensitivity.unmeasured import e_value, tipping_points

__all__ = ["e_value", "tipping_points"]
