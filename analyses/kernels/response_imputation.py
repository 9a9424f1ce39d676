"""Multiple imputation of an ordered response at visits: chained continuation-ratio logistic models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.shrunken_logistic import ShrunkenLogistic, fit_shrunken_logistic

FloatArray = NDArray[np.float64]
StateArray = NDArray[np.int8]

UNKNOWN = -1
NONE, PARTIAL, COMPLETE = 0, 1, 2
CYCLES = 10
_STEPS = 2
"""Any response at all; complete among responses."""


def impute_states(
    states: StateArray, covariates: FloatArray, *, imputations: int, random: np.random.Generator
) -> StateArray:
    """Impute unknown responses, several times over.

    Each visit in turn is modelled by arm, covariates and the response at every other visit (two indicators each: any
    response, complete response), known or imputed, in two logistic steps: any response, then complete among those with
    any. Coefficients are drawn from their posterior, then the unknown responses from the model. A first pass runs
    forwards on the earlier visits alone; ten cycles over all visits follow, afresh for each imputation.

    Parameters
    ----------
    states
        Shape (n, v): 0 none, 1 partial, 2 complete, -1 unknown.
    covariates
        Shape (n, k): arm and baseline covariates, complete.
    imputations
        Number of completed copies.
    random
        Source of random numbers. Rows that are alike are exchangeable, and the result depends on the order of others.

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
    doi:10.1016/j.csda.2010.04.005 (here a weak prior does what their added observations do)

    Examples
    --------
    >>> states = np.array([[2, 2], [0, 0], [2, -1]], dtype=np.int8)
    >>> imputed = impute_states(states, np.zeros((3, 1)), imputations=4, random=np.random.default_rng(1))
    >>> imputed.shape, bool((imputed[:, :2] == states[:2]).all())
    ((4, 3, 2), True)
    """
    unknown = states == UNKNOWN
    targets = [visit for visit in range(states.shape[1]) if unknown[:, visit].any() and not unknown[:, visit].all()]
    used = [visit for visit in range(states.shape[1]) if not unknown[:, visit].all()]
    completed = np.repeat(states[None], imputations, axis=0)
    modes: dict[tuple[int, int], FloatArray] = {}
    for copy in completed:
        for cycle in range(CYCLES + 1 if targets else 0):
            for visit in targets:
                others = [other for other in used if (other < visit if cycle == 0 else other != visit)]
                columns = np.column_stack(
                    [covariates, *(copy[:, other] >= level for other in others for level in (1, 2))]
                )
                known = ~unknown[:, visit]
                response = np.full(len(copy), NONE, dtype=np.int8)
                for step in range(_STEPS):
                    rows = known & (copy[:, visit] >= step)
                    model = _fit(columns, copy[:, visit] > step, rows, modes, (visit, step) if cycle else None)
                    if model is not None:
                        drawn = random.random(len(copy)) < model.probability(columns, model.draw(random))
                        response[drawn & (response == step)] = step + 1
                copy[unknown[:, visit], visit] = response[unknown[:, visit]]
    return completed


def _fit(
    columns: FloatArray,
    event: NDArray[np.bool_],
    rows: NDArray[np.bool_],
    modes: dict[tuple[int, int], FloatArray],
    key: tuple[int, int] | None,
) -> ShrunkenLogistic | None:
    """Fit one step, from the mode of the cycle before; None where nobody reached the step."""
    if not rows.any():
        return None
    model = fit_shrunken_logistic(
        columns[rows], event[rows].astype(np.float64), None if key is None else modes.get(key)
    )
    if key is not None:
        modes[key] = model.coefficients
    return model
