"""Would a laboratory report these values: jumps between visits, piles at the ends, decimals and last digits."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import bdtrc

from analyses.columns import FloatArray
from analyses.datasets import AnalysisData
from analyses.kernels.proportions import wilson_interval
from analyses.realism.correlations import LABORATORY
from analyses.realism.verdicts import Verdict, noted
from cohort.codes import DAYS_PER_MONTH, Event
from cohort.response import IntArray
from cohort.schema import VISITS

LEVEL = 0.95
WHIPPLE_ROUGH = 0.25
"""Share of values ending in 0 or 5 above which digits count as heaped: 1.25 times the expected fifth, where the scale
of the United Nations for Whipple's index begins to call data rough."""
PILE_ALPHA = 0.001
"""Level of the one-sided test for a pile-up at an end, small because sixteen ends are tested."""
_SMALLEST_STEPS = 0.5
_COMPUTED = ("egfr_ml_min_1_73m2",)
"""Not measured: its digits and ends are those of a formula."""
_DECIMALS = {column.name: column.decimals or 0 for column in VISITS.columns}
Row = dict[str, object]


def plausibility_rows(data: AnalysisData) -> list[Row]:
    """Look at each laboratory column at all visits, scheduled or not.

    Parameters
    ----------
    data
        Analysis frames; missing values are left out.

    Returns
    -------
    list of dict
        Rows of a result table, per column (``term``):

        - ``largest_fold_change``: the largest ratio, up or down, of a value to the same patient's one before, when no
          event and no flare lies between or on either day and the patient is not on dialysis; ``time`` is the months
          between, ``n`` the pairs. ``fold_change_99``: the 99th percentile. A value printed as 0 counts as half the
          smallest step.
        - ``share_doubled``: pairs in which the value at least doubled or halved.
        - ``share_at_lowest``, ``share_at_highest``: values equal to the lowest or highest seen. They pile up when
          they are more frequent than the step beside them (one-sided sign test at 0.001), as at a detection limit.
        - ``share_off_grid``: values with more decimals than the schema says a laboratory prints.
        - ``share_ending_0_or_5``: last digits of the values between the ends; a fifth is expected, and heaped means
          more than a quarter, interval included.

        eGFR has the first three only: it is a formula of creatinine.
    """
    rows: list[Row] = []
    for name in LABORATORY:
        rows.extend(_jump_rows(data, name))
        if name not in _COMPUTED:
            values = data.cohort.visits[name].dropna().to_numpy(dtype=np.float64)
            rows.extend(_value_rows(name, values) if len(values) else [_empty(name, "share_at_lowest")])
    return rows


def _row(name: str, statistic: str, **columns: object) -> Row:
    return {"population": "this cohort", "term": name, "statistic": statistic, **columns}


def _empty(name: str, statistic: str) -> Row:
    return _row(name, statistic, n=0, note=noted(Verdict.NOT_COMPUTED, "no value observed"))


def _share(name: str, statistic: str, events: int, size: int, note: str) -> Row:
    interval = wilson_interval(events, size, conf_level=LEVEL)
    return _row(
        name,
        statistic,
        estimate=float(interval.estimate),
        conf_low=float(interval.low),
        conf_high=float(interval.high),
        conf_level=LEVEL,
        n=size,
        n_events=events,
        method="proportion, Wilson interval",
        note=note,
    )


def quiet_pairs(data: AnalysisData, name: str) -> pd.DataFrame:
    """Return successive observed values of a patient with no event between them.

    Returns
    -------
    pandas.DataFrame
        ``before, after, days``, one row per pair. A pair is left out if an event of the events table or a derived
        flare falls on the day of either visit or between (a value at a flare is no start of a quiet course), or if
        ESKD came before.
    """
    visits = data.cohort.visits[["patient_id", "day", name]].dropna(subset=[name])
    visits = visits.sort_values(["patient_id", "day"], kind="stable").reset_index(drop=True)
    known = pd.Index(data.baseline["patient_id"])
    happened = pd.concat([data.cohort.events[["patient_id", "day"]], data.flares[["patient_id", "day"]]])
    eskd = data.cohort.events.loc[data.cohort.events["event"] == Event.ESKD.value, ["patient_id", "day"]]
    by_then, dialysis = (_events_by(visits, frame, known) for frame in (happened, eskd))
    before_then = _events_by(visits.assign(day=visits["day"] - 1), happened, known)
    patient = visits["patient_id"].to_numpy()
    same = np.flatnonzero(patient[1:] == patient[:-1])
    quiet = same[(before_then[same] == by_then[same + 1]) & (dialysis[same] == 0)]
    value, day = visits[name].to_numpy(dtype=np.float64), visits["day"].to_numpy(dtype=np.int64)
    return pd.DataFrame(
        {"before": value[quiet], "after": value[quiet + 1], "days": day[quiet + 1] - day[quiet]}
    )  # fmt: skip


def _events_by(visits: pd.DataFrame, events: pd.DataFrame, known: pd.Index) -> IntArray:
    """Count, for each visit, the patient's events up to and including its day."""
    far = 1 << 32
    when = np.sort(known.get_indexer(pd.Index(events["patient_id"])) * far + events["day"].to_numpy(dtype=np.int64))
    place = known.get_indexer(pd.Index(visits["patient_id"])) * far
    upto = np.searchsorted(when, place + visits["day"].to_numpy(dtype=np.int64), side="right")
    return np.asarray(upto - np.searchsorted(when, place, side="left"), dtype=np.int64)


def _jump_rows(data: AnalysisData, name: str) -> list[Row]:
    pairs = quiet_pairs(data, name)
    if not len(pairs):
        return [_empty(name, "largest_fold_change")]
    # A printed 0 is anything below half a step.
    least = _SMALLEST_STEPS * 10.0 ** -_DECIMALS[name]
    before, after = (np.maximum(pairs[side].to_numpy(), least) for side in ("before", "after"))
    fold = np.exp(np.abs(np.log(after / before)))
    worst = int(np.argmax(fold))
    shown = f"from {pairs['before'].iloc[worst]:g} to {pairs['after'].iloc[worst]:g}"
    doubled = int(np.sum(fold >= 2 - 1e-12))
    return [
        _row(
            name,
            "largest_fold_change",
            estimate=float(fold[worst]),
            time=float(pairs["days"].iloc[worst]) / DAYS_PER_MONTH,
            time_unit="month",
            n=len(pairs),
            note=noted(Verdict.NO_RANGE, f"{shown} in {pairs['days'].iloc[worst]} days without an event"),
        ),
        _row(
            name,
            "fold_change_99",
            estimate=float(np.quantile(fold, 0.99)),
            n=len(pairs),
            note=noted(Verdict.NO_RANGE),
        ),
        _share(name, "share_doubled", doubled, len(pairs), noted(Verdict.NO_RANGE)),
    ]


def _value_rows(name: str, values: FloatArray) -> list[Row]:
    decimals = _DECIMALS[name]
    steps = np.round(values * 10**decimals)
    # Finer than a thousandth of a step is how a computer holds a printed number, not what a laboratory printed.
    off_grid = int(np.sum(np.abs(values * 10**decimals - steps) > 1e-3))
    counted = [int(np.sum(steps == steps.min())), int(np.sum(steps == steps.max()))]
    beside = [int(np.sum(steps == steps.min() + 1)), int(np.sum(steps == steps.max() - 1))]
    rows = [
        _share(name, statistic, count, len(values), _pile_note(count, next_to, extreme / 10**decimals))
        for statistic, count, next_to, extreme in zip(
            ("share_at_lowest", "share_at_highest"), counted, beside, (steps.min(), steps.max()), strict=True
        )
    ]
    verdict = Verdict.TOO_FINE if off_grid else Verdict.AS_PRINTED
    rows.append(_share(name, "share_off_grid", off_grid, len(values), noted(verdict, f"{decimals} decimals")))
    between = steps[(steps > steps.min()) & (steps < steps.max())]
    return [*rows, _digit_row(name, between.astype(np.int64))]


def _pile_note(count: int, beside: int, extreme: float) -> str:
    chance = float(bdtrc(count - 1, count + beside, 0.5))
    return noted(
        Verdict.PILE if chance < PILE_ALPHA else Verdict.NO_PILE, f"{count} at {extreme:g}, {beside} one step off"
    )


def _digit_row(name: str, steps: IntArray) -> Row:
    if not len(steps):
        return _empty(name, "share_ending_0_or_5")
    round_digits = int(np.sum(steps % 5 == 0))
    row = _share(name, "share_ending_0_or_5", round_digits, len(steps), "")
    heaped = float(wilson_interval(round_digits, len(steps), conf_level=LEVEL).low) > WHIPPLE_ROUGH
    return row | {"note": noted(Verdict.HEAPED if heaped else Verdict.NOT_HEAPED, "a fifth is expected")}
