"""Scores by scikit-learn's learners, each patient's from models that never saw the patient."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Literal

import numpy as np

from analyses.columns import BoolArray, FloatArray
from analyses.folds import IntArray

Learner = Literal["penalised", "boosting"]

PENALTIES: tuple[float, ...] = tuple(float(value) for value in np.logspace(-4, 4, 9))
"""Inverse strengths of the ridge penalty (scikit-learn's ``C``, on columns of variance one) that are tried."""

BOOSTING_ROUNDS, BOOSTING_RATE, BOOSTING_LEAVES, BOOSTING_SMALLEST_LEAF = 100, 0.05, 8, 10


def cross_fitted_score(
    design: FloatArray, treated: BoolArray, fold: IntArray, order: IntArray, *, learner: Learner, seed: int
) -> FloatArray:
    """Return each patient's score from the models fitted to the other folds.

    Parameters
    ----------
    design
        Shape (n, p), without an intercept.
    treated, fold
        Shape (n,).
    order
        Shape (n,), rows in an order that does not depend on how the data are sorted: sums run in it, so that scores
        are the same to the last digit.
    learner
        ``penalised``: ridge logistic regression, the penalty chosen by the likelihood of left-out folds among
        :data:`PENALTIES` within each training part. ``boosting``: histogram gradient boosting of the log odds.
    seed
        Of the learner, for what it draws.
    """
    matrix, outcome, part = design[order], treated[order].astype(np.int64), fold[order]
    fitted = _penalised(matrix, outcome, part) if learner == "penalised" else _boosting(matrix, outcome, part, seed)
    score = np.empty(len(design))
    score[order] = fitted
    return score


def _penalised(matrix: FloatArray, outcome: IntArray, fold: IntArray) -> FloatArray:
    count = int(fold.max()) + 1
    losses = np.zeros((count, len(PENALTIES)))
    if count > 2:  # with two folds the training part has one fold, and nothing within it to leave out
        for pair in combinations(range(count), 2):
            train = ~np.isin(fold, pair)
            for place, penalty in enumerate(PENALTIES):
                predict = _ridge(matrix[train], outcome[train], penalty)
                # One model without two folds judges the penalty for either of them, on the other.
                for outer, inner in (pair, pair[::-1]):
                    losses[outer, place] += _loss(outcome[fold == inner], predict(matrix[fold == inner]))
        best = losses.argmin(axis=1)
    else:
        best = np.full(count, PENALTIES.index(1.0))
    score = np.empty(len(matrix))
    for one in range(count):
        own = fold == one
        score[own] = _ridge(matrix[~own], outcome[~own], PENALTIES[int(best[one])])(matrix[own])
    return score


def _ridge(matrix: FloatArray, outcome: IntArray, penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    centre, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(centre), 1.0), scale, 1.0)
    model = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-8, max_iter=1000)
    model.fit((matrix - centre) / scale, outcome)
    return lambda rows: np.asarray(model.predict_proba((rows - centre) / scale)[:, 1], dtype=np.float64)


def _loss(outcome: IntArray, score: FloatArray) -> float:
    inside = np.clip(score, 1e-15, 1 - 1e-15)
    return -float(np.sum(np.where(outcome == 1, np.log(inside), np.log1p(-inside))))


def _boosting(matrix: FloatArray, outcome: IntArray, fold: IntArray, seed: int) -> FloatArray:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # what scikit-learn itself governs its threads with

    score = np.empty(len(matrix))
    for one in range(int(fold.max()) + 1):
        own = fold == one
        model = HistGradientBoostingClassifier(
            learning_rate=BOOSTING_RATE,
            max_iter=BOOSTING_ROUNDS,
            max_leaf_nodes=BOOSTING_LEAVES,
            min_samples_leaf=BOOSTING_SMALLEST_LEAF,
            early_stopping=False,
            random_state=seed,
        )
        # One thread: sums in one order, and no waiting for busy cores, which costs minutes where the fit takes 0.1 s.
        with threadpool_limits(1):
            model.fit(matrix[~own], outcome[~own])
            score[own] = model.predict_proba(matrix[own])[:, 1]
    return score
