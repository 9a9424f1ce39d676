"""What is printed about renal flares of each arm: patients where print owes them, else a probability or a rate."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from cohort.targets import CUMULATIVE_MEASURES, FLARE_MEASURES, Measure, Study, Target, TargetKind, Unit
from synthetic.nearest import nearest_count

FLARE_COLUMNS = {
    "arm": "str",
    "month": "int64",
    "patients": "Int64",
    "n": "Int64",
    "probability": "float64",
    "rate_per_100_py": "float64",
    "target_id": "str",
    "reason": "str",
}


def printed_flares(study: Study) -> pd.DataFrame:
    """Return the printed numbers of renal flares in force.

    Parameters
    ----------
    study
        The published record.

    Returns
    -------
    pandas.DataFrame
        One row per printed number, in the order of the study file: ``arm``; ``month`` (flares from day 0 to it);
        ``patients`` with at least one flare (Int64, missing for a Kaplan-Meier estimate or a rate) out of ``n``
        (Int64, missing with them); ``probability`` of a flare by then (the printed percentage or estimate as a share,
        ``patients / n`` where a count is printed; NaN for a rate); ``rate_per_100_py`` (NaN but for a rate);
        ``target_id`` and ``reason``, which says in words what the row rests on. Empty if nothing is printed.

    Examples
    --------
    >>> from cohort.targets import load_study
    >>> len(printed_flares(load_study("bao2008")))
    0
    """
    targets = (target for target in study.targets if target.measure in FLARE_MEASURES and _in_force(target))
    rows = [(target.arm, target.month, *_number(study, target)) for target in targets]
    return pd.DataFrame(rows, columns=list(FLARE_COLUMNS)).astype(FLARE_COLUMNS)


def counted_events(study: Study) -> Iterator[tuple[Target, int, int]]:
    """Yield each printed number of patients with an event that owes whole patients, with these and its denominator."""
    for target in study.targets:
        if target.measure in CUMULATIVE_MEASURES and _in_force(target) and not target.kaplan_meier:
            n = _denominator(study, target)
            yield target, nearest_count(target, n), n


def _in_force(target: Target) -> bool:
    return target.kind is TargetKind.NUMBER and target.superseded_by is None


def _denominator(study: Study, target: Target) -> int:
    """Return the printed denominator, or the whole arm where none is printed."""
    return target.n if target.n is not None else study.arm(target.arm or "").size


def _number(study: Study, target: Target) -> tuple[object, ...]:
    """Return patients, n, probability, rate, target id and reason."""
    if target.measure is Measure.RENAL_FLARE_RATE:
        return None, None, None, float(target.printed), target.id, "a rate of flares, not a number of patients"
    if target.kaplan_meier:
        reason = "a Kaplan-Meier estimate: no whole number of patients need stand behind it"
        return None, None, float(target.printed) / 100, None, target.id, reason
    n = _denominator(study, target)
    patients = nearest_count(target, n)
    of = "the printed denominator" if target.n is not None else "the whole arm, since no denominator is printed"
    if target.unit is Unit.PATIENTS:
        return patients, n, patients / n, None, target.id, f"printed as a number of patients; out of {of}"
    reason = f"the whole number nearest to the printed percentage; out of {of}"
    return patients, n, float(target.printed) / 100, None, target.id, reason
