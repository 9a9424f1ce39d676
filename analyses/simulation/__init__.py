"""Simulation studies: estimators judged over repeated samples whose truth is known."""

from __future__ import annotations

from analyses.simulation.methods import METHODS, Method, Target
from analyses.simulation.performance import ESTIMATE_COLUMNS, performance
from analyses.simulation.sample import Adjustment, World
from analyses.simulation.study import (
    Sampler,
    Setting,
    SimulationPlan,
    blocks_of,
    run_simulation,
    simulation_performance,
)

__all__ = [
    "ESTIMATE_COLUMNS",
    "METHODS",
    "Adjustment",
    "Method",
    "Sampler",
    "Setting",
    "SimulationPlan",
    "Target",
    "World",
    "blocks_of",
    "performance",
    "run_simulation",
    "simulation_performance",
]
