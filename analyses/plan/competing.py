"""Flare with ESKD and death competing: Gray's test and the subdistribution hazard beside the cause-specific one."""

from __future__ import annotations

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, reference_arm
from analyses.plan.labels import in_population, with_treated
from cohort.results import ResultTable, concat_results

FLARE = 1
"""Code of renal flare in the column ``cause``."""


def competing(data: AnalysisData) -> Tables:
    """Compare the incidence of flare between the arms: Gray's test, and hazard ratios of two kinds."""
    from analyses.survival import fit_cox, fit_fine_gray, gray_test

    frame = with_treated(data)
    frame = frame.assign(flare=(frame["cause"] == FLARE).astype(int))

    def test() -> ResultTable:
        reference_arm(data)
        return gray_test(frame, duration_col="years", event_col="cause", by="arm", cause=FLARE)

    def subdistribution() -> ResultTable:
        reference_arm(data)
        fit = fit_fine_gray(frame, "treated", duration_col="years", event_col="cause", cause=FLARE)
        return in_population(fit.tidy(), "subdistribution hazard")

    def cause_specific() -> ResultTable:
        reference_arm(data)
        fit = fit_cox(frame, "treated", duration_col="years", event_col="flare")
        return in_population(fit.tidy(), "cause-specific hazard")

    return {
        "flare_gray_test": attempt("flare_gray_test", test),
        "flare_hazards": concat_results(
            [attempt("flare_hazards", cause_specific), attempt("flare_hazards", subdistribution)]
        ),
    }
