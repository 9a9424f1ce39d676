"""Registry patients who may start tacrolimus during follow-up, for a reason, and to a known effect: by default none.

The state of a patient changes from visit to visit. Whoever is worse starts sooner and flares sooner, and whoever flares
is no longer followed, so to start one must have stayed free of flares: the two ways in which late starts mislead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Status
from cohort.errors import UsageError
from cohort.provenance import parameter
from cohort.seeds import SeedTree
from cohort.targets import load_study
from synthetic.design import design_of
from synthetic.model import CourseModel
from synthetic.reconstruct import reconstruct

FloatArray = npt.NDArray[np.float64]

_A, _B, _D = Status.ASSUMED, Status.BORROWED, Status.DERIVED
_COURSE = CourseModel()
_MONTHS_PER_CENTURY = 1200
_PER_BLOCK = 20_000
"""Patients drawn together."""


@dataclass(frozen=True, slots=True)
class LateStartModel:
    """The numbers behind late starts, each with status and source."""

    flare_rate: float = parameter(
        _COURSE.flare_rate, "per 100 patient-years", _B, "as the course model: Seoul St Mary's, after CR (n 296)"
    )
    flare_hr_state: float = parameter(2.0, "hazard ratio per SD of the state", _A, "direction assumed")
    start_rate: float = parameter(15.0, "per 100 patient-years", _A, "no source: about half have started in five years")
    start_hr_state: float = parameter(2.0, "hazard ratio per SD of the state", _A, "given to those who are worse")
    visit_interval: float = parameter(3.0, "months", _A, "quarterly visits of a registry")
    patient_share: float = parameter(
        _COURSE.patient_sd**2 / (_COURSE.patient_sd**2 + _COURSE.visit_sd**2),
        "share of the variance of the state between patients",
        _D,
        "from the course model's patient and visit SD",
    )
    autocorrelation: float = parameter(
        math.sqrt(_COURSE.visit_autocorrelation),
        "correlation of a patient's own noise at adjacent quarterly visits",
        _D,
        "the course model's between visits half a year apart",
    )
    hazard_ratio: float = parameter(1.0, "hazard ratio of flare once started", _A, "no effect: the null is the point")


@dataclass(frozen=True, slots=True)
class LateStartSampler:
    """Draws cohorts of late starters. Made by :func:`late_start_sampler`.

    Parameters
    ----------
    study
        Name of the study whose follow-up is taken.
    seed
        Root of all random streams.
    months, followed
        Scheduled months from 0, and the share of patients followed that far.
    model
        The other numbers.
    """

    study: str
    seed: int
    months: tuple[float, ...]
    followed: tuple[float, ...]
    model: LateStartModel = field(default_factory=LateStartModel)

    @property
    def horizon_months(self) -> float:
        """Where follow-up ends for everybody."""
        return self.months[-1]

    def per_block(self, patients: int) -> int:
        """Return how many cohorts of so many patients a block holds."""
        return max(1, _PER_BLOCK // patients)

    def draw(self, strength: float, patients: int, block: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Draw a block of cohorts.

        Parameters
        ----------
        strength
            Multiplies the log hazard ratio of starting by the state; at 0 starts are a matter of chance.
        patients
            Patients of a cohort.
        block
            Number of the block, from 0. A cohort depends on nothing but seed, strength, size and its number.

        Returns
        -------
        tuple of pandas.DataFrame
            Patients: ``replicate`` (from 1), ``patient_id`` (unique in the block), ``state_at_entry``, ``start_months``
            (missing without a start during follow-up), ``months`` to the flare or to censoring, ``event`` (0, 1).
            Visits: ``patient_id, month, state``, up to the end of follow-up.
        """
        cohorts = self.per_block(patients)
        tree = SeedTree(self.seed).child(
            "late starts", f"strength {strength:g}", f"patients {patients}", "block", block
        )
        drawn = late_starts(self, cohorts * patients, strength, tree)
        replicate = np.repeat(np.arange(cohorts) + block * cohorts + 1, patients)
        return drawn[0].assign(replicate=replicate), drawn[1]

    def truth(self) -> float:
        """Return the true log hazard ratio of flare, the same at any time and in any state."""
        return math.log(self.model.hazard_ratio)


def late_start_sampler(study: str, *, seed: int, model: LateStartModel | None = None) -> LateStartSampler:
    """Take the follow-up of a study's reference arm: the share of its patients assessed at each visit.

    Raises
    ------
    UsageError
        A study without visits after the first.
    """
    record = load_study(study)
    design = design_of(record, reconstruct(record))
    if len(design.months) < 2:
        raise UsageError("a study with several visits is needed", where=f"study {study}", remedy="choose kim2025")
    assessed = design.counts.assessed[design.reference] / design.sizes[design.reference]
    return LateStartSampler(
        record.name,
        seed,
        (0.0, *(float(month) for month in design.months)),
        (1.0, *(float(share) for share in assessed)),
        LateStartModel() if model is None else model,
    )


def late_starts(
    sampler: LateStartSampler, size: int, strength: float, tree: SeedTree
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw patients and visits as :meth:`LateStartSampler.draw` describes, without ``replicate``."""
    model, end = sampler.model, sampler.horizon_months
    edges = np.append(np.arange(0.0, end, model.visit_interval), end)
    state = _states(size, len(edges) - 1, model, tree.child("state").generator())
    random = tree.child("times").generator()
    starting = _intensity(state, model.start_rate, strength * math.log(model.start_hr_state))
    flaring = _intensity(state, model.flare_rate, math.log(model.flare_hr_state))
    start = _reached(_cumulated(starting, edges), edges, random.standard_exponential(size))
    hazard = _cumulated(flaring, edges)
    at_start = _read(hazard, edges, np.minimum(start, end))
    due = random.standard_exponential(size)
    # From the start on hazard accrues at another pace.
    later = at_start + (due - at_start) / model.hazard_ratio
    flare = _reached(hazard, edges, np.where(due > at_start, later, due))
    leave = np.interp(random.random(size), sampler.followed[::-1], sampler.months[::-1])
    leave = np.maximum(leave, 0.01)
    months = np.minimum(flare, leave)
    patients = pd.DataFrame(
        {
            "patient_id": np.arange(size),
            "state_at_entry": state[:, 0],
            "start_months": np.where(start < months, start, np.nan),
            "months": months,
            "event": (flare <= leave).astype(np.int64),
        }
    )
    who, visit = np.nonzero(edges[:-1] < months[:, None])
    return patients, pd.DataFrame({"patient_id": who, "month": edges[visit], "state": state[who, visit]})


def _states(size: int, visits: int, model: LateStartModel, random: np.random.Generator) -> FloatArray:
    """Return standard normal states, shape ``(n, v)``: what is the patient's own, and noise carried over."""
    own = random.standard_normal(size)
    noise = random.standard_normal((size, visits))
    fresh = math.sqrt(1 - model.autocorrelation**2)
    for visit in range(1, visits):
        noise[:, visit] = model.autocorrelation * noise[:, visit - 1] + fresh * noise[:, visit]
    share = model.patient_share
    return np.asarray(math.sqrt(share) * own[:, None] + math.sqrt(1 - share) * noise)


def _intensity(state: FloatArray, rate: float, log_ratio: float) -> FloatArray:
    """Return a hazard per month whose mean over all states is the rate per 100 years."""
    return np.asarray(rate / _MONTHS_PER_CENTURY * np.exp(log_ratio * state - log_ratio**2 / 2))


def _cumulated(intensity: FloatArray, edges: FloatArray) -> FloatArray:
    return np.hstack([np.zeros((len(intensity), 1)), np.cumsum(intensity * np.diff(edges), axis=1)])


def _read(cumulated: FloatArray, edges: FloatArray, times: FloatArray) -> FloatArray:
    place = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)
    row = np.arange(len(times))
    low, high = cumulated[row, place], cumulated[row, place + 1]
    return np.asarray(low + (high - low) * (times - edges[place]) / (edges[place + 1] - edges[place]))


def _reached(cumulated: FloatArray, edges: FloatArray, level: FloatArray) -> FloatArray:
    """Return when each row reaches its level, infinite if it does not."""
    never = level >= cumulated[:, -1]
    place = np.clip((cumulated <= level[:, None]).sum(axis=1) - 1, 0, len(edges) - 2)
    row = np.arange(len(level))
    low, high = cumulated[row, place], cumulated[row, place + 1]
    time = edges[place] + (level - low) / (high - low) * (edges[place + 1] - edges[place])
    return np.where(never, np.inf, time)
