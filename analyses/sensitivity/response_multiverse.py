"""The multiverse of the response rate: reading of the definition, visit, confirmation, visits missed, adjustment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from analyses.comparison import augmented_rates, matched_rates, standardised_rates, weighted_rates
from analyses.datasets import AnalysisData
from analyses.folds import IntArray
from analyses.longitudinal import response_visits
from analyses.longitudinal.response_visits import KIDNEY_FAILURE
from analyses.response.rates import Outcome
from analyses.sensitivity.adjustments import AUGMENTED, MATCHED, STANDARDISED, UNADJUSTED, WEIGHTED, Adjustments
from analyses.sensitivity.multiverse import multiverse
from cohort.codes import Event
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable

OBSERVED = "observed cases"
AS_FAILURES = "non-responder imputation"
CARRIED = "last response carried forward"
VISITS_MISSED = (OBSERVED, AS_FAILURES, CARRIED)
ONCE, CONFIRMED = "at the visit", "at the next visit too"
ADJUSTMENTS = (UNADJUSTED, *WEIGHTED, STANDARDISED, AUGMENTED, MATCHED)

_COUNTED: Mapping[Outcome, tuple[str, ...]] = {"CR": ("CR",), "PR": ("PR",), "CR or PR": ("CR", "PR")}
_NO_RESPONSE = (Event.DEATH.value, KIDNEY_FAILURE)
"""Status of a visit at which the response is known from events to be none."""


def response_multiverse(
    definitions: Mapping[str, AnalysisData],
    *,
    outcome: Outcome = "CR",
    months: Sequence[int] | None = None,
    missed: Sequence[str] = VISITS_MISSED,
    confirmation: Sequence[str] = (ONCE, CONFIRMED),
    adjustments: Sequence[str] = ADJUSTMENTS,
) -> ResultTable:
    """Estimate the difference of the response rate under every combination of choices.

    Parameters
    ----------
    definitions
        The cohort laid out under each response definition (:func:`analyses.datasets.analysis_data`), by name; all of
        the same patients and arms.
    outcome
        Which responses count.
    months
        Scheduled months after day 0; by default those at 1 and 2 years, or the first two where there are none.
    missed
        What is done about visits that were due and not assessed: ``observed cases`` leaves them out;
        ``non-responder imputation`` counts them as no response; ``last response carried forward`` takes the last
        response assessed before, none if there is none, and none after death or kidney failure.
    confirmation
        Whether the response counts ``at the visit`` or only when it is there ``at the next visit too`` (the scheduled
        one; patients whose next visit is unknown are left out).
    adjustments
        ``unadjusted``; ``weighted, everybody`` (ATE), ``weighted, the treated`` (ATT), ``weighted, overlap`` (ATO);
        ``standardised`` and ``augmented`` (ATE, main terms); ``matched 1:1`` (ATT, nearest within 0.2 standard
        deviations of the logit).

    Returns
    -------
    ResultTable
        As :func:`multiverse`, of ``risk_difference``. All specifications are of the patients with every covariate;
        the notes say how many are left out, and which covariates are since all patients agree.

    Raises
    ------
    AnalysisError
        One arm, nobody with every covariate.
    UsageError
        No definition, an unknown option, a month without visits.
    """
    if not definitions:
        raise UsageError("no definition", where="response_multiverse", remedy="lay the cohort out under one or more")
    data = next(iter(definitions.values()))
    visits = _default_months(data) if months is None else tuple(months)
    for name, given, known in (
        ("missed", missed, VISITS_MISSED),
        ("confirmation", confirmation, (ONCE, CONFIRMED)),
        ("adjustments", adjustments, ADJUSTMENTS),
        ("months", visits, data.months[1:]),
    ):
        unknown = [str(one) for one in given if one not in known]
        if unknown:
            raise UsageError("unknown option", where=f"response_multiverse, {name}", got=", ".join(unknown),
                             remedy=f"use {', '.join(map(str, known))}")  # fmt: skip
    chain = _ResponseChain(definitions, Adjustments(data), outcome)
    choices: dict[str, dict[str, object]] = {
        "definition": {name: name for name in definitions},
        "visit": {f"month {month}": month for month in visits},
        "response": {name: name for name in confirmation},
        "missed visits": {name: name for name in missed},
        "adjustment": {name: name for name in adjustments},
    }
    return chain.adjusted.cases.noted(multiverse(choices, chain.estimate, statistic="risk_difference"))


class _ResponseChain:
    """From the options of a specification to its estimate; what several share is made once."""

    def __init__(self, definitions: Mapping[str, AnalysisData], adjusted: Adjustments, outcome: Outcome) -> None:
        self.definitions = definitions
        self.adjusted = adjusted
        self.outcome = outcome
        self.known = lru_cache(self._known)
        self.events = lru_cache(maxsize=None)(self._events)
        self.compared = lru_cache(maxsize=None)(self._compared)
        self.visits = lru_cache(lambda definition: response_visits(definitions[definition]))

    def estimate(self, chosen: Mapping[str, object]) -> ResultTable:
        month = int(str(chosen["visit"]))
        definition, missed = str(chosen["definition"]), str(chosen["missed visits"])
        events = self.events(definition, missed, month, chosen["response"] == CONFIRMED)
        return self.compared(events, month, str(chosen["adjustment"]))

    def _events(self, definition: str, missed: str, month: int, confirmed: bool) -> bytes:
        """Return the event of each patient (1, 0 or missing), in a form that tells equal ones."""
        event = _counted(self.known(definition, missed), month, confirmed=confirmed)
        return self.adjusted.patients["patient_id"].map(event).to_numpy(dtype=np.float64).tobytes()

    def _compared(self, events: bytes, month: int, how: str) -> ResultTable:
        """Compare the arms on the event of a visit; definitions that agree are fitted once."""
        at = np.frombuffer(events, dtype=np.float64)
        place = np.flatnonzero(~np.isnan(at))
        frame = self.adjusted.patients.iloc[place].assign(**{self.outcome: at[place]})
        found = self._estimated(frame, place, how).frame
        unit = pd.array(["month"] * len(found), dtype="string")
        return ResultTable(found.assign(time=float(month), time_unit=unit))

    def _estimated(self, frame: pd.DataFrame, place: IntArray, how: str) -> ResultTable:
        arms, adjusted = self.adjusted.arms, self.adjusted
        if how == MATCHED:
            return matched_rates(frame, matching=self.adjusted.pairs, outcome_col=self.outcome)
        if how == STANDARDISED:
            return standardised_rates(frame, outcome_col=self.outcome, adjust=adjusted.outcome_formula, **arms)  # type: ignore[arg-type]
        if how == AUGMENTED:
            return augmented_rates(
                frame, outcome_col=self.outcome, score=adjusted.treatment_formula, adjust=adjusted.outcome_formula,
                separate_arms=False, **arms,  # type: ignore[arg-type]
            )  # fmt: skip
        weights = np.ones(len(frame)) if how == UNADJUSTED else self.adjusted.weights(WEIGHTED[how]).for_rows(place)
        return weighted_rates(frame, outcome_col=self.outcome, weights=weights, **arms)  # type: ignore[arg-type]

    def _known(self, definition: str, missed: str) -> pd.DataFrame:
        """Return 1, 0 or missing by patient and month: whether the response counted is there."""
        visits = self.visits(definition)
        counted = visits["response"].isin(_COUNTED[self.outcome]).astype(np.float64)
        visits = visits.assign(known=counted.where(visits["response"].notna()))
        unseen = visits["known"].isna() & visits["due"]
        if missed == AS_FAILURES:
            visits = visits.assign(known=visits["known"].mask(unseen, 0.0))
        elif missed == CARRIED:
            last = visits.groupby("patient_id")["known"].ffill().fillna(0.0)
            last = last.mask(visits["status"].isin(_NO_RESPONSE), 0.0)
            visits = visits.assign(known=visits["known"].where(~unseen, last))
        return visits.pivot(index="patient_id", columns="visit_month", values="known")


def _counted(known: pd.DataFrame, month: int, *, confirmed: bool) -> pd.Series[float]:
    now = known[month]
    if not confirmed:
        return now
    later = [other for other in map(int, known.columns) if other > month]
    if not later:
        raise AnalysisError("no later visit confirms a response", where=f"month {month}", remedy="take an earlier one")
    following = known[min(later)]
    # Who is not seen next is left out whatever was seen now: keeping those without response would lower the rate.
    return pd.Series(np.minimum(now, following), index=known.index)


def _default_months(data: AnalysisData) -> tuple[int, ...]:
    later = [month for month in data.months if month > 0]
    return tuple(month for month in later if month in (12, 24)) or tuple(later[:2])
