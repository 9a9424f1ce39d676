"""Unadjusted comparisons of the arms that the published findings speak of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.datasets import AnalysisData
from cohort.codes import Event
from cohort.p_values import ComparisonTest, two_by_two
from cohort.store import Cohort


@dataclass(frozen=True, slots=True)
class Comparison:
    """Patients with the outcome in each arm and the two-sided p-value of ``test``."""

    treated: int
    treated_n: int
    reference: int
    reference_n: int
    p_value: float
    test: str

    @property
    def text(self) -> str:
        """Counts and p-value in words."""
        return (
            f"{self.treated}/{self.treated_n} v {self.reference}/{self.reference_n}, {self.test} p = {self.p_value:.3f}"
        )

    @property
    def treated_higher(self) -> bool:
        """Whether the outcome is more frequent in the treated arm."""
        return self.treated * self.reference_n > self.reference * self.treated_n


def compare_share(data: AnalysisData, outcome: pd.Series[bool]) -> Comparison:
    """Compare the share of patients with ``outcome`` (a boolean per row of ``data.baseline``), Pearson chi-square.

    An outcome that nobody, or everybody, has cannot differ: p = 1.
    """
    is_treated = (data.baseline["arm"] == data.treated).to_numpy()
    happened = outcome.to_numpy(dtype=bool)
    a, n1 = int(happened[is_treated].sum()), int(is_treated.sum())
    c, n0 = int(happened[~is_treated].sum()), int((~is_treated).sum())
    if happened.all() or not happened.any():
        p = 1.0
    else:
        one = [np.array([value]) for value in (a, n1, c, n0)]
        p = float(two_by_two(*one, tests=[ComparisonTest.PEARSON])[ComparisonTest.PEARSON][0])
    return Comparison(a, n1, c, n0, p, "Pearson")


def has_event(data: AnalysisData, cohort: Cohort, *events: Event) -> pd.Series[bool]:
    """Return whether each patient of ``data.baseline`` has any of the events on record."""
    with_event = cohort.events.loc[cohort.events["event"].isin([event.value for event in events]), "patient_id"]
    return data.baseline["patient_id"].isin(with_event)


def event_free_logrank(data: AnalysisData) -> Comparison:
    """Compare survival free of flare, ESKD and death by log-rank test."""
    return _logrank(data, data.event_free["years"], data.event_free["event"])


def poor_outcome_logrank(data: AnalysisData) -> Comparison:
    """Compare survival free of ESKD and death by log-rank test, a flare not counting as an event."""
    return _logrank(data, data.event_free["poor_outcome_years"], data.event_free["poor_outcome"])


def _logrank(data: AnalysisData, years: pd.Series[float], event: pd.Series[int]) -> Comparison:
    from analyses.survival import logrank

    frame = pd.DataFrame({"years": years, "event": event, "arm": data.event_free["arm"]})
    if frame["event"].any():
        p = float(logrank(frame, duration_col="years", event_col="event", by="arm").frame["p_value"].iloc[0])
    else:
        p = 1.0
    of = frame.groupby("arm")["event"].agg(["sum", "size"])
    treated, reference = of.loc[data.treated], of.loc[data.reference]
    return Comparison(
        int(treated["sum"]), int(treated["size"]), int(reference["sum"]), int(reference["size"]), p, "log-rank"
    )
