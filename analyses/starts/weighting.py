"""Starting within a grace period against waiting, by cloning, censoring and weighting."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from analyses.columns import FloatArray, require_probability
from analyses.comparison.bootstrap import draw_copies
from analyses.kernels.cox_replicates import fit_replicates
from analyses.kernels.curve_readings import values_at
from analyses.kernels.kaplan_meier import kaplan_meier
from analyses.kernels.restricted_mean import restricted_mean
from analyses.starts.clones import START, WAIT, Clones, clone_patients, clone_weights
from analyses.starts.patients import followed_patients
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

NAMES = {START: "start", WAIT: "wait"}
CONTRAST = "start v wait"
_CHUNK = 50
_LARGEST_LOST = 0.1
"""Share of replicates without estimate above which the spread of the others is not that of the estimator."""
_FEW = 10.0
"""A weight above it is remarked on."""


def clone_censor_weight(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    start_col: str,
    grace: float,
    horizon: float,
    interval: float | None = None,
    covariates: str | None = None,
    largest: float | None = None,
    replicates: int = 500,
    seed: int | None = None,
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare starting treatment within a grace period with waiting beyond it.

    Each patient enters under both strategies and is censored under one of them when what happens no longer agrees with
    it; weights make up for this censoring. Nobody has to survive into a strategy, so that no time is immortal.

    Parameters
    ----------
    data, duration_col, event_col, start_col, patient_col
        As in :func:`exposure_spells`.
    grace
        Time from the index date within which treatment is to start. Waiting means no start within it; what happens
        after it is part of both strategies.
    horizon
        Time since the index date at which survival is compared and to which means are restricted; beyond ``grace``.
    interval
        Length of the intervals in which starts are modelled; a sixth of ``grace`` if left out.
    covariates
        Right-hand side of baseline covariates that both models of starting are given, or None.
    largest
        Weights above it are set to it; None keeps them.
    replicates, seed
        Bootstrap of patients, each with models of starting of its own; 0 replicates for none.
    conf_level
        Of the percentile intervals.

    Returns
    -------
    ResultTable
        Rows ``survival`` and ``restricted_mean`` of both strategies (``group`` ``start`` and ``wait``) and their
        differences, ``time`` the horizon, and ``log_hazard_ratio``, the average hazard ratio of the weighted clones to
        the horizon. ``std_error`` is the standard deviation of the replicates. ``n`` counts clones, ``n_events`` their
        events to the horizon. ``note`` says how many replicates had no estimate, and where weights are large.

    Raises
    ------
    AnalysisError
        As :func:`exposure_spells`; nobody followed to the horizon under a strategy; nobody, or everybody, who starts
        within the grace period; a model of starting without finite estimate.
    UsageError
        Times out of order, fewer than 100 replicates, no seed.

    Notes
    -----
    Right if, given the covariates at the index date, starting tells nothing about the future: covariates that change
    during the grace period and drive both start and event are not adjusted for. The start within an interval is taken
    to lie at its end where weights change, so intervals should be short next to the grace period.

    References
    ----------
    Hernan MA, Robins JM. Am J Epidemiol 2016;183:758-764. doi:10.1093/aje/kwv254. Maringe C et al. Reflection on modern
    methods: trial emulation in the presence of immortal-time bias. Int J Epidemiol 2020;49:1719-1729.
    doi:10.1093/ije/dyaa057

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "years": [4.0, 2, 4, 3], "flare": [0, 1, 0, 1]})
    >>> frame["start"] = [0.5, None, 0.5, None]
    >>> table = clone_censor_weight(frame, duration_col="years", event_col="flare", start_col="start", grace=1.0,
    ...     horizon=3.0, interval=1.0, replicates=0).frame
    >>> table.loc[table["statistic"] == "survival", ["group", "estimate"]].to_numpy().tolist()
    [['start', 1.0], ['wait', 0.0]]
    """
    where = "clone_censor_weight"
    require_probability(conf_level, "conf_level")
    width = grace / 6 if interval is None else interval
    _check(grace, horizon, width, largest, replicates, seed, where)
    patients = followed_patients(
        data, duration_col=duration_col, event_col=event_col, start_col=start_col, patient_col=patient_col, where=where
    )
    clones = clone_patients(patients, grace=grace, interval=width)
    _require_horizon(clones, horizon, where)
    given = patients.covariates(data, covariates)
    whole = np.ones((1, len(patients.names)))
    weights, converged = clone_weights(clones, given, whole)
    if not converged[0]:
        raise AnalysisError(
            "a model of starting has no finite estimate",
            where=f"{where}, covariates {covariates}",
            remedy="merge sparse levels, leave terms out, or choose longer intervals",
        )
    point = _estimates(clones, _capped(weights, largest), whole, horizon)
    spread = None
    if replicates:
        assert seed is not None
        copies = draw_copies(patients.names, replicates=replicates, seed=seed).astype(np.float64)
        spread = np.concatenate(
            [
                _replicated(clones, given, copies[first : first + _CHUNK], largest, horizon)
                for first in range(0, replicates, _CHUNK)
            ]
        )
    rows = list(_rows(clones, point[0], spread, horizon, conf_level))
    remark = [patients.remark, _weight_remark(clones, weights[0], largest)]
    for row in rows:
        said = [*remark, row.get("note")]
        row["note"] = "; ".join(str(one) for one in said if one) or None
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": where,
                "duration_col": duration_col,
                "event_col": event_col,
                "start_col": start_col,
                "grace": grace,
                "horizon": horizon,
                "interval": width,
                "covariates": covariates,
                "largest": largest,
                "replicates": replicates,
                "conf_level": conf_level,
            },
            "seed": seed,
        },
        analysis="starts",
        population=f"start within {grace:g} or wait",
        conf_level=conf_level if replicates else math.nan,
        method="clones weighted by the inverse probability of not deviating"
        + ("" if covariates is None else f" given {covariates}")
        + (f"; percentile interval of {replicates} bootstraps" if replicates else ""),
    )


_STATISTICS = (
    ("survival", START), ("survival", WAIT), ("survival_difference", None),
    ("restricted_mean", START), ("restricted_mean", WAIT), ("restricted_mean_difference", None),
    ("log_hazard_ratio", None),
)  # fmt: skip


def _check(
    grace: float, horizon: float, width: float, largest: float | None, replicates: int, seed: int | None, where: str
) -> None:
    if not (math.isfinite(horizon) and 0 < width <= grace < horizon):
        raise UsageError(
            "interval, grace and horizon must be above zero and follow each other",
            where=where,
            got=f"interval {width:g}, grace {grace:g}, horizon {horizon:g}",
            remedy="for instance interval=1, grace=6, horizon=60",
        )
    if largest is not None and not (math.isfinite(largest) and largest >= 1):
        raise UsageError("the largest weight must be 1 or above", where=f"{where}, largest", got=str(largest))
    if replicates and seed is None:
        raise UsageError("bootstraps need a seed", where=f"{where}, seed", got="None", remedy="name a whole number")


def _require_horizon(clones: Clones, horizon: float, where: str) -> None:
    for strategy, name in NAMES.items():
        longest = float(clones.leave[clones.strategy == strategy].max())
        if longest < horizon:
            raise AnalysisError(
                "nobody is followed to the horizon",
                where=f"{where}, strategy {name}",
                got=f"horizon {horizon:g}, last time {longest:g}",
                remedy="choose an earlier horizon",
            )


def _capped(weights: FloatArray, largest: float | None) -> FloatArray:
    return weights if largest is None else np.minimum(weights, largest)


def _replicated(
    clones: Clones, covariates: FloatArray, copies: FloatArray, largest: float | None, horizon: float
) -> FloatArray:
    weights, converged = clone_weights(clones, covariates, copies)
    found = np.full((len(copies), len(_STATISTICS)), np.nan)
    found[converged] = _estimates(clones, _capped(weights[converged], largest), copies[converged], horizon)
    return found


def _estimates(clones: Clones, weights: FloatArray, copies: FloatArray, horizon: float) -> FloatArray:
    """Return the statistics of each replicate, shape ``(b, 7)``; NaN where there is none."""
    mass = weights * copies[:, clones.patient]
    mass[~np.isfinite(mass)] = 0.0
    found = np.full((len(mass), len(_STATISTICS)), np.nan)
    for place, strategy in enumerate((START, WAIT)):
        own = np.flatnonzero(clones.strategy == strategy)
        for replicate, weight in enumerate(mass[:, own]):
            used = own[weight > 0]
            if not len(used) or clones.leave[used].max() < horizon:
                continue
            rows = clones.leave[used], clones.failed[used]
            options = {"weights": weight[weight > 0], "entries": clones.entry[used]}
            curve = kaplan_meier(*rows, **options)
            found[replicate, place] = values_at(curve.table.times, curve.survival, np.array([horizon]), start=1.0)[0]
            found[replicate, 3 + place] = restricted_mean(*rows, horizon=horizon, **options).mean
    found[:, 2], found[:, 5] = found[:, 0] - found[:, 1], found[:, 3] - found[:, 4]
    cut = np.minimum(clones.leave, horizon)
    alive = np.flatnonzero(clones.entry < cut)
    fit = fit_replicates(
        (clones.strategy[alive] == START)[:, None].astype(np.float64),
        cut[alive],
        clones.failed[alive] & (clones.leave[alive] <= horizon),
        weights=mass[:, alive],
        entries=clones.entry[alive],
    )
    found[:, 6] = fit.coefficients[:, 0]
    return found


def _rows(
    clones: Clones, point: FloatArray, spread: FloatArray | None, horizon: float, conf_level: float
) -> Iterator[dict[str, object]]:
    for place, (statistic, strategy) in enumerate(_STATISTICS):
        own = clones.strategy == strategy if strategy is not None else np.ones(len(clones.strategy), dtype=bool)
        first = own & (clones.entry == 0)
        row: dict[str, object] = {
            "statistic": statistic,
            "time": horizon,
            "estimate": float(point[place]),
            "n": float(np.count_nonzero(first)),
            "n_events": float(np.count_nonzero(own & clones.failed & (clones.leave <= horizon))),
            **({"contrast": CONTRAST} if strategy is None else {"group": NAMES[strategy]}),
        }
        yield row | _interval(float(point[place]), None if spread is None else spread[:, place], conf_level)


def _interval(point: float, spread: FloatArray | None, conf_level: float) -> dict[str, object]:
    if math.isnan(point):
        return {"note": "no estimate: no event under a strategy, or nobody left with a weight"}
    if spread is None:
        return {"note": "no interval: ask for replicates"}
    there = spread[np.isfinite(spread)]
    lost = len(spread) - len(there)
    if lost > _LARGEST_LOST * len(spread):
        return {"note": f"no interval: {lost} of {len(spread)} bootstraps have no estimate"}
    tail = (1 - conf_level) / 2
    low, high = np.quantile(there, [tail, 1 - tail])
    note = f"{lost} of {len(spread)} bootstraps have no estimate" if lost else ""
    error = float(there.std(ddof=1))
    if error == 0:
        return {"note": "no spread between bootstraps: no interval"}
    return {"std_error": error, "conf_low": float(low), "conf_high": float(high), "note": note}


def _weight_remark(clones: Clones, weights: FloatArray, largest: float | None) -> str:
    said = []
    for strategy, name in NAMES.items():
        most = float(weights[clones.strategy == strategy].max())
        if most > _FEW:
            cut = "" if largest is None else f", set to {largest:g}"
            said.append(f"largest weight under {name} {most:.1f}{cut}")
    return "; ".join(said)
