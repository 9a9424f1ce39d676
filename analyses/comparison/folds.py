"""Folds for cross-fitting that follow the patient, not the order of the rows."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from analyses.columns import BoolArray, TextArray
from cohort.errors import AnalysisError, UsageError

IntArray = npt.NDArray[np.intp]


def patient_folds(patients: TextArray, treated: BoolArray, *, folds: int, where: str) -> IntArray:
    """Deal patients into folds by a hash of their identifier, each arm evenly.

    Parameters
    ----------
    patients
        Shape (n,), identifiers as text, each once.
    treated
        Shape (n,).
    folds
        How many.
    where
        Name of the estimator, for messages.

    Returns
    -------
    numpy.ndarray
        Shape (n,), folds from 0: the same for a patient whatever the order of the rows.

    Raises
    ------
    UsageError
        Fewer than two folds.
    AnalysisError
        Fewer patients in an arm than folds, or a patient with two rows.

    Examples
    --------
    >>> import numpy as np
    >>> ids = np.array([f"p{i}" for i in range(6)])
    >>> treated = np.array([True, False] * 3)
    >>> folds = patient_folds(ids, treated, folds=3, where="demo")
    >>> sorted(folds[treated].tolist()), sorted(folds[~treated].tolist())
    ([0, 1, 2], [0, 1, 2])
    """
    if folds < 2:
        raise UsageError(
            "cross-fitting needs at least two folds", where=f"{where}, folds", got=str(folds), remedy="use 5"
        )
    refuse_repeated_patients(patients, where=where)
    digests = np.array([hashlib.sha256(name.encode()).hexdigest() for name in patients.tolist()], dtype=np.str_)
    dealt = np.empty(len(patients), dtype=np.intp)
    for arm in (treated, ~treated):
        members = np.flatnonzero(arm)
        if len(members) < folds:
            raise AnalysisError(
                "an arm has fewer patients than there are folds",
                where=f"{where}, folds",
                got=f"{len(members)} patients, {folds} folds",
                remedy="use fewer folds, or none",
            )
        dealt[members[np.argsort(digests[members], kind="stable")]] = np.arange(len(members)) % folds
    return dealt


def refuse_repeated_patients(patients: TextArray, *, where: str) -> None:
    """Refuse two rows of one patient.

    Raises
    ------
    AnalysisError
        With the number of repeated rows.
    """
    repeated = len(patients) - len(np.unique(patients))
    if repeated:
        raise AnalysisError(
            "a patient has more than one row",
            where=where,
            got=f"{repeated} repeated rows",
            remedy="keep one row per patient, or per patient and visit with time_col",
        )
