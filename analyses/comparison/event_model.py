"""Cox models of an event given arm and covariates, and what they predict of every patient under either arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.columns import BoolArray, FloatArray
from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_problem import cox_problem
from analyses.kernels.grouped_sums import IntArray
from analyses.kernels.standardised_curve import Averaged, FittedHazard, averaged_survival, fitted_hazard
from analyses.survival.cox_data import STATUS_NOTES

ArmRole = Literal["stratum", "term"]


@dataclass(frozen=True, slots=True, eq=False)
class EventSettings:
    """A design, its strata, and the designs of its predictions; treated first, reference second.

    Parameters
    ----------
    design
        Shape (n, p).
    predicting
        Shape (2, n, p).
    strata
        Shape (n,): 0 for the treated and 1 for the reference, or None for one baseline hazard.
    terms
        Names of the columns.
    """

    design: FloatArray
    predicting: FloatArray
    strata: IntArray | None
    terms: tuple[str, ...]

    def rows(self, chosen: IntArray) -> EventSettings:
        """Return the chosen rows."""
        strata = None if self.strata is None else self.strata[chosen]
        return EventSettings(self.design[chosen], self.predicting[:, chosen], strata, self.terms)


@dataclass(frozen=True, slots=True, eq=False)
class EventModel:
    """A fitted model; ``hazard`` is None where nobody has the event."""

    settings: EventSettings
    hazard: FittedHazard | None

    def averages(self, target: BoolArray, *, times: FloatArray, horizon: float | None) -> tuple[Averaged, Averaged]:
        """Average survival at times, and the area up to a horizon, under the treated and the reference arm."""
        if self.hazard is None:
            level = np.append(np.ones(len(times)), [] if horizon is None else [horizon])
            nothing = Averaged(level, np.zeros((len(level), len(target))))
            return nothing, nothing
        shared = self.settings.strata is None
        one, zero = (
            averaged_survival(
                self.hazard, covariates, target, stratum=0 if shared else place, times=times, horizon=horizon
            )
            for place, covariates in enumerate(self.settings.predicting)
        )
        return one, zero


def event_settings(
    covariates: FloatArray,
    terms: Sequence[str],
    treated: BoolArray,
    events: BoolArray,
    *,
    arms: tuple[str, str],
    arm: ArmRole,
    separate_arms: bool,
) -> EventSettings:
    """Return the settings of an outcome model.

    Parameters
    ----------
    covariates, terms
        Shape (n, p), without intercept, and names.
    treated, events
        Shape (n,).
    arms
        Names of the treated and the reference arm.
    arm
        Whether each arm has a baseline hazard of its own or a common one times a hazard ratio.
    separate_arms
        Whether each arm has coefficients of its own. An arm without events then has none.
    """
    size = len(treated)
    own = (treated, ~treated)
    names = list(terms)
    predicting = np.stack([covariates, covariates])
    if separate_arms:
        kept = [place for place in (0, 1) if events[own[place]].any()]
        blank = np.zeros((size, len(kept) * covariates.shape[1]))
        predicting = np.stack([blank, blank])
        for block, place in enumerate(kept):
            predicting[place, :, block * len(terms) : (block + 1) * len(terms)] = covariates
        names = [f"{term} in {arms[place]}" for place in kept for term in terms]
    if arm == "term":
        indicator = np.stack([np.ones((size, 1)), np.zeros((size, 1))])
        predicting = np.concatenate([indicator, predicting], axis=2)
        names = [f"arm {arms[0]}", *names]
    design = np.where(treated[:, None], predicting[0], predicting[1])
    strata = (~treated).astype(np.intp) if arm == "stratum" else None
    return EventSettings(design, predicting, strata, tuple(names))


def fit_event(settings: EventSettings, durations: FloatArray, events: BoolArray) -> EventModel | str:
    """Fit a model with Efron's handling of ties, or say why it has no finite estimate; name the terms."""
    if not events.any():
        return EventModel(settings, None)
    problem = cox_problem(settings.design, durations, events, strata=settings.strata)
    solution = maximise(problem)
    lost: dict[str, list[str]] = {}
    for term, status in zip(settings.terms, solution.status, strict=True):
        if status is not TermStatus.ESTIMATED:
            lost.setdefault(STATUS_NOTES[status], []).append(term)
    if lost:
        words = "; ".join(f"{', '.join(terms)}: {why}" for why, terms in lost.items())
        return f"Cox model: {words}; merge sparse levels or leave the terms out"
    return EventModel(settings, fitted_hazard(problem, solution.coefficients, solution.variance))
