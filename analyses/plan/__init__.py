"""The prespecified analyses of a cohort of two arms or one: which estimator runs on what, under which name."""

from __future__ import annotations

from analyses.plan.attempts import Tables
from analyses.plan.registry import ANALYSES, run_analyses, run_group

__all__ = ["ANALYSES", "Tables", "run_analyses", "run_group"]
