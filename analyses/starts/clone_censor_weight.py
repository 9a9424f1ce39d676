"""Clone, censor, weight: starting within a grace period against not starting in it, from day 0 on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.columns import FloatArray
from analyses.comparison.bootstrap import draw_copies
from analyses.starts.clone_bootstrap import Key, bootstrapped, point_estimates
from analyses.starts.clones import (
    START,
    STRATEGY,
    WITHIN,
    CloneSpells,
    IntArray,
    Otherwise,
    StartSpread,
    Strategies,
    checked,
    clone_spells,
)
from analyses.starts.inputs import StartTimes
from analyses.starts.remaining import held
from analyses.starts.rows import Row, added_note, hazard_row, laid_out, refused_row
from analyses.survival import restricted_mean, survival_at
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable

_WHERE = "clone_censor_weight"


def clone_censor_weight(
    data: pd.DataFrame,
    formula: str | None = None,
    *,
    grace: float,
    interval: float,
    horizon: float,
    visits: pd.DataFrame | None = None,
    spread: StartSpread = "as starters",
    otherwise: Otherwise = "no start within the grace period",
    stabilized: bool = True,
    largest: float | None = None,
    replicates: int = 0,
    seed: int = 2025,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    visit_time_col: str = "month",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare the strategies "start within the grace period" and "do not".

    Everybody is followed from time 0 under both, so nobody's strategy is known from the future: a clone is censored
    when the patient deviates, which is at the end of the grace period without a start, or at a start in it. Those who
    remain are weighted by one over the probability of remaining, from a model of starting.

    Parameters
    ----------
    data, visits, start_col, duration_col, event_col, patient_col, visit_time_col
        As for :func:`start_rows`. A start counts as within the grace period when it is before its end.
    formula
        Right-hand side of what the start depends on and the outcome too, for a logistic model of starting pooled over
        the intervals: baseline covariates, the latest values of ``visits``, ``interval_start`` (without it the
        probability does not change with time). None takes the share that starts in each interval.
    grace, interval
        Length of the grace period, a whole number of intervals, and of an interval, in the unit of the starts. Weights
        change at the ends of intervals.
    horizon
        Where the risk difference and the restricted means are taken.
    spread
        When patients start who follow the first strategy. ``as starters``: spread over the intervals as among those
        who start within the grace period. ``as everybody``: as in the data until the last interval, in which all
        the others start; they are represented by the few who do, with large weights (Cain and others).
    otherwise
        The second strategy: ``no start within the grace period`` (later starts do not matter) or ``never start``.
    stabilized
        Multiply the weights of the second strategy by the probability of not having started whatever the covariates.
    largest
        Weights above it are held at it, which ``note`` counts; None keeps them.
    replicates, seed
        Bootstrap samples of patients, in each of which the probabilities are estimated again, at least 100; 0 for
        standard errors robust by patient that take the weights as known.
    conf_level
        Level of the intervals.

    Returns
    -------
    ResultTable
        ``log_hazard_ratio`` of the first strategy (``term`` ``start_within``; weighted Cox model); at ``time``
        ``horizon`` the ``risk`` of each strategy (``group``) and the ``risk_difference``, and ``restricted_mean`` of
        each and ``restricted_mean_difference`` (``contrast`` first v second); per strategy the rows ``mean_weight``,
        ``largest_weight`` of its spells and ``count`` of clones ``deviated`` and ``followed to the event``. ``n`` is
        the number of patients, ``n_events`` of events of clones (their weight, for risks). What cannot be estimated is
        a row with a ``note``.

    Raises
    ------
    UsageError
        ``grace`` not a whole number of intervals, ``horizon`` or ``largest`` not above zero, fewer than 100 replicates
        other than 0.
    AnalysisError
        As :func:`start_rows`; an unknown ``spread`` or ``otherwise``.

    Notes
    -----
    Right when the formula holds all that the start and the outcome depend on, both strategies are possible for
    everybody, and loss to follow-up is unrelated to the event. A patient's two clones are one cluster. Bootstrap
    intervals are normal ones around the estimate, on the scale of the estimate.

    References
    ----------
    Hernán MA, Robins JM. Using big data to emulate a target trial. Am J Epidemiol 2016;183:758-764.
    doi:10.1093/aje/kwv254. Maringe C, et al. Reflection on modern methods: trial emulation in the presence of
    immortal-time bias. Int J Epidemiol 2020;49:1719-1729. doi:10.1093/ije/dyaa057. Cain LE, et al. When to start
    treatment? Int J Biostat 2010;6(2):18. doi:10.2202/1557-4679.1212

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "start_months": [5.0, None, None, 2.0],
    ...                       "months": [9.0, 4.0, 9.0, 8.0], "event": [1, 1, 0, 1]})
    >>> table = clone_censor_weight(frame, grace=6, interval=6, horizon=8).frame.set_index("statistic")["estimate"]
    >>> table["risk"].round(3).tolist()
    [0.625, 0.333]
    """
    times, strategies = checked(
        data, grace, interval, spread, otherwise, stabilized, start_col, duration_col, event_col, patient_col, _WHERE
    )
    _check_numbers(horizon, largest)
    copies = draw_copies(times.patients, replicates=replicates, seed=seed) if replicates else None
    request = _Request(formula, visits, strategies, float(horizon), largest, patient_col, visit_time_col, conf_level)
    spec: dict[str, object] = {
        "function": _WHERE, "formula": formula, "grace": float(grace), "interval": float(interval),
        "horizon": float(horizon), "spread": spread, "otherwise": otherwise, "stabilized": stabilized,
        "largest": largest, "replicates": replicates, "seed": seed if replicates else None,
    }  # fmt: skip
    try:
        rows = request.rows(data, times)
    except AnalysisError as error:
        rows = [
            refused_row(error, statistic=name, term=WITHIN if name == "log_hazard_ratio" else None)
            for name in ("log_hazard_ratio", "risk_difference", "restricted_mean_difference")
        ]
    else:
        if copies is not None:
            rows = bootstrapped(
                rows, copies, lambda drawn: request.points(data, times, drawn), first=START, conf_level=conf_level
            )
    variance = f"bootstrap of {replicates} samples" if replicates else "weights taken as known"
    method = f"clone-censor-weight, starts {spread}, {variance}"
    contrast = f"{START} v {otherwise}"
    named = [_with_contrast(row, contrast) for row in rows]
    return laid_out(named, population="clones", method=method, spec=spec)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked of one sample of patients."""

    formula: str | None
    visits: pd.DataFrame | None
    strategies: Strategies
    horizon: float
    largest: float | None
    patient_col: str
    visit_time_col: str
    conf_level: float

    def spells(self, data: pd.DataFrame, times: StartTimes) -> CloneSpells:
        """Estimate the probabilities of starting and lay out the clones."""
        return clone_spells(
            data, times, self.strategies, self.formula, self.visits, self.patient_col, self.visit_time_col, _WHERE
        )

    def points(self, data: pd.DataFrame, times: StartTimes, drawn: IntArray) -> dict[Key, float]:
        """Estimate everything from a sample, each copy of a patient a patient of its own with the same visits."""
        sample = StartTimes(times.patients[drawn], times.starts[drawn], times.durations[drawn], times.events[drawn])
        spells = self.spells(data.iloc[drawn], sample)
        return point_estimates(spells, held(spells.weight, self.largest)[0], self.horizon)

    def rows(self, data: pd.DataFrame, times: StartTimes) -> list[Row]:
        """Estimate everything once."""
        spells = self.spells(data, times)
        weights, remark = held(spells.weight, self.largest)
        frame = pd.DataFrame(
            {
                "patient": times.patients[spells.row],
                # The second strategy is the reference: groups are compared with the first in sorted order.
                STRATEGY: spells.start_within.astype(np.int64),
                WITHIN: spells.start_within.astype(np.float64),
                "entry": spells.entry,
                "exit": spells.exit,
                "failed": spells.failed.astype(np.int64),
                "clone_weight": weights,
            }
        )
        hazard = hazard_row(
            frame,
            None,
            exposure=WITHIN,
            duration_col="exit",
            event_col="failed",
            entry_col="entry",
            weights_col="clone_weight",
            cluster_col="patient",
            conf_level=self.conf_level,
            patients=len(times),
        )
        rows = [hazard, *self._risks(frame), *self._areas(frame)]
        counted = [row | {"n": float(len(times))} for row in rows]
        counted = [added_note(row, remark) if remark else row for row in counted]
        return [*counted, *_diagnostics(spells, weights, self.strategies.otherwise, len(times))]

    def _risks(self, frame: pd.DataFrame) -> list[Row]:
        table = survival_at(
            frame,
            duration_col="exit",
            event_col="failed",
            entry_col="entry",
            weights_col="clone_weight",
            times=[self.horizon],
            by=STRATEGY,
            cluster_col="patient",
            conf_level=self.conf_level,
        ).frame
        rows = []
        for row in _as_rows(table):
            found = row | {"estimate": _turned(row["estimate"], row["statistic"] == "survival")}
            found["conf_low"], found["conf_high"] = (
                _turned(row.get(name), row["statistic"] == "survival") for name in ("conf_high", "conf_low")
            )
            found["statistic"] = str(row["statistic"]).replace("survival", "risk")
            rows.append(found)
        return self._named(rows, "risk_difference")

    def _areas(self, frame: pd.DataFrame) -> list[Row]:
        try:
            table = restricted_mean(
                frame,
                duration_col="exit",
                event_col="failed",
                entry_col="entry",
                weights_col="clone_weight",
                tau=self.horizon,
                by=STRATEGY,
                cluster_col="patient",
                conf_level=self.conf_level,
            ).frame
        except AnalysisError as error:
            return [refused_row(error, statistic="restricted_mean_difference") | {"time": self.horizon}]
        kept = table[table["statistic"].ne("restricted_mean_ratio").to_numpy(dtype=bool)]
        return self._named(_as_rows(kept), "restricted_mean_difference")

    def _named(self, rows: list[Row], difference: str) -> list[Row]:
        """Name the strategies, the first before the second; add a difference that lacks a strategy."""
        words = {"1": START, "0": self.strategies.otherwise}
        found = [row | {"group": words[str(row["group"])]} for row in rows if row.get("group") is not None]
        found.sort(key=lambda row: row["group"] != START)
        others = [row for row in rows if row.get("group") is None]
        if not others:
            lacking = {"statistic": difference, "time": self.horizon, "estimate": math.nan}
            others = [lacking | {"note": "no estimate: nobody has time under one of the strategies"}]
        return [*found, *others]


def _as_rows(table: pd.DataFrame) -> list[Row]:
    """Return the rows of a result table without what is missing, their contrast and their method."""
    return [
        {str(name): value for name, value in row.items() if not pd.isna(value) and name not in ("contrast", "analysis")}
        | {"estimate": row["estimate"]}
        for row in table.to_dict("records")
    ]


def _turned(value: object, of_a_group: bool) -> float:
    number = math.nan if value is None else float(value)  # type: ignore[arg-type]
    return 1.0 - number if of_a_group else -number


def _diagnostics(spells: CloneSpells, weights: FloatArray, otherwise: str, patients: int) -> list[Row]:
    rows: list[Row] = []
    for name, own in ((START, spells.start_within), (otherwise, ~spells.start_within)):
        base: Row = {"group": name, "n": float(patients)}
        if not own.any():
            rows.append(base | {"statistic": "largest_weight", "estimate": math.nan, "note": "no time under it"})
            continue
        rows += [
            base | {"statistic": "mean_weight", "estimate": float(weights[own].mean())},
            base | {"statistic": "largest_weight", "estimate": float(weights[own].max())},
            base | {"statistic": "count", "term": "deviated", "estimate": float(spells.deviated[own].sum())},
            base | {"statistic": "count", "term": "followed to the event", "estimate": float(spells.failed[own].sum())},
        ]
    return rows


def _check_numbers(horizon: float, largest: float | None) -> None:
    for name, value in (("horizon", horizon), ("largest", largest)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError("must be above zero", where=f"{_WHERE}, {name}", got=str(value), remedy="choose another")


def _with_contrast(row: Row, contrast: str) -> Row:
    differs = row["statistic"] == "log_hazard_ratio" or str(row["statistic"]).endswith("_difference")
    return row | {"contrast": contrast if differs else None}
