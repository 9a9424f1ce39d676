"""The weighted comparison that sensitivity analyses repeat, each time with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray, as_text, require_complete, require_probability, treated_rows
from analyses.comparison import (
    BinaryOutcome,
    EventOutcome,
    weighted_hazard_ratio,
    weighted_rates,
    weighted_restricted_mean,
)
from analyses.comparison.folds import refuse_repeated_patients
from analyses.propensity import EstimatedWeights, PropensityFit, fit_propensity
from analyses.propensity.weights import Estimand
from analyses.response.rates import response_events
from cohort.errors import UsageError
from cohort.results import ResultTable

Outcome = BinaryOutcome | EventOutcome
Row = dict[str, object]
T = TypeVar("T")

CONTRASTS = ("risk_difference", "log_hazard_ratio", "restricted_mean_difference")
"""Statistics that are followed through the changes; on all of them no effect is 0."""

_EVENT = "event of the outcome"
"""Column of the event, which no formula can name."""


@dataclass(frozen=True, slots=True, eq=False)
class RepeatedComparison:
    """A comparison of two arms on some outcomes, to be made again with other weights or fewer patients.

    Parameters
    ----------
    data
        One row per patient.
    outcomes
        Binary outcomes are followed as risk differences, at each visit if they have visits; events as log hazard
        ratios and, with ``tau``, differences of the restricted mean.
    treatment_col, treated
        Column of the arm and its treated level.
    estimand
        Of the weights.
    patient_col
        Column of the patient.
    conf_level
        Of the intervals.
    where
        Function that asks, for messages.
    """

    data: pd.DataFrame
    outcomes: tuple[Outcome, ...]
    treatment_col: str
    treated: object
    estimand: Estimand
    patient_col: str
    conf_level: float
    where: str

    def __post_init__(self) -> None:
        require_probability(self.conf_level, "conf_level")
        require_complete(self.data, [self.treatment_col], where=self.where)
        for outcome in self.outcomes:
            self._check(outcome)

    @property
    def is_treated(self) -> BoolArray:
        """Which patients are treated, in row order."""
        return treated_rows(self.data, self.treatment_col, self.treated, where=self.where)

    @property
    def arms(self) -> tuple[str, str]:
        """Names of the arms, treated first."""
        arm = as_text(self.data[self.treatment_col])
        return str(self.treated), str(arm[~self.is_treated][0])

    def among(self, kept: BoolArray) -> RepeatedComparison:
        """Return the same comparison of some of the patients, ``kept`` in row order."""
        return RepeatedComparison(
            self.data[kept],
            self.outcomes,
            self.treatment_col,
            self.treated,
            self.estimand,
            self.patient_col,
            self.conf_level,
            self.where,
        )

    def score(self, formula: str) -> PropensityFit:
        """Fit the logistic score of a formula to the patients.

        Raises
        ------
        AnalysisError
            As :func:`analyses.propensity.fit_propensity`.
        """
        return fit_propensity(self.data, formula, treatment_col=self.treatment_col, treated=self.treated)

    def contrasts(self, weights: FloatArray | EstimatedWeights) -> list[Row]:
        """Return a row per outcome, visit and statistic under these weights; ``term`` is the outcome."""
        arms: Row = {"treatment_col": self.treatment_col, "treated": self.treated, "conf_level": self.conf_level}
        rows: list[Row] = []
        for outcome in self.outcomes:
            if isinstance(outcome, BinaryOutcome):
                frame, position = self._rows_of(outcome)
                own = weights if position is None else _for_rows(weights, position)
                made = [
                    weighted_rates(frame, outcome_col=_EVENT, weights=own, time_col=outcome.time_col, **arms)  # type: ignore[arg-type]
                ]
                term = outcome.term
            else:
                events = {"duration_col": outcome.duration_col, "event_col": outcome.event_col, **arms}
                made = [weighted_hazard_ratio(self.data, weights=weights, **events)]  # type: ignore[arg-type]
                if outcome.tau is not None:
                    made.append(weighted_restricted_mean(self.data, weights=weights, tau=outcome.tau, **events))  # type: ignore[arg-type]
                term = outcome.event_col
            rows += [row | {"term": term} for table in made for row in contrast_rows(table)]
        return rows

    def without_estimate(self, why: str) -> list[Row]:
        """Return the rows of :meth:`contrasts` with a reason in place of an estimate."""
        contrast = " v ".join(self.arms)
        return [
            key | {"contrast": contrast, "conf_level": self.conf_level, "note": f"not estimated: {why}"}
            for outcome in self.outcomes
            for key in _keys(outcome)
        ]

    def _rows_of(self, outcome: BinaryOutcome) -> tuple[pd.DataFrame, npt.NDArray[np.intp] | None]:
        """Return the rows of an outcome with its event as a column, and the patient of each row."""
        if outcome.visits is None:
            return _with_event(self.data, outcome, self.where), None
        patients = pd.Index(as_text(self.data[self.patient_col]))
        position = patients.get_indexer(pd.Index(as_text(outcome.visits[self.patient_col])))
        known = position >= 0
        return _with_event(outcome.visits[known], outcome, self.where), position[known]

    def _check(self, outcome: Outcome) -> None:
        if isinstance(outcome, EventOutcome):
            if outcome.times or outcome.cause is not None:
                raise UsageError(
                    "hazard ratios and restricted means are followed, nothing else of an event",
                    where=f"{self.where}, outcome {outcome.event_col}",
                    got="times" if outcome.times else f"cause {outcome.cause}",
                    remedy="make a column that is 1 for the event meant, and leave times and cause out",
                )
            require_complete(self.data, [outcome.duration_col, outcome.event_col], where=self.where)
            return
        if outcome.visits is None:
            require_complete(self.data, [outcome.column], where=self.where)
            return
        asked = [outcome.column, self.patient_col, self.treatment_col]
        asked += [] if outcome.time_col is None else [outcome.time_col]
        require_complete(outcome.visits, asked, where=f"{self.where}, visits")
        require_complete(self.data, [self.patient_col], where=self.where)
        refuse_repeated_patients(as_text(self.data[self.patient_col]), where=self.where)


def contrast_rows(table: ResultTable) -> Iterator[Row]:
    """Yield the rows of a table that contrast the arms on a scale that is followed."""
    frame = table.frame[table.frame["statistic"].isin(CONTRASTS).to_numpy(dtype=bool)]
    for place in range(len(frame)):
        yield {str(name): value for name, value in frame.iloc[place].items() if name != "analysis"}


def several(outcomes: Sequence[T] | T, *, where: str) -> tuple[T, ...]:
    """Return outcomes as a tuple; one may be given alone.

    Raises
    ------
    UsageError
        There is none.
    """
    given = tuple(outcomes) if isinstance(outcomes, Sequence) else (outcomes,)
    if not given:
        raise UsageError("nothing to compare", where=f"{where}, outcomes", remedy="name an outcome")
    return given


def _for_rows(weights: FloatArray | EstimatedWeights, position: npt.NDArray[np.intp]) -> FloatArray | EstimatedWeights:
    return weights.for_rows(position) if isinstance(weights, EstimatedWeights) else weights[position]


def _with_event(frame: pd.DataFrame, outcome: BinaryOutcome, where: str) -> pd.DataFrame:
    event = frame[outcome.column]
    if outcome.counts is not None:
        found = response_events(frame, outcome.column, outcome.counts, where=where)
        event = pd.Series(found, index=frame.index)
    return frame.assign(**{_EVENT: event})


def _keys(outcome: Outcome) -> Iterator[Row]:
    """Yield what tells the rows of an outcome apart."""
    if isinstance(outcome, EventOutcome):
        yield {"term": outcome.event_col, "statistic": "log_hazard_ratio"}
        if outcome.tau is not None:
            yield {"term": outcome.event_col, "statistic": "restricted_mean_difference", "time": outcome.tau}
        return
    key: Row = {"term": outcome.term, "statistic": "risk_difference"}
    if outcome.visits is None or outcome.time_col is None:
        yield key
        return
    for month in sorted(outcome.visits[outcome.time_col].unique()):
        yield key | {"time": float(month), "time_unit": "month"}
