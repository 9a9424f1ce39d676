"""Cumulative incidence of competing causes in one group, with infinitesimal-jackknife standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sums_by
from analyses.kernels.kaplan_meier import RiskTable, product_limit, risk_table


@dataclass(frozen=True, slots=True)
class CumulativeIncidence:
    """Probability of having failed from each cause by each time; ``k`` times, ``c`` causes.

    Attributes
    ----------
    times, at_risk, survival
        Shape ``(k,)``: the distinct exit times, increasing, the number (weight) at risk just before each, and the
        probability of no failure of any cause up to and including it.
    events, incidence, std_error
        Shape ``(k, c)``: failures (weight) at, and cumulative incidence with its standard error up to, each time.
    """

    times: FloatArray
    at_risk: FloatArray
    survival: FloatArray
    events: FloatArray
    incidence: FloatArray
    std_error: FloatArray


def cumulative_incidence(
    durations: FloatArray,
    causes: IntArray,
    *,
    n_causes: int,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
) -> CumulativeIncidence:
    """Estimate the Aalen-Johansen cumulative incidence of every cause.

    Parameters
    ----------
    durations
        Shape ``(n,)``.
    causes
        Shape ``(n,)``: 0 for censored, 1 to ``n_causes`` for a failure.
    weights
        Shape ``(n,)``, positive. Results do not change when all are multiplied by a constant.
    entries
        Shape ``(n,)``, time of entry into observation, below ``durations``.

    Notes
    -----
    Failures of all causes at one time share the risk set just before it and leave it together; censorings at that
    time leave after them. The order of rows therefore never matters.

    The variance is the sum over rows of the squared weighted influence on the incidence F of a cause. While a row is
    at risk its influence is ``common(t) - late * F(t) - offset``, ``late`` and ``offset`` being fixed by its entry
    (zero without late entry); once out at time x it is ``fixed + slope * F(t)``, the slope being its influence on log
    survival at x. Running sums of the products of these constants give the variance in linear time.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150.

    Examples
    --------
    >>> cumulative_incidence(np.array([1.0, 2.0, 3.0]), np.array([1, 2, 0]), n_causes=2).incidence.round(4).tolist()
    [[0.3333, 0.0], [0.3333, 0.3333], [0.3333, 0.3333]]
    """
    table = risk_table(durations, causes > 0, weights=weights, entries=entries)
    size, mass = len(table.times), np.ones(len(durations)) if weights is None else weights
    failed = causes > 0
    cell = table.exit_index[failed] * n_causes + causes[failed] - 1
    events = sum_by(cell, mass[failed], size * n_causes).reshape(size, n_causes)
    survival = product_limit(table)
    before = np.concatenate([[1.0], survival[:-1]])
    increments = before[:, None] * events / table.at_risk[:, None]
    variance = _variance(table, causes, before, np.ascontiguousarray(increments.T), mass**2)
    incidence = np.cumsum(increments, axis=0)
    return CumulativeIncidence(table.times, table.at_risk, survival, events, incidence, np.sqrt(variance.T))


def _variance(
    table: RiskTable, causes: IntArray, before: FloatArray, increments: FloatArray, squared: FloatArray
) -> FloatArray:
    """Return the variance of the incidence of each of ``c`` causes, shape ``(c, k)`` as the ``increments``."""
    (n_causes, size), leaves, enters = increments.shape, table.exit_index, table.entry_index
    terms, total = table.greenwood_terms, np.cumsum(increments, axis=1)
    hazard = np.cumsum(terms)
    common = np.cumsum(increments * (hazard - terms - 1.0 / table.at_risk), axis=1)
    jump = np.where(table.exhausted[leaves], 0.0, (causes > 0) / table.survivors[leaves])
    late, offset = np.zeros((1, len(leaves))), np.zeros((n_causes, len(leaves)))
    if enters.any():
        start = np.zeros((n_causes, 1))
        late = np.concatenate([[0.0], hazard])[None, enters]
        offset = np.hstack([start, common])[:, enters] - late * np.hstack([start, total])[:, enters]
    own = (causes == np.arange(1, n_causes + 1)[:, None]) * (before / table.at_risk)[leaves]
    slope = hazard[leaves] - late - jump
    fixed = common[:, leaves] - offset + own - (hazard[leaves] - jump) * total[:, leaves]

    def out(values: FloatArray) -> FloatArray:
        return np.asarray(np.cumsum(sums_by(leaves, squared * values, size), axis=1))

    variance = out(fixed**2) + 2 * total * out(fixed * slope) + total**2 * out(slope**2)
    present = np.cumsum(sum_by(enters, squared, size)) - np.cumsum(sum_by(leaves, squared, size))
    variance += common**2 * present
    if enters.any():

        def within(values: FloatArray) -> FloatArray:
            return np.asarray(np.cumsum(sums_by(enters, squared * values, size), axis=1)) - out(values)

        variance += total**2 * within(late**2) + within(offset**2) + 2 * total * within(late * offset)
        variance -= 2 * common * (total * within(late) + within(offset))
    return np.maximum(variance, 0.0)
