"""Judges ways of handling starts during follow-up over repeated cohorts in which starting has a known effect."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pandas as pd

from analyses.simulation.methods import Estimate, Target
from analyses.simulation.performance import performance
from analyses.simulation.processes import worked_through
from analyses.simulation.study import Setting, SimulationPlan
from analyses.starts import (
    clone_censor_weight,
    landmark_start,
    naive_clock_from_start,
    naive_ever_started,
    sequential_trials,
    time_varying_start,
)
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

INTERVAL, TRIALS, GRACE, LANDMARK = 3.0, 12, 12.0, 12.0
"""Months of an interval, number of trials, months of the grace period, and the landmark."""
KEYS = ("strength", "patients", "replicate", "estimator")


class StartSampler(Protocol):
    """Draws cohorts of patients who may start a treatment; it is sent to the processes that work."""

    @property
    def horizon_months(self) -> float:
        """Where follow-up ends for everybody."""
        ...

    def per_block(self, patients: int) -> int:
        """Return how many cohorts of so many patients a block holds."""
        ...

    def draw(self, strength: float, patients: int, block: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Draw a block: patients ``replicate, patient_id, state_at_entry, start_months, months, event``, cohort by
        cohort, and visits ``patient_id, month, state``.
        """
        ...

    def truth(self) -> float:
        """Return the true log hazard ratio."""
        ...


Analysis = Callable[[pd.DataFrame, pd.DataFrame, float], ResultTable]


@dataclass(frozen=True, slots=True)
class StartMethod:
    """A way of comparing starters with others.

    Parameters
    ----------
    name, label
        Short, and in words.
    naive
        Whether it is one of the analyses that are wrong by design.
    analyse
        Takes patients, visits and the horizon.
    """

    name: str
    label: str
    naive: bool
    analyse: Analysis


START_METHODS: tuple[StartMethod, ...] = (
    StartMethod(
        "ever started (naive)",
        "whoever ever starts counts as treated from the beginning",
        True,
        lambda patients, _visits, _end: naive_ever_started(patients),
    ),
    StartMethod(
        "clock from start (naive)",
        "starters are followed from their start, the others from the beginning; the time before a start is left out",
        True,
        lambda patients, _visits, _end: naive_clock_from_start(patients),
    ),
    StartMethod(
        "landmark, month 12",
        "started by month 12 against not, among those event-free then, adjusted for the state at entry",
        False,
        lambda patients, _visits, _end: landmark_start(patients, "state_at_entry", at=[LANDMARK]),
    ),
    StartMethod(
        "time-varying, crude",
        "Cox model with the start as a time-varying exposure, unadjusted",
        False,
        lambda patients, _visits, _end: time_varying_start(patients),
    ),
    StartMethod(
        "time-varying, latest state",
        "the same, adjusted for the state at the latest visit",
        False,
        lambda patients, visits, _end: time_varying_start(patients, "state", visits=visits),
    ),
    StartMethod(
        "sequential trials",
        "twelve quarterly trials, intention to treat, weighted by the state at the latest visit",
        False,
        lambda patients, visits, _end: sequential_trials(
            patients, "state", interval=INTERVAL, trials=TRIALS, visits=visits
        ),
    ),
    StartMethod(
        "clone-censor-weight",
        "start within 12 months against no start within 12 months, weighted by the state at the latest visit",
        False,
        lambda patients, visits, end: clone_censor_weight(
            patients, "state", grace=GRACE, interval=INTERVAL, horizon=end, visits=visits
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Block:
    setting: Setting
    number: int


def start_blocks(plan: SimulationPlan, sampler: StartSampler) -> int:
    """Return the number of blocks to work through, for a progress display."""
    return len(_blocks(plan, sampler))


def run_immortal_time(
    sampler: StartSampler, plan: SimulationPlan, *, jobs: int = 1, advance: Callable[[], None] = lambda: None
) -> pd.DataFrame:
    """Draw the cohorts and apply every method of :data:`START_METHODS` to each.

    Parameters
    ----------
    sampler
        Where cohorts and the truth come from.
    plan
        Settings and replicates; its methods are those of another study and are not looked at.
    jobs, advance
        As for :func:`analyses.simulation.run_simulation`.

    Returns
    -------
    pandas.DataFrame
        One row per setting, replicate and method, in that order: :data:`KEYS`, ``truth, estimate, std_error, conf_low,
        conf_high, p_value, note``. A method without estimate has a note.

    Raises
    ------
    UsageError
        If ``jobs`` is below 1.
    """
    if jobs < 1:
        raise UsageError("at least one process is needed", where="--jobs", got=str(jobs))
    blocks, found = _blocks(plan, sampler), dict[_Block, list[dict[str, object]]]()
    work = partial(_work, sampler, plan.replicates)
    for block, rows in worked_through(blocks, jobs, work, size=lambda block: block.setting.patients):
        found[block] = rows
        advance()
    frame = pd.DataFrame([row for block in blocks for row in found[block]])
    return frame.astype({"estimator": "string", "note": "string"})


def immortal_time_performance(estimates: pd.DataFrame, *, level: float = 0.05) -> ResultTable:
    """Summarise the estimates by strength, size and method.

    Parameters
    ----------
    estimates
        From :func:`run_immortal_time`.
    level
        Significance level of the tests counted.

    Returns
    -------
    ResultTable
        As :func:`analyses.simulation.performance`, ``term`` ``log_hazard_ratio``, ``population`` as in
        ``strength=1; patients=179``. ``rejection`` is the type-I error where the truth is 0.

    Raises
    ------
    AnalysisError
        As :func:`analyses.simulation.performance`.
    """
    table = performance(estimates, by=["strength", "patients", "estimator"], level=level)
    spec = {"function": "immortal_time_performance", "level": level}
    return result_table(table.frame.assign(term=Target.LOG_HAZARD_RATIO.value), metadata={"spec": spec})


def _blocks(plan: SimulationPlan, sampler: StartSampler) -> list[_Block]:
    return [
        _Block(setting, number)
        for setting in plan.settings
        for number in range(-(-plan.replicates // sampler.per_block(setting.patients)))
    ]


def _work(sampler: StartSampler, replicates: int, block: _Block) -> list[dict[str, object]]:
    setting = block.setting
    patients, visits = sampler.draw(setting.strength, setting.patients, block.number)
    truth, rows = sampler.truth(), list[dict[str, object]]()
    of = dict(iter(visits.groupby(visits["patient_id"].map(patients.set_index("patient_id")["replicate"]))))
    for replicate, own in patients.groupby("replicate", sort=True):
        if int(str(replicate)) > replicates:
            break
        keys = {"strength": setting.strength, "patients": setting.patients, "replicate": int(str(replicate))}
        seen = of[replicate].reset_index(drop=True)
        for name, estimate in _estimates(own.reset_index(drop=True), seen, sampler.horizon_months):
            rows.append({**keys, "estimator": name, "truth": truth, **dataclasses.asdict(estimate)})
    return rows


def _estimates(patients: pd.DataFrame, visits: pd.DataFrame, end: float) -> Iterator[tuple[str, Estimate]]:
    for method in START_METHODS:
        try:
            frame = method.analyse(patients, visits, end).frame
        except AnalysisError as error:
            yield method.name, Estimate(math.nan, note=str(error))
            continue
        row = frame[frame["statistic"].eq("log_hazard_ratio").to_numpy(dtype=bool)].iloc[0]
        numbers = [float(row[name]) for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value")]
        estimate = Estimate(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
        yield method.name, dataclasses.replace(estimate, note=None if pd.isna(row["note"]) else str(row["note"]))
