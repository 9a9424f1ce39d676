"""What :func:`compare_arms` compares, and the estimators each kind of outcome goes through."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import FloatArray, as_text, require_complete
from analyses.comparison.augmented import augmented_rates
from analyses.comparison.augmented_area import augmented_restricted_mean
from analyses.comparison.bootstrap import (
    Key,
    ScoreReplicates,
    event_replicates,
    rate_replicates,
)
from analyses.comparison.standardised import TargetPopulation, standardised_rates
from analyses.comparison.standardised_survival import standardised_survival
from analyses.comparison.weighted import weighted_rates
from analyses.comparison.weighted_curves import weighted_incidence, weighted_restricted_mean, weighted_survival
from analyses.comparison.weighted_hazards import weighted_hazard_ratio, weighted_logrank
from analyses.propensity import EstimatedWeights
from analyses.propensity.weights import Estimand
from analyses.response.rates import Outcome, response_events
from analyses.survival import fit_fine_gray
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

WHERE = "compare_arms"
_EVENT = "event of the outcome"
"""Column of the event, which no formula can name."""


@dataclass(frozen=True, slots=True, eq=False)
class BinaryOutcome:
    """A binary outcome of :func:`compare_arms`.

    Parameters
    ----------
    column
        Boolean or 0/1 column or, with ``counts``, a column of responses (CR, PR, NR).
    counts
        Which responses count as an event (``"CR"``, ``"CR or PR"``).
    visits
        One row per patient and visit, with the columns of patient and arm and any covariates of ``adjust``; None where
        the outcome is a column of the patients.
    time_col
        Column of the visit month in ``visits``.
    """

    column: str
    counts: Outcome | None = None
    visits: pd.DataFrame | None = None
    time_col: str | None = None

    @property
    def term(self) -> str:
        """Name in the results."""
        return self.counts or self.column


@dataclass(frozen=True, slots=True, eq=False)
class EventOutcome:
    """A time to an event of :func:`compare_arms`.

    Parameters
    ----------
    duration_col, event_col
        Columns of the patients; the event is 0 or 1 or, with ``cause``, 0 for censored and a cause number.
    tau
        Horizon of the restricted mean of being free of any event, or None for none.
    times
        At which survival, or with ``cause`` the cumulative incidence, is compared.
    cause
        The cause of interest where others compete. The hazard ratio is then that of its subdistribution (Fine-Gray),
        beside that of any event.
    """

    duration_col: str
    event_col: str
    tau: float | None = None
    times: tuple[float, ...] = ()
    cause: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScoreWeights:
    """Weights of the patients, and what to add to a warning about them."""

    values: FloatArray | EstimatedWeights
    remark: str

    def of(self, position: npt.NDArray[np.intp] | None) -> FloatArray | EstimatedWeights:
        if position is None:
            return self.values
        return self.values.for_rows(position) if isinstance(self.values, EstimatedWeights) else self.values[position]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What every outcome is compared with."""

    data: pd.DataFrame
    patients: npt.NDArray[np.str_]
    treatment: dict[str, object]
    arms: tuple[str, str]
    weights: ScoreWeights
    score: str | None
    adjust: str | None
    separate_arms: bool
    folds: int | None
    estimand: Estimand
    patient_col: str
    conf_level: float

    def binary(self, outcome: BinaryOutcome) -> Iterator[ResultTable]:
        frame, position = self._rows_of(outcome)
        options = {"outcome_col": _EVENT, **self.treatment, "conf_level": self.conf_level, "time_col": outcome.time_col}
        label = {"term": outcome.term}
        yield _attempt("unadjusted", label, lambda: weighted_rates(frame, weights=np.ones(len(frame)), **options))  # type: ignore[arg-type]
        yield _attempt("weighted", label, lambda: weighted_rates(frame, weights=self.weights.of(position), **options))  # type: ignore[arg-type]
        if self.adjust is None:
            return
        if self.estimand not in get_args(TargetPopulation):
            why = f"an outcome model has no standardised or augmented estimate of the estimand {self.estimand}"
            yield _without("augmented", label, why)
            return
        models = {**options, "adjust": self.adjust, "estimand": self.estimand, "patient_col": self.patient_col}
        models["separate_arms"] = self.separate_arms
        yield _attempt("standardised", label, lambda: standardised_rates(frame, **models))  # type: ignore[arg-type]
        models |= {"score": self.score, "folds": self.folds}
        yield _attempt("augmented", label, lambda: augmented_rates(frame, **models))  # type: ignore[arg-type]

    def event(self, outcome: EventOutcome) -> Iterator[ResultTable]:
        require_complete(self.data, [outcome.duration_col, outcome.event_col], where=WHERE)
        frame, label = self.data, {"term": outcome.event_col}
        columns = {"duration_col": outcome.duration_col, "event_col": outcome.event_col, **self.treatment}
        options = {**columns, "conf_level": self.conf_level}
        anything = frame
        if outcome.cause is not None:
            anything = frame.assign(**{outcome.event_col: (frame[outcome.event_col] > 0).astype(np.int64)})
        for population, weights in (("unadjusted", np.ones(len(frame))), ("weighted", self.weights.values)):
            yield _attempt(population, label, lambda w=weights: weighted_hazard_ratio(anything, weights=w, **options))  # type: ignore[misc,arg-type]
            yield _attempt(population, label, lambda w=weights: weighted_logrank(anything, weights=w, **columns))  # type: ignore[misc,arg-type]
            if outcome.cause is not None:
                yield _attempt(population, label, lambda w=weights: self._fine_gray(outcome, w))  # type: ignore[misc]
            if outcome.tau is not None:
                horizon = {**options, "tau": outcome.tau}
                yield _attempt(
                    population, label, lambda w=weights, h=horizon: weighted_restricted_mean(anything, weights=w, **h)  # type: ignore[misc]
                )  # fmt: skip
            if outcome.times:
                curve = {**options, "times": outcome.times}
                made: Callable[..., ResultTable] = weighted_survival
                if outcome.cause is not None:
                    made, curve = weighted_incidence, {**curve, "cause": outcome.cause}
                yield _attempt(population, label, lambda m=made, w=weights, c=curve: m(frame, weights=w, **c))  # type: ignore[misc]
        yield from self._standardised(outcome, anything, options)
        if self.adjust is not None and outcome.tau is not None:
            if self.estimand != "ATE":
                yield _without("augmented", label, "the augmented restricted mean is of the estimand ATE only")
                return
            models = {**options, "tau": outcome.tau, "score": self.score, "adjust": self.adjust}
            models |= {"censoring": self.adjust, "folds": self.folds, "patient_col": self.patient_col}
            yield _attempt("augmented", label, lambda: augmented_restricted_mean(anything, **models))  # type: ignore[arg-type]

    def _standardised(
        self, outcome: EventOutcome, anything: pd.DataFrame, options: dict[str, object]
    ) -> Iterator[ResultTable]:
        """Standardise the restricted mean and, where no causes compete, survival."""
        times = outcome.times if outcome.cause is None else ()
        if self.adjust is None or (outcome.tau is None and not times):
            return
        label = {"term": outcome.event_col}
        if self.estimand not in get_args(TargetPopulation):
            why = f"an outcome model has no standardised survival of the estimand {self.estimand}"
            yield _without("standardised", label, why)
            return
        models = {**options, "adjust": self.adjust, "times": times, "tau": outcome.tau, "estimand": self.estimand}
        models |= {"separate_arms": self.separate_arms, "patient_col": self.patient_col}
        yield _attempt("standardised", label, lambda: standardised_survival(anything, **models))  # type: ignore[arg-type]

    def replicated(self, outcome: BinaryOutcome | EventOutcome, drawn: ScoreReplicates) -> dict[Key, FloatArray]:
        """Return the replicates of the weighted rows of an outcome, by row."""
        found: dict[Key, FloatArray] = {}
        if isinstance(outcome, EventOutcome):
            is_treated = as_text(self.data[str(self.treatment["treatment_col"])]) == self.arms[0]
            return dict(
                event_replicates(
                    self.data[outcome.duration_col].to_numpy(dtype=np.float64),
                    self.data[outcome.event_col].to_numpy(dtype=np.intp),
                    is_treated,
                    drawn,
                    arms=self.arms,
                    tau=outcome.tau,
                    times=np.asarray(outcome.times, dtype=np.float64),
                    cause=outcome.cause,
                )
            )
        frame, position = self._rows_of(outcome)
        mass = drawn.mass if position is None else drawn.mass[:, position]
        event = frame[_EVENT].to_numpy(dtype=np.float64)
        is_treated = as_text(frame[str(self.treatment["treatment_col"])]) == self.arms[0]
        months = [math.nan] if outcome.time_col is None else sorted(frame[outcome.time_col].unique().tolist())
        for month in months:
            at = np.ones(len(frame), np.bool_) if math.isnan(month) else (frame[outcome.time_col] == month).to_numpy()
            found.update(rate_replicates(event[at], is_treated[at], mass[:, at], arms=self.arms, time=month))
        return found

    def _rows_of(self, outcome: BinaryOutcome) -> tuple[pd.DataFrame, npt.NDArray[np.intp] | None]:
        """Return the rows of an outcome with its event as a column, and the patient of each row."""
        frame = self.data if outcome.visits is None else outcome.visits
        named = [outcome.column, str(self.treatment["treatment_col"]), self.patient_col]
        require_complete(frame, named if outcome.time_col is None else [*named, outcome.time_col], where=WHERE)
        event = frame[outcome.column]
        if outcome.counts is not None:
            found = response_events(frame, outcome.column, outcome.counts, where=WHERE)
            event = pd.Series(found, index=frame.index)
        frame = frame.assign(**{_EVENT: event})
        if outcome.visits is None:
            return frame, None
        position = pd.Index(self.patients).get_indexer(pd.Index(as_text(frame[self.patient_col])))
        if np.any(position < 0):
            raise AnalysisError(
                "visits of patients that are not in the data",
                where=f"{WHERE}, outcome {outcome.term}",
                got=f"{int(np.sum(position < 0))} rows",
                remedy="restrict the visits to the patients compared",
            )
        return frame, position

    def _fine_gray(self, outcome: EventOutcome, weights: FloatArray | EstimatedWeights) -> ResultTable:
        values = weights.values if isinstance(weights, EstimatedWeights) else weights
        kept = values > 0
        is_treated = as_text(self.data[str(self.treatment["treatment_col"])]) == self.arms[0]
        frame = pd.DataFrame(
            {
                "months": self.data[outcome.duration_col].to_numpy(),
                "event": self.data[outcome.event_col].to_numpy(),
                "treated": is_treated.astype(np.float64),
                "weight": values,
            }
        )[kept]
        fit = fit_fine_gray(
            frame, "treated", duration_col="months", event_col="event", cause=outcome.cause or 1,
            weights_col="weight", conf_level=self.conf_level,
        )  # fmt: skip
        table = fit.tidy().frame.assign(analysis="comparison", contrast=f"{self.arms[0]} v {self.arms[1]}")
        return ResultTable(table.assign(method=table["method"] + "; weights taken as known"), {})


def _attempt(population: str, label: dict[str, str], run: Callable[[], ResultTable]) -> ResultTable:
    """Run an estimator; what its data do not support becomes a row with the reason."""
    try:
        table = run()
    except AnalysisError as error:
        return _without(population, label, str(error))
    named = table.frame.assign(population=population, **label)
    return ResultTable(named.astype(table.frame.dtypes), {})


def _without(population: str, label: dict[str, str], why: str) -> ResultTable:
    return result_table([{"population": population, "statistic": "none", "note": why, **label}], analysis="comparison")
