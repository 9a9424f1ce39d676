"""Where agreement with print comes from: data of a registry, the making of a generated cohort, or its seed."""

from __future__ import annotations

from cohort.record import Measure
from cohort.store import Cohort


def origin(cohort: Cohort, measure: Measure, *, exact: str = "", generated: str = "") -> str:
    """Say in words why a cohort may agree with a target; for a registry never more than that it was computed.

    Parameters
    ----------
    cohort
        A registry (``mode`` None) or a generated cohort.
    measure
        What the target measures.
    exact
        What is true of a cohort of exact mode alone, for instance that it was built to give the number.
    generated
        What is true of any generated cohort.

    Returns
    -------
    str
        ``exact`` or ``generated`` where they apply; else whether the cohort was conditioned on the measure.

    Examples
    --------
    >>> import pandas as pd
    >>> none = pd.DataFrame()
    >>> registry = Cohort(none, none, none, none, study="kim2025")
    >>> origin(registry, Measure.COMPLETE_RESPONSE, exact="denominator reconstructed")
    'computed from the data'
    """
    if cohort.mode is None:
        return "computed from the data"
    if exact and cohort.mode == "exact":
        return exact
    if generated:
        return generated
    conditioned = cohort.notes.get("conditioned_measures")
    if isinstance(conditioned, list) and measure.value in conditioned:
        return "exact mode conditions on it: cohorts are drawn again until it holds"
    return "not conditioned on: the seed gave it"
