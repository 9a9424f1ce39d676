"""Every contrast of two arms from one call: unadjusted, weighted and doubly robust, with one kind of variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import FloatArray, as_text, require_complete, treated_rows
from analyses.comparison.bootstrap import (
    Interval,
    Key,
    draw_copies,
    score_replicates,
    summarised,
)
from analyses.comparison.compare_outcomes import WHERE, BinaryOutcome, Comparison, EventOutcome, ScoreWeights
from analyses.comparison.folds import refuse_repeated_patients
from analyses.design_matrix import build_design
from analyses.propensity import PropensityFit, fit_propensity
from analyses.propensity.weights import Estimand
from cohort.errors import UsageError
from cohort.results import ResultTable, concat_results, result_table

Variance = Literal["known", "stacked", "bootstrap"]
_BOOTSTRAP_WORDS = "bootstrap of patients, score estimated in each replicate"


def compare_arms(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: object,
    score: str | PropensityFit | npt.ArrayLike,
    outcomes: Sequence[BinaryOutcome | EventOutcome],
    estimand: Estimand = "ATE",
    trim: float | None = None,
    adjust: str | None = None,
    separate_arms: bool = False,
    folds: int | None = None,
    variance: Variance = "stacked",
    replicates: int = 500,
    seed: int | None = None,
    interval: Interval = "percentile",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare two arms on several outcomes, unadjusted and weighted by the propensity score, in one table.

    Parameters
    ----------
    data
        One row per patient.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    score
        Right-hand side of the logistic propensity model; or a fit to the rows of ``data``; or weights in their order,
        which are then taken as known.
    outcomes
        What is compared.
    estimand, trim
        Of the weights.
    adjust
        Right-hand side of an outcome model. Binary outcomes are then also standardised and augmented (AIPW), and so is
        the restricted mean; survival is standardised. For estimands other than ATE, ATT and ATC a row says that there
        is none (the augmented restricted mean is of the ATE only). Needs ``score`` as a formula.
    separate_arms
        Whether the outcome model has coefficients of its own in each arm (the augmented restricted mean always does; in
        the standardised one each arm has a baseline hazard of its own in any case). That separates sooner:
        with about a hundred patients in an arm and a covariate of sparse levels, leave it False.
    folds
        Cross-fitting of the augmented estimates; None fits to everybody.
    variance
        Of the weighted estimates: ``known`` takes the weights as known (robust), ``stacked`` accounts for the estimated
        score, ``bootstrap`` resamples patients and estimates the score in every replicate (needs ``score`` as a formula
        and ``seed``). The log-rank test has no bootstrap and stays with stacked equations; the Fine-Gray model always
        takes the weights as known; ``method`` says what each row has.
    replicates, seed, interval
        Of the bootstrap.
    patient_col
        Column of the patient.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Rows of :func:`weighted_rates`, :func:`weighted_hazard_ratio`, :func:`weighted_logrank`,
        :func:`weighted_restricted_mean`, :func:`weighted_survival`, :func:`weighted_incidence`,
        :func:`standardised_rates`, :func:`standardised_survival`, :func:`augmented_rates` and
        :func:`augmented_restricted_mean`, with ``population`` ``unadjusted``, ``weighted``, ``standardised`` or
        ``augmented``. What cannot be estimated is a row with
        ``statistic`` ``none`` and the reason in ``note``. Weights that leave an arm an effective number of patients
        below a quarter of its size give every weighted row a note that names the most imbalanced covariate.

    Raises
    ------
    AnalysisError
        What concerns every row: as :func:`analyses.propensity.fit_propensity` (a single arm, separation, constant or
        collinear covariates), missing values, two rows of a patient, a column of an outcome that is not there.
    UsageError
        Options out of range or that contradict each other. A bootstrap of given weights is refused: there is no score
        to refit, and for matched pairs the bootstrap is not valid (Abadie and Imbens 2008, doi:10.3982/ECTA6474).

    Examples
    --------
    >>> data = pd.DataFrame({"patient_id": range(8), "arm": list("aaaabbbb"), "x": [0, 1, 0, 1, 0, 1, 1, 1]})
    >>> data = data.assign(months=[1.0, 2, 3, 4, 1, 2, 3, 4], flare=[1, 0, 1, 0, 1, 1, 0, 1], cured=data["x"] == 0)
    >>> table = compare_arms(
    ...     data, treatment_col="arm", treated="a", score="x", outcomes=[EventOutcome("months", "flare", tau=3)]
    ... )
    >>> table.frame["population"].unique().tolist()
    ['unadjusted', 'weighted']
    """
    _check_options(score, variance, seed, interval, adjust)
    require_complete(data, [treatment_col, patient_col], where=WHERE)
    is_treated = treated_rows(data, treatment_col, treated, where=WHERE)
    patients = as_text(data[patient_col])
    refuse_repeated_patients(patients, where=WHERE)
    arm = as_text(data[treatment_col])
    chain = Comparison(
        data,
        patients,
        {"treatment_col": treatment_col, "treated": treated},
        (str(treated), str(arm[~is_treated][0])),
        _weights(data, score, treatment_col, treated, estimand, trim, variance),
        score if isinstance(score, str) else None,
        adjust,
        separate_arms,
        folds,
        estimand,
        patient_col,
        conf_level,
    )
    drawn = None
    if variance == "bootstrap":
        assert isinstance(score, str)
        assert seed is not None
        copies = draw_copies(patients, replicates=replicates, seed=seed)
        design = build_design(score, data, intercept=True).matrix
        drawn = score_replicates(design, is_treated, copies, estimand=estimand, trim=trim)
    tables = []
    for outcome in outcomes:
        made = chain.binary(outcome) if isinstance(outcome, BinaryOutcome) else chain.event(outcome)
        found = {} if drawn is None else chain.replicated(outcome, drawn)
        tables += [_bootstrapped(table, found, interval, conf_level) for table in made]
    table = concat_results(tables)
    spec = {
        "function": WHERE, "treatment_col": treatment_col, "treated": str(treated), "estimand": estimand,
        "score": score if isinstance(score, str) else type(score).__name__, "trim": trim, "adjust": adjust,
        "separate_arms": separate_arms, "folds": folds, "variance": variance,
        "replicates": replicates if drawn is not None else None,
        "interval": interval if drawn is not None else None, "conf_level": conf_level,
    }  # fmt: skip
    metadata: dict[str, object] = {"spec": spec}
    if drawn is not None:
        metadata["seed"] = seed
    return ResultTable(_named(table.frame, chain.weights.remark), metadata)


def _check_options(score: object, variance: str, seed: int | None, interval: str, adjust: str | None) -> None:
    if variance not in get_args(Variance):
        raise UsageError("unknown variance", where=WHERE, got=str(variance), remedy="use known, stacked or bootstrap")
    if interval not in get_args(Interval):
        raise UsageError("unknown interval", where=WHERE, got=str(interval), remedy="use percentile or normal")
    bare = not isinstance(score, str | PropensityFit)
    if bare and variance == "bootstrap":
        raise UsageError(
            "the bootstrap estimates the score in every replicate, which given weights do not allow, and it is not"
            " valid for matching",
            where=f"{WHERE}, variance",
            got="weights and variance='bootstrap'",
            remedy="pass the formula of the score; for matched pairs use errors clustered by pair",
        )
    if bare and variance == "stacked":
        raise UsageError(
            "given weights carry no score to account for",
            where=f"{WHERE}, variance",
            got="weights and variance='stacked'",
            remedy="use variance='known', or pass the formula of the score",
        )
    if variance == "bootstrap" and not isinstance(score, str):
        raise UsageError(
            "the bootstrap needs the formula of the score", where=f"{WHERE}, score", remedy="pass the formula"
        )
    if variance == "bootstrap" and seed is None:
        raise UsageError("the bootstrap needs a seed", where=f"{WHERE}, seed", got="None", remedy="use seed=2025")
    if adjust is not None and not isinstance(score, str):
        raise UsageError(
            "augmented estimates fit the score themselves",
            where=f"{WHERE}, score",
            got=type(score).__name__,
            remedy="pass the formula of the score, or leave adjust out",
        )


def _weights(
    data: pd.DataFrame,
    score: object,
    treatment_col: str,
    treated: object,
    estimand: Estimand,
    trim: float | None,
    variance: str,
) -> ScoreWeights:
    if not isinstance(score, str | PropensityFit):
        return ScoreWeights(np.asarray(score, dtype=np.float64), "")
    fit = fit_propensity(data, score, treatment_col=treatment_col, treated=treated) if isinstance(score, str) else score
    if len(fit.score) != len(data) or not np.array_equal(fit.treated, as_text(data[treatment_col]) == str(treated)):
        raise UsageError(
            "the fit of the score is of other rows",
            where=f"{WHERE}, score",
            got=f"{len(fit.score)} rows, data has {len(data)}",
            remedy="fit it to the rows of data, in their order",
        )
    balance = fit.balance(measures=("smd",)).frame
    before = balance[balance["statistic"] == "smd_unadjusted"].dropna(subset=["estimate"])
    remark = ""
    if len(before):
        worst = before.loc[before["estimate"].abs().idxmax()]
        remark = f"most imbalanced covariate {worst['term']} (standardised difference {worst['estimate']:.2f})"
    if variance != "known":  # under the bootstrap, for the rows that have none
        return ScoreWeights(fit.estimated_weights(estimand, trim=trim), remark)
    return ScoreWeights(fit.weights(estimand, trim=trim), remark)


def _bootstrapped(
    table: ResultTable, found: dict[Key, FloatArray], interval: Interval, conf_level: float
) -> ResultTable:
    if not found or table.frame["population"].iloc[0] != "weighted":
        return table
    by_row = {_text(key): values for key, values in found.items()}
    rows: list[dict[str, object]] = []
    for place in range(len(table.frame)):
        row = {str(name): value for name, value in table.frame.iloc[place].items()}
        where = row["group"] if isinstance(row["group"], str) else row["contrast"]
        values = by_row.get(_text((str(row["statistic"]), str(where), float(str(row["time"])))))
        if values is not None:
            estimator = str(row["method"]).split(";")[0]
            method = f"{estimator}; {_BOOTSTRAP_WORDS}, {len(values)} replicates, {interval} interval"
            row |= summarised(row, values, interval=interval, conf_level=conf_level) | {"method": method}
        rows.append(row)
    return result_table(rows)


def _text(key: Key) -> tuple[str, str, str]:
    """Return a key that equals itself where the time is NaN."""
    return key[0], key[1], repr(float(key[2]))


def _named(frame: pd.DataFrame, remark: str) -> pd.DataFrame:
    """Name the covariate behind weights that explode."""
    if not remark:
        return frame
    unstable = frame["note"].str.contains("unstable:", regex=False, na=False).to_numpy(dtype=bool)
    return frame.assign(note=frame["note"].mask(unstable, frame["note"] + "; " + remark))
