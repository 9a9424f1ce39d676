"""Folds for cross-fitting, assigned by who the patients are and not by where their rows stand."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from analyses.columns import TextArray
from cohort.errors import AnalysisError, UsageError

IntArray = npt.NDArray[np.intp]


def patient_folds(
    patients: Sequence[str] | TextArray,
    folds: int,
    *,
    seed: int,
    strata: npt.ArrayLike | None = None,
    where: str = "patient_folds",
) -> IntArray:
    """Assign each patient to a fold by a seeded hash of the patient's identifier.

    Patients are ranked by the hash, within each stratum, and dealt out in turn, so that folds are of even size and
    each has its share of every stratum. Rows in another order get the same folds, as does a second row of a patient.

    Parameters
    ----------
    patients
        Shape (n,), identifiers as text.
    folds
        Number of folds, at least 2.
    seed
        Another seed deals anew.
    strata
        Shape (n,), for instance the arm; one value per patient.
    where
        Name of the caller, for the message.

    Returns
    -------
    numpy.ndarray
        Shape (n,), fold numbers from 0.

    Raises
    ------
    UsageError
        Fewer than two folds.
    AnalysisError
        A stratum with fewer patients than folds.

    Examples
    --------
    >>> folds = patient_folds(["p1", "p2", "p3", "p4"], 2, seed=1)
    >>> sorted(folds.tolist()), patient_folds(["p4", "p3", "p2", "p1"], 2, seed=1).tolist() == folds[::-1].tolist()
    ([0, 0, 1, 1], True)
    """
    if folds < 2:
        raise UsageError("at least two folds are needed", where=where, got=str(folds), remedy="use for instance 5")
    names, position = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    stratum = np.zeros(len(names), dtype=np.intp)
    if strata is not None:
        stratum[position] = np.unique(np.asarray(strata), return_inverse=True)[1]
    key = seed.to_bytes(16, "little", signed=True)
    hashes = np.array(
        [int.from_bytes(blake2b(name.encode(), key=key, digest_size=8).digest(), "little") for name in names.tolist()],
        dtype=np.uint64,
    )
    fold = np.empty(len(names), dtype=np.intp)
    for one in range(int(stratum.max(initial=0)) + 1):
        own = np.flatnonzero(stratum == one)
        if len(own) < folds:
            raise AnalysisError(
                "too few patients for the folds",
                where=where,
                got=f"{len(own)} patients in an arm or stratum, {folds} folds",
                remedy="use fewer folds",
            )
        fold[own[np.argsort(hashes[own], kind="stable")]] = np.arange(len(own)) % folds
    return fold[position]
