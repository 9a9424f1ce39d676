"""Nelson-Aalen cumulative hazard of one group, with Aalen's or the infinitesimal-jackknife variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.influence import hazard_influence_variance
from analyses.kernels.kaplan_meier import BoolArray, RiskTable, risk_table


@dataclass(frozen=True, slots=True)
class HazardCurve:
    """Cumulative hazard and its standard error at each time of ``table``; arrays of shape ``(k,)``."""

    table: RiskTable
    hazard: FloatArray
    std_error: FloatArray


def nelson_aalen(
    durations: FloatArray,
    events: BoolArray,
    *,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
    clusters: IntArray | None = None,
) -> HazardCurve:
    """Estimate the cumulative hazard as the running sum of d / n.

    The variance is the running sum of d / n^2 (Aalen's); with weights or clusters, the sum over clusters (rows without
    clusters) of their squared weighted influence.

    Parameters
    ----------
    durations, events, weights, entries, clusters
        As in :func:`analyses.kernels.kaplan_meier.kaplan_meier`.

    References
    ----------
    Aalen (1978), doi:10.1214/aos/1176344247.

    Examples
    --------
    >>> nelson_aalen(np.array([1.0, 2.0]), np.array([True, True])).hazard.tolist()
    [0.5, 1.5]
    """
    table = risk_table(durations, events, weights=weights, entries=entries)
    terms = table.events / table.at_risk**2
    if weights is None and clusters is None:
        variance = np.cumsum(terms)
    else:
        variance = hazard_influence_variance(
            terms,
            events / table.at_risk[table.exit_index],
            entry_index=table.entry_index,
            exit_index=table.exit_index,
            weights=np.ones(len(durations)) if weights is None else weights,
            clusters=clusters,
        )
    return HazardCurve(table, np.cumsum(table.events / table.at_risk), np.sqrt(variance))
