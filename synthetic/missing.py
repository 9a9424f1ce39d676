"""Visits missed by patients who stay under observation, and laboratory values missing at visits.

Print fixes how many patients of an arm are assessed at a visit. The settings choose who the others are: patients who
have left, or patients who stay and miss the visit, at random, by their proteinuria at baseline, or by the latent
course itself (informative: no covariate explains it).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray, IntArray
from synthetic.baseline import Covariates
from synthetic.course import CourseNoise
from synthetic.groups import Arms
from synthetic.model import MissingModel

FloatArray = npt.NDArray[np.float64]

ALWAYS = np.inf
"""Log odds of attending where nobody under observation misses the visit."""
_UPCR_CENTRE = 300.0
_UPCR_LOG_SD = 0.75


class Mechanism(StrEnum):
    """What missingness depends on."""

    MCAR = "mcar"
    MAR = "mar"
    INFORMATIVE = "informative"


def missing_driver(baseline: Covariates, noise: CourseNoise, model: MissingModel) -> FloatArray:
    """Return the log odds of missing against the average patient, shape ``(n, v)``."""
    if model.mechanism == Mechanism.MCAR:
        return np.zeros_like(noise.score)
    if model.mechanism == Mechanism.MAR:
        proteinuria = proteinuria_score(baseline.upcr)
        return np.broadcast_to((model.strength * proteinuria)[:, None], noise.score.shape)
    return np.asarray(-model.strength * noise.score)


def proteinuria_score(upcr: npt.NDArray[np.integer[Any]]) -> FloatArray:
    """Return proteinuria, in hundredths of g/g, as standard deviations of its logarithm above a usual baseline."""
    return np.asarray(np.log(upcr / _UPCR_CENTRE) / _UPCR_LOG_SD)


def retained(assessed: IntArray, sizes: IntArray, model: MissingModel) -> IntArray:
    """Return how many patients are under observation at each visit, shape ``(arms, v)``.

    Of the patients of an arm who are not assessed at a visit, ``missed_visit_share`` (rounded down) stay under
    observation and miss the visit only.

    Parameters
    ----------
    assessed
        Patients assessed, shape ``(arms, v)``, never increasing along an arm.
    sizes
        Patients of the arms, shape ``(arms,)``.
    model
        The share.
    """
    absent = sizes[:, None] - assessed
    return np.asarray(assessed + np.floor(model.missed_visit_share * absent + 1e-9).astype(np.int64))


def miss_by_count(
    driver: FloatArray, arms: Arms, last_visit: IntArray, assessed: IntArray, random: np.random.Generator
) -> BoolArray:
    """Choose who misses each visit so that exactly ``assessed``, shape ``(arms, v)``, attend; shape ``(n, v)``."""
    missed = np.zeros(driver.shape, dtype=bool)
    expected = zip(arms.members, assessed, strict=True)
    if all(_nobody_misses(last_visit[members], numbers) for members, numbers in expected):
        return missed
    liking = driver + random.logistic(size=driver.shape)
    for members, numbers in zip(arms.members, assessed, strict=True):
        for visit, number in enumerate(numbers):
            staying = last_visit[members] >= visit
            order = np.argsort(np.where(staying, liking[members, visit], np.inf), axis=1, kind="stable")
            absent = np.take_along_axis(members, order, axis=1)[:, number:]
            missed[absent, visit] = last_visit[absent] >= visit
    return missed


def _nobody_misses(last_visit: IntArray, assessed: IntArray) -> bool:
    """Return whether as many stay as are assessed, at every visit of every replicate; ``last_visit`` is ``(r, k)``."""
    staying = np.count_nonzero(last_visit[:, :, None] >= np.arange(len(assessed)), axis=1)
    return bool((staying == assessed).all())


def miss_by_chance(
    driver: FloatArray, arm: IntArray, last_visit: IntArray, attends: FloatArray, random: np.random.Generator
) -> BoolArray:
    """Draw who misses each visit; ``attends``, shape ``(arms, v)``, are the log odds of attending; shape ``(n, v)``."""
    if np.isposinf(attends).all():
        return np.zeros(driver.shape, dtype=bool)
    stays = np.arange(driver.shape[1]) <= last_visit[:, None]
    return np.asarray(stays & (random.random(driver.shape) >= attend_probability(attends[arm], driver)))


def draw_untested(missed: BoolArray, model: MissingModel, random: np.random.Generator) -> BoolArray:
    """Draw which ``missed`` visits took place without kidney tests, so that nobody can judge response; ``(n, v)``."""
    return np.asarray(missed & (random.random(missed.shape) < model.without_kidney_tests))


def attend_probability(attends: FloatArray | float, driver: FloatArray) -> FloatArray:
    """Return the probability that a patient under observation attends a visit."""
    from scipy.special import expit

    return np.asarray(expit(attends - driver))
