"""Multiple imputation of an ordered response at visits: chained continuation-ratio logistic models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.shrunken_logistic import fit_shrunken_logistic

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
StateArray = NDArray[np.int8]

UNKNOWN = -1
NONE, PARTIAL, COMPLETE = 0, 1, 2
CYCLES = 10
_STEPS = (NONE, PARTIAL)
"""Any response at all; complete among responses."""
_LARGEST_BATCH = 400_000
"""Numbers in the predictors of the imputations that are made together: more would leave the processor's cache."""


def impute_states(states: StateArray, covariates: FloatArray, *, random: Sequence[np.random.Generator]) -> StateArray:
    """Impute unknown responses, several times over.

    Each visit in turn is modelled by arm, covariates and the response at every other visit (two indicators each: any
    response, complete response), known or imputed, in two logistic steps: any response, then complete among those with
    any. Each model is fitted with a weak prior under the random weights of a Bayesian bootstrap, which makes its
    coefficients a draw from about their posterior, also where a group has only one response (a normal approximation of
    the posterior fails there); the unknown responses are drawn from the model. A first pass runs forwards on the
    earlier visits alone; ten cycles over all visits follow, one where a single visit has gaps.

    Parameters
    ----------
    states
        Shape (n, v): 0 none, 1 partial, 2 complete, -1 unknown.
    covariates
        Shape (n, k): arm and baseline covariates, complete.
    random
        A source of random numbers for each imputation: none depends on how many others there are. Rows that are alike
        are exchangeable, and the result depends on the order of others.

    Returns
    -------
    numpy.ndarray
        Shape (imputations, n, v): the known states as they were, the unknown ones drawn. A visit at which nobody's
        state is known stays unknown.

    References
    ----------
    van Buuren S. Multiple imputation of discrete and continuous data by fully conditional specification. Stat Methods
    Med Res 2007;16:219-242. doi:10.1177/0962280206074463. White IR, Daniel R, Royston P. Avoiding bias due to perfect
    prediction in multiple imputation of incomplete categorical variables. Comput Stat Data Anal 2010;54:2267-2275.
    doi:10.1016/j.csda.2010.04.005. Newton MA, Raftery AE. Approximate Bayesian inference with the weighted likelihood
    bootstrap. J R Stat Soc B 1994;56:3-26. doi:10.1111/j.2517-6161.1994.tb01956.x

    Examples
    --------
    >>> states = np.array([[2, 2], [0, 0], [2, -1]], dtype=np.int8)
    >>> imputed = impute_states(states, np.zeros((3, 1)), random=[np.random.default_rng(seed) for seed in range(4)])
    >>> imputed.shape, bool((imputed[:, :2] == states[:2]).all())
    ((4, 3, 2), True)
    """
    n, visits = states.shape
    at_once = max(1, _LARGEST_BATCH // max(1, n * (covariates.shape[1] + 2 * visits)))
    batches = [random[first : first + at_once] for first in range(0, len(random), at_once)]
    return np.concatenate([_chain(states, covariates, batch) for batch in batches])


def _chain(states: StateArray, covariates: FloatArray, random: Sequence[np.random.Generator]) -> StateArray:
    """Make several imputations side by side."""
    unknown = states == UNKNOWN
    used = [visit for visit in range(states.shape[1]) if not unknown[:, visit].all()]
    targets = [visit for visit in used if unknown[:, visit].any()]
    copies = np.repeat(states[None], len(random), axis=0)
    # With one visit to impute the others never change, and another cycle would only draw again.
    cycles = 0 if not targets else 1 if len(targets) == 1 else CYCLES
    modes: dict[tuple[int, int], FloatArray] = {}
    for cycle in range(cycles + 1 if targets else 0):
        for visit in targets:
            others = [other for other in used if (other < visit if cycle == 0 else other != visit)]
            copies[:, unknown[:, visit], visit] = _draw(
                copies, covariates, visit, others, unknown[:, visit], random, modes if cycle else {}
            )
    return copies


def _draw(
    copies: StateArray,
    covariates: FloatArray,
    visit: int,
    others: list[int],
    unknown: BoolArray,
    random: Sequence[np.random.Generator],
    modes: dict[tuple[int, int], FloatArray],
) -> StateArray:
    """Draw the unknown states of a visit, shape (imputations, unknown), from models of its known ones.

    ``modes`` holds where the search ended the last time and is brought up to date.
    """
    own = np.broadcast_to(covariates, (len(copies), *covariates.shape))
    seen = copies[:, :, others]
    columns = np.concatenate([own, seen >= PARTIAL, seen == COMPLETE], axis=2)
    known = copies[0, :, visit]
    drawn = np.full((len(copies), int(unknown.sum())), NONE, dtype=np.int8)
    for step in _STEPS:
        rows = ~unknown & (known >= step)
        if rows.any():
            outcome = (known[rows] > step).astype(np.float64)
            weights = np.array([source.standard_exponential(len(outcome)) for source in random])
            model = fit_shrunken_logistic(columns[:, rows], outcome, weights=weights, start=modes.get((visit, step)))
            modes[visit, step] = model.coefficients
            chance = model.probability(columns[:, unknown])
            luck = np.array([source.random(chance.shape[1]) for source in random])
            drawn[(drawn == step) & (luck < chance)] = step + 1
    return drawn
