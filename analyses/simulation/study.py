"""Runs a simulation study: cohorts from a sampler, every method in both worlds, estimates beside the truth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pandas as pd

from analyses.simulation.methods import METHODS, Method, apply_method
from analyses.simulation.performance import performance
from analyses.simulation.processes import worked_through
from analyses.simulation.sample import COLUMNS, Sample, World
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table


class Sampler(Protocol):
    """Draws independent cohorts whose true effects it knows; it is sent to the processes that work."""

    @property
    def horizon_years(self) -> float:
        """Where event-free survival ends."""
        ...

    def per_block(self, patients: int) -> int:
        """Return how many cohorts of so many patients a block holds."""
        ...

    def draw(self, strength: float, patients: int, block: int) -> pd.DataFrame:
        """Draw block number ``block``: the columns :data:`analyses.simulation.sample.COLUMNS`, cohort by cohort."""
        ...

    def truths(self, strength: float) -> pd.DataFrame:
        """Return ``estimand, population, truth, std_error``."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """Where methods are judged: strength of confounding and patients of a cohort."""

    strength: float
    patients: int


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What to run.

    Parameters
    ----------
    settings
        Strengths and sizes.
    replicates
        Cohorts of each setting, at least two.
    methods
        Estimators.

    Raises
    ------
    UsageError
        Fewer than two replicates, no setting, a setting named twice or of fewer than 20 patients.
    """

    settings: tuple[Setting, ...]
    replicates: int
    methods: tuple[Method, ...] = METHODS

    def __post_init__(self) -> None:
        if self.replicates < 2:
            raise UsageError(
                "performance needs at least two replicates",
                where="--replicates",
                got=str(self.replicates),
                remedy="choose for instance 100",
            )
        if not self.settings or len(set(self.settings)) < len(self.settings):
            raise UsageError(
                "each setting is named once, and there is at least one",
                where="--strength, --patients",
                got=", ".join(f"strength {one.strength:g} with {one.patients} patients" for one in self.settings)
                or "none",
            )
        smallest = min(setting.patients for setting in self.settings)
        if smallest < SMALLEST:
            raise UsageError(
                f"a cohort has at least {SMALLEST} patients",
                where="--patients",
                got=str(smallest),
                remedy="choose more",
            )


SMALLEST = 20
"""Patients, below which no method says anything."""
KEYS = ("strength", "patients", "replicate", "world", "target", "population", "estimator")
"""Columns of the estimates that say what was estimated, in which cohort and how."""


@dataclass(frozen=True, slots=True)
class _Task:
    setting: Setting
    block: int


def blocks_of(plan: SimulationPlan, sampler: Sampler) -> int:
    """Return the number of blocks to work through, for a progress display."""
    return len(_tasks(plan, sampler))


def run_simulation(
    sampler: Sampler, plan: SimulationPlan, *, jobs: int = 1, advance: Callable[[], None] = lambda: None
) -> pd.DataFrame:
    """Draw the cohorts and apply every method to each.

    Parameters
    ----------
    sampler
        Where cohorts and truths come from.
    plan
        Settings, replicates and methods.
    jobs
        Processes; any number gives the same estimates.
    advance
        Called after each block.

    Returns
    -------
    pandas.DataFrame
        One row per setting, replicate, world and method, in that order: :data:`KEYS`, ``truth`` (0 in the null world),
        ``estimate, std_error, conf_low, conf_high, p_value, note``. A method that failed has no estimate and a note.
        Cohort number ``k`` of a setting does not depend on how many there are.

    Raises
    ------
    UsageError
        If ``jobs`` is below 1.
    AnalysisError
        If the sampler leaves out a column or a truth.
    """
    if jobs < 1:
        raise UsageError("at least one process is needed", where="--jobs", got=str(jobs))
    truths = {
        strength: _truth_of(sampler, strength, plan.methods)
        for strength in dict.fromkeys(setting.strength for setting in plan.settings)
    }
    tasks = _tasks(plan, sampler)
    found: dict[_Task, list[dict[str, object]]] = {}
    work = partial(_work, sampler, plan)
    for task, rows in worked_through(tasks, jobs, work, size=lambda task: task.setting.patients):
        found[task] = rows
        advance()
    frame = pd.DataFrame([row for task in tasks for row in found[task]])
    truth = [
        0.0 if world == World.NULL else truths[strength][target, population]
        for strength, world, target, population in zip(
            frame["strength"], frame["world"], frame["target"], frame["population"], strict=True
        )
    ]
    frame.insert(len(KEYS), "truth", truth)
    texts = ("world", "target", "population", "estimator", "note")
    return frame.astype(dict.fromkeys(texts, "string"))


def simulation_performance(estimates: pd.DataFrame, *, level: float = 0.05) -> ResultTable:
    """Summarise the estimates of a simulation study by setting, world and method.

    Parameters
    ----------
    estimates
        From :func:`run_simulation`.
    level
        Significance level of the tests counted.

    Returns
    -------
    ResultTable
        The rows of :func:`analyses.simulation.performance`: ``group`` the estimator, ``term`` what is estimated,
        ``population`` as in ``strength=1; patients=179; world=effect``. ``rejection`` is the type-I error where the
        world is ``null`` and the power where it is ``effect``.

    Raises
    ------
    AnalysisError
        As :func:`analyses.simulation.performance`.
    """
    parts = []
    for target, rows in estimates.groupby("target", sort=False):
        table = performance(rows, by=["strength", "patients", "world", "estimator"], level=level)
        parts.append(table.frame.assign(term=str(target)))
        method = table.frame["method"].iloc[0]
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata={"spec": {"function": "simulation_performance", "level": level, "method": str(method)}},
    )


def _tasks(plan: SimulationPlan, sampler: Sampler) -> list[_Task]:
    return [
        _Task(setting, block)
        for setting in plan.settings
        for block in range(-(-plan.replicates // sampler.per_block(setting.patients)))
    ]


def _truth_of(sampler: Sampler, strength: float, methods: Sequence[Method]) -> dict[tuple[str, str], float]:
    table = sampler.truths(strength)
    known = {
        (str(row.estimand), str(row.population)): float(row.truth)  # type: ignore[arg-type]
        for row in table.itertuples(index=False)
    }
    lacking = [
        f"{method.target} ({method.population})"
        for method in methods
        if math.isnan(known.get((method.target.value, method.population), math.nan))
    ]
    if lacking:
        raise AnalysisError(
            "the sampler does not know the truth of an estimand",
            where=f"strength {strength:g}",
            got=", ".join(dict.fromkeys(lacking)),
            remedy="leave out its methods",
        )
    return known


def _work(sampler: Sampler, plan: SimulationPlan, task: _Task) -> list[dict[str, object]]:
    """Estimates of the cohorts of a block that are wanted."""
    setting = task.setting
    drawn = sampler.draw(setting.strength, setting.patients, task.block)
    absent = [name for name in COLUMNS if name not in drawn.columns]
    if absent:
        raise AnalysisError("the sampler leaves out columns", where="draw", got=", ".join(absent))
    rows: list[dict[str, object]] = []
    for first in range(0, len(drawn), setting.patients):
        patients = drawn.iloc[first : first + setting.patients]
        replicate = int(patients["replicate"].iloc[0])
        if replicate > plan.replicates:
            break
        rows += _estimates(Sample.of(patients, sampler.horizon_years), setting, replicate, plan.methods)
    return rows


def _estimates(
    sample: Sample, setting: Setting, replicate: int, methods: Sequence[Method]
) -> Iterator[dict[str, object]]:
    for world in World:
        for method in methods:
            yield {
                "strength": setting.strength,
                "patients": setting.patients,
                "replicate": replicate,
                "world": world.value,
                "target": method.target.value,
                "population": method.population,
                "estimator": method.name,
                **dataclasses.asdict(apply_method(method, sample, world)),
            }
