"""Logistic models of the outcome given arm and covariates, and the score model beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyses.columns import BoolArray, FloatArray
from analyses.kernels.logistic import collinear_columns, fit_logistic, separated_columns


@dataclass(frozen=True, slots=True, eq=False)
class BinaryModel:
    """A logistic model and what a variance needs to know about its estimation.

    Parameters
    ----------
    risk
        Shape (k, n): the probability of every patient under each of ``k`` settings (both arms, or one for a score).
    gradient
        Shape (k, n, p): its derivative by the coefficients.
    influence
        Shape (n, p): influence of each patient on the coefficients.
    """

    risk: FloatArray
    gradient: FloatArray
    influence: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """A design and the designs of its predictions.

    Parameters
    ----------
    design
        Shape (n, p).
    predicting
        Shape (k, n, p), or empty columns where the probability is ``certain``.
    certain
        Shape (k,): NaN, or the probability that holds for every patient of a setting because no coefficient does.
    used
        Shape (n,), rows the model is fitted on.
    terms
        Names of the columns.
    """

    design: FloatArray
    predicting: FloatArray
    certain: FloatArray
    used: BoolArray
    terms: tuple[str, ...]


def score_settings(covariates: FloatArray, terms: Sequence[str]) -> Settings:
    """Return the settings of a propensity score on ``covariates`` (n, p), intercept included."""
    return Settings(covariates, covariates[None], np.full(1, np.nan), np.ones(len(covariates), np.bool_), tuple(terms))


def outcome_settings(
    covariates: FloatArray, terms: Sequence[str], treated: BoolArray, outcome: FloatArray, *, separate_arms: bool
) -> Settings:
    """Return the settings of an outcome model: treated first, reference second.

    Parameters
    ----------
    covariates, terms
        Shape (n, p), intercept included, and names.
    treated, outcome
        Shape (n,).
    separate_arms
        Give each arm coefficients of its own; otherwise the arms share all but the intercept.

    Returns
    -------
    Settings
        An arm in which nobody, or everybody, has the event has the certain probability 0 or 1, the limit of its
        likelihood, and the other arm is fitted by itself.
    """
    size, width = covariates.shape
    arms = (treated, ~treated)
    spread = [0 < outcome[own].sum() < own.sum() for own in arms]
    certain = np.array([np.nan if varies else outcome[own].mean() for own, varies in zip(arms, spread, strict=True)])
    if all(spread) and separate_arms:
        zeros = np.zeros_like(covariates)
        predicting = np.stack([np.hstack([covariates, zeros]), np.hstack([zeros, covariates])])
        names = (*(f"{term} (treated)" for term in terms), *(f"{term} (reference)" for term in terms))
        design = np.where(treated[:, None], predicting[0], predicting[1])
        return Settings(design, predicting, certain, np.ones(size, np.bool_), names)
    if all(spread):
        one, zero = np.ones((size, 1)), np.zeros((size, 1))
        predicting = np.stack([np.hstack([covariates, one]), np.hstack([covariates, zero])])
        design = np.hstack([covariates, treated[:, None].astype(np.float64)])
        return Settings(design, predicting, certain, np.ones(size, np.bool_), (*terms, "arm"))
    predicting = np.stack([covariates * varies for varies in spread])
    used = np.zeros(size, np.bool_)
    for own, varies in zip(arms, spread, strict=True):
        used |= own & varies
    return Settings(covariates, predicting, certain, used, tuple(terms[:width]))


def fit_binary(settings: Settings, outcome: FloatArray, *, what: str) -> BinaryModel | str:
    """Fit a model to all its rows, or say why it has no finite estimate.

    Parameters
    ----------
    settings
        Designs.
    outcome
        Shape (n,), zeros and ones.
    what
        Words for the model, which begin the reason.
    """
    size, width = settings.design.shape
    if not settings.used.any():
        return _predicted(settings, np.zeros(width), np.zeros((size, width)))
    design, own = settings.design[settings.used], outcome[settings.used]
    collinear = collinear_columns(design)
    if collinear:
        names = ", ".join(settings.terms[place] for place in collinear)
        return f"{what}: constant or a combination of the other terms: {names}; leave these terms out"
    fit = fit_logistic(design, own)
    if not fit.converged:
        separated = separated_columns(design, own == 0, own == 1)
        names = ", ".join(settings.terms[place] for place in separated) or "fitted probabilities of 0 or 1"
        return f"{what}: separation, no finite estimate: {names}; merge sparse levels or leave the terms out"
    influence = np.zeros((size, width))
    influence[settings.used] = (design * (own - fit.probability)[:, None]) @ fit.covariance
    return _predicted(settings, fit.coefficients, influence)


def cross_fit_binary(settings: Settings, outcome: FloatArray, folds: np.ndarray, *, what: str) -> FloatArray | str:
    """Predict each patient from the patients of the other folds, or say in which fold that has no finite estimate.

    Parameters
    ----------
    settings, outcome, what
        As for :func:`fit_binary`.
    folds
        Shape (n,), folds from 0.

    Returns
    -------
    numpy.ndarray or str
        Probabilities, shape (k, n).
    """
    number = int(folds.max()) + 1
    risk = np.empty(settings.predicting.shape[:2])
    risk[:] = settings.certain[:, None]
    open_settings = np.flatnonzero(np.isnan(settings.certain))
    if not len(open_settings):
        return risk
    coefficients = np.full((number, settings.design.shape[1]), np.nan)
    for fold in range(number):
        training = settings.used & (folds != fold)
        design = settings.design[training]
        fit = None if collinear_columns(design) else fit_logistic(design, outcome[training])
        if fit is not None and fit.converged:
            coefficients[fold] = fit.coefficients
    lost = np.flatnonzero(np.isnan(coefficients[:, 0]))
    if len(lost):
        without = ", ".join(str(fold + 1) for fold in lost)
        return f"{what}: no finite estimate without fold {without}; use fewer terms, or no folds"
    own = coefficients[folds]
    for setting in open_settings:
        risk[setting] = 1 / (1 + np.exp(-np.sum(settings.predicting[setting] * own, axis=1)))
    return risk


def _predicted(settings: Settings, coefficients: FloatArray, influence: FloatArray) -> BinaryModel:
    risk = 1 / (1 + np.exp(-(settings.predicting @ coefficients)))
    gradient = (risk * (1 - risk))[:, :, None] * settings.predicting
    sure = ~np.isnan(settings.certain)
    risk[sure] = settings.certain[sure, None]
    gradient[sure] = 0.0
    return BinaryModel(risk, gradient, influence)
