"""The multiverse of event-free survival: response that a flare must follow, grade of flare, endpoint, adjustment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from analyses.comparison import weighted_hazard_ratio
from analyses.datasets import AnalysisData, first_events
from analyses.sensitivity.adjustments import CONDITIONAL, UNADJUSTED, WEIGHTED, Adjustments
from analyses.sensitivity.multiverse import multiverse
from analyses.survival import fit_cox
from cohort.codes import Grade
from cohort.errors import UsageError
from cohort.results import ResultTable

EVERY_GRADE, GRAVER = "any grade", "moderate or severe"
COMPOSITE, FLARE_ALONE = "flare, ESKD or death", "flare alone"
ADJUSTMENTS = (UNADJUSTED, *WEIGHTED, CONDITIONAL)

_FLARE = 1
"""Code of renal flare in the column ``cause``."""


def event_multiverse(
    definitions: Mapping[str, AnalysisData],
    *,
    flares: Sequence[str] = (EVERY_GRADE, GRAVER),
    endpoints: Sequence[str] = (COMPOSITE, FLARE_ALONE),
    adjustments: Sequence[str] = ADJUSTMENTS,
) -> ResultTable:
    """Estimate the hazard ratio of event-free survival under every combination of choices.

    Parameters
    ----------
    definitions
        The cohort laid out under each response definition, by name, as for :func:`response_multiverse`: a flare needs
        a response before it.
    flares
        Whether flares of ``any grade`` count or only those ``moderate or severe``.
    endpoints
        ``flare, ESKD or death``, or ``flare alone``: the cause-specific hazard, ESKD and death censoring.
    adjustments
        ``unadjusted``; weighted as in :func:`response_multiverse`; ``covariates in the model``, the Cox model with
        the design's outcome covariates. Its hazard ratio is conditional on them and would differ from the marginal
        ones of the others without any confounding.

    Returns
    -------
    ResultTable
        As :func:`multiverse`, of ``log_hazard_ratio``, of the patients with every covariate.

    Raises
    ------
    AnalysisError
        One arm, nobody with every covariate.
    UsageError
        No definition, an unknown option.
    """
    if not definitions:
        raise UsageError("no definition", where="event_multiverse", remedy="lay the cohort out under one or more")
    for name, given, known in (
        ("flares", flares, (EVERY_GRADE, GRAVER)),
        ("endpoints", endpoints, (COMPOSITE, FLARE_ALONE)),
        ("adjustments", adjustments, ADJUSTMENTS),
    ):
        unknown = [one for one in given if one not in known]
        if unknown:
            raise UsageError("unknown option", where=f"event_multiverse, {name}", got=", ".join(unknown),
                             remedy=f"use {', '.join(known)}")  # fmt: skip
    chain = _EventChain(definitions, Adjustments(next(iter(definitions.values()))))
    choices: dict[str, dict[str, object]] = {
        "definition": {name: name for name in definitions},
        "flare": {name: name for name in flares},
        "endpoint": {name: name for name in endpoints},
        "adjustment": {name: name for name in adjustments},
    }
    return chain.adjusted.cases.noted(multiverse(choices, chain.estimate, statistic="log_hazard_ratio"))


class _EventChain:
    """From the options of a specification to its estimate; what several share is made once."""

    def __init__(self, definitions: Mapping[str, AnalysisData], adjusted: Adjustments) -> None:
        self.definitions = definitions
        self.adjusted = adjusted
        self.frame = lru_cache(self._frame)
        self.compared = lru_cache(maxsize=None)(self._compared)

    def estimate(self, chosen: Mapping[str, object]) -> ResultTable:
        frame = self.frame(str(chosen["definition"]), str(chosen["flare"]))
        endpoint = str(chosen["endpoint"])
        if endpoint == FLARE_ALONE:
            frame = frame.assign(event=frame["cause"].eq(_FLARE).astype(np.int64))
        years = frame["years"].to_numpy(dtype=np.float64)
        found = self.compared(years.tobytes(), frame["event"].to_numpy(dtype=np.float64).tobytes(),
                              str(chosen["adjustment"])).frame  # fmt: skip
        return ResultTable(found.assign(term=pd.array([endpoint] * len(found), dtype="string")))

    def _compared(self, years: bytes, events: bytes, how: str) -> ResultTable:
        """Compare the arms on the times and events of each patient; choices that agree are fitted once."""
        times, happened = (np.frombuffer(one, dtype=np.float64) for one in (years, events))
        frame = self.adjusted.patients.assign(years=times, event=happened.astype(np.int64))
        if how == CONDITIONAL:
            frame = frame.assign(treated=frame["arm"].eq(self.adjusted.arms["treated"]).astype(np.int64))
            formula = f"treated + {self.adjusted.outcome_formula}"
            table = fit_cox(frame, formula, duration_col="years", event_col="event").tidy()
            return ResultTable(table.frame[table.frame["term"].eq("treated").to_numpy(dtype=bool)])
        weights = np.ones(len(frame)) if how == UNADJUSTED else self.adjusted.weights(WEIGHTED[how])
        return weighted_hazard_ratio(
            frame, duration_col="years", event_col="event", weights=weights, **self.adjusted.arms  # type: ignore[arg-type]
        )  # fmt: skip

    def _frame(self, definition: str, flares: str) -> pd.DataFrame:
        data = self.definitions[definition]
        counted = data.flares
        if flares == GRAVER:
            counted = counted[counted["kind"].ne(Grade.MILD.value).to_numpy(dtype=bool)]
        patients = self.adjusted.patients.reset_index(drop=True)
        counted = counted[counted["patient_id"].isin(patients["patient_id"])]
        events = data.cohort.events
        events = events[events["patient_id"].isin(patients["patient_id"])]
        return first_events(patients, counted, events, data.horizon_years)
