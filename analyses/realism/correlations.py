"""Do values go together as a nephrologist expects, and does a patient's value resemble her last one?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.columns import FloatArray
from analyses.datasets import AnalysisData
from analyses.kernels.proportions import normal_quantile
from analyses.realism.verdicts import Verdict, noted
from cohort.schema import VISITS, Kind

LEVEL = 0.95
NEGATIVE, POSITIVE = "expected negative", "expected positive"

LABORATORY = tuple(
    column.name
    for column in VISITS.columns
    if column.kind is Kind.NUMBER and column.name not in ("prednisolone_mg_day", "tacrolimus_trough_ng_ml")
)
"""What the laboratory measures at a visit, or computes from it."""

_SPEARMAN = "Spearman correlation at the start, Bonett-Wright interval"
_LAG_1 = "correlation of ranks within the visit, successive scheduled visits; jackknife over patients"
_FEWEST = 4
"""Pairs or patients below which no interval is given."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Two baseline columns and the sign of their correlation that the disease makes one expect."""

    first: str
    second: str
    sign: int
    why: str


EXPECTATIONS = (
    Expectation("albumin_g_dl", "upcr_g_g", -1, "albumin is lost in the urine"),
    Expectation("c3_mg_dl", "sledai_2k", -1, "active disease consumes complement"),
    Expectation("c3_mg_dl", "upcr_g_g", -1, "active nephritis consumes complement"),
    Expectation("anti_dsdna_iu_ml", "c3_mg_dl", -1, "immune complexes consume complement"),
    Expectation("hemoglobin_g_dl", "upcr_g_g", -1, "anaemia goes with active nephritis"),
    Expectation("class_v", "upcr_g_g", 1, "membranous disease leaks more protein"),
    Expectation("class_v", "egfr_ml_min_1_73m2", 1, "membranous disease spares filtration"),
    Expectation("serum_creatinine_mg_dl", "chronicity_index", 1, "scarred kidneys filter less"),
)
"""Signs by clinical reasoning, not by a borrowed number."""


def correlation_rows(data: AnalysisData) -> list[dict[str, object]]:
    """Correlate baseline values pairwise, and each laboratory value with the patient's next one.

    Parameters
    ----------
    data
        Analysis frames. Missing values are left out pair by pair; ``n`` counts the pairs.

    Returns
    -------
    list of dict
        Rows of a result table. ``statistic`` "spearman", one per expectation, ``term`` "first with second"; and
        "spearman_lag_1", one per laboratory column. ``group`` says the expected sign, and ``note`` opens with whether
        the 95 % interval lies wholly on that side ("right sign"), wholly on the other ("wrong sign") or on both
        ("sign not distinguishable").

        For successive visits, values are ranked within each scheduled visit, so that the common course of all
        patients does not count; ``time`` is 1, the lag in scheduled visits attended. Resemblance from visit to visit
        holds what is lasting in a patient as well as what fades. The interval is a jackknife over patients on
        Fisher's scale that takes the ranks as given.

    References
    ----------
    Bonett DG, Wright TA. Psychometrika 2000;65:23-28. doi:10.1007/BF02294183
    """
    return [_pair_row(data.baseline, pair) for pair in EXPECTATIONS] + [
        _lag_row(data.cohort.visits, name) for name in LABORATORY
    ]


def spearman(first: FloatArray, second: FloatArray) -> tuple[float, float, float, float]:
    """Return Spearman's correlation of complete pairs (ties share their mean rank), its standard error and limits.

    Parameters
    ----------
    first, second
        Values, shape ``(n,)``, without missing ones.

    Returns
    -------
    tuple of float
        Correlation, standard error on Fisher's scale, and 95 % limits. All NaN if a value does not vary; the limits
        are NaN with fewer than four pairs or a perfect correlation.

    References
    ----------
    Bonett DG, Wright TA. Psychometrika 2000;65:23-28. doi:10.1007/BF02294183

    Examples
    --------
    >>> estimate, _, low, high = spearman(np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5]))
    >>> round(estimate, 3), low < 0 < high
    (0.8, True)
    """
    nothing = (np.nan,) * 4
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return nothing
    ranks = pd.DataFrame({"first": first, "second": second}).rank()
    estimate = float(np.corrcoef(ranks["first"], ranks["second"])[0, 1])
    if len(first) < _FEWEST or abs(estimate) >= 1 - 1e-12:
        return estimate, np.nan, np.nan, np.nan
    error = float(np.sqrt((1 + estimate**2 / 2) / (len(first) - 3)))
    return estimate, error, *_fisher_limits(estimate, error)


def _fisher_limits(estimate: float, error: float) -> tuple[float, float]:
    half = normal_quantile(LEVEL) * error
    return float(np.tanh(np.arctanh(estimate) - half)), float(np.tanh(np.arctanh(estimate) + half))


def _pair_row(baseline: pd.DataFrame, pair: Expectation) -> dict[str, object]:
    values = baseline[[pair.first, pair.second]].astype(np.float64).dropna()
    estimate, error, low, high = spearman(values[pair.first].to_numpy(), values[pair.second].to_numpy())
    return {
        "population": "this cohort",
        "group": POSITIVE if pair.sign > 0 else NEGATIVE,
        "term": f"{pair.first} with {pair.second}",
        "statistic": "spearman",
        "estimate": estimate,
        "std_error": error,
        "conf_low": low,
        "conf_high": high,
        "conf_level": LEVEL,
        "n": len(values),
        "method": _SPEARMAN,
        "note": sign_note(estimate, low, high, pair.sign, pair.why),
    }


def sign_note(estimate: float, low: float, high: float, sign: int, why: str) -> str:
    """Say whether a correlation has the expected sign.

    Examples
    --------
    >>> sign_note(-0.5, -0.7, -0.2, -1, "albumin is lost"), sign_note(-0.1, -0.4, 0.2, 1, "")
    ('right sign; albumin is lost', 'sign not distinguishable')
    """
    if np.isnan(estimate):
        return noted(Verdict.NOT_COMPUTED, "too few pairs, or a value that does not vary")
    if np.isnan(low):
        return noted(Verdict.UNCLEAR_SIGN, why, "no interval: too few pairs, or all of them agree")
    if low > 0 or high < 0:
        return noted(Verdict.RIGHT_SIGN if (low > 0) == (sign > 0) else Verdict.WRONG_SIGN, why)
    return noted(Verdict.UNCLEAR_SIGN, why)


def _lag_row(visits: pd.DataFrame, name: str) -> dict[str, object]:
    """Correlate the within-visit ranks of a column at successive scheduled visits of a patient."""
    pairs = _successive_ranks(visits, name)
    patients = pairs["patient_id"].nunique()
    estimate, error, low, high = _clustered_correlation(pairs)
    return {
        "population": "this cohort",
        "group": POSITIVE,
        "time": 1,
        "time_unit": "visit",
        "term": name,
        "statistic": "spearman_lag_1",
        "estimate": estimate,
        "std_error": error,
        "conf_low": low,
        "conf_high": high,
        "conf_level": LEVEL,
        "n": len(pairs),
        "method": _LAG_1,
        "note": sign_note(estimate, low, high, 1, f"{patients} patients"),
    }


def _successive_ranks(visits: pd.DataFrame, name: str) -> pd.DataFrame:
    scheduled = visits.loc[visits["visit_month"].notna() & visits[name].notna(), ["patient_id", "visit_month", name]]
    ranked = scheduled.assign(rank=scheduled.groupby("visit_month")[name].rank(pct=True))
    ordered = ranked.sort_values(["patient_id", "visit_month"], kind="stable")
    following = ordered.assign(following=ordered.groupby("patient_id")["rank"].shift(-1))
    return following.dropna(subset=["following"])[["patient_id", "rank", "following"]]


def _clustered_correlation(pairs: pd.DataFrame) -> tuple[float, float, float, float]:
    """Correlate with a delete-one-patient jackknife: all from sums, so that its cost grows with the pairs only."""
    x, y = pairs["rank"].to_numpy(dtype=np.float64), pairs["following"].to_numpy(dtype=np.float64)
    patient, names = pd.factorize(pairs["patient_id"])
    moments = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    own = np.stack([np.bincount(patient, weights=moment, minlength=len(names)) for moment in moments])
    total = moments.sum(axis=1)
    estimate = float(_correlation(total))
    if np.isnan(estimate) or len(names) < _FEWEST or abs(estimate) >= 1 - 1e-12:
        return estimate, np.nan, np.nan, np.nan
    without = np.arctanh(np.clip(_correlation(total[:, None] - own), -1 + 1e-12, 1 - 1e-12))
    if np.isnan(without).any():
        return estimate, np.nan, np.nan, np.nan
    count = len(names)
    error = float(np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2)))
    return estimate, error, *_fisher_limits(estimate, error)


def _correlation(moments: FloatArray) -> FloatArray:
    """Return the correlation from count, sums, sums of squares and of products, along the first axis."""
    n, x, y, xx, yy, xy = moments
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (n * xx - x * x) * (n * yy - y * y)
        # Below rounding error of the sums nothing varies.
        return np.where(spread > 1e-18 * (n * n) ** 2, (n * xy - x * y) / np.sqrt(spread), np.nan)
