"""What matching and subclassification give: subclasses, weights, who is left out and the balance reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray, as_text, require_complete, treated_rows
from analyses.propensity.balance import balance_rows
from analyses.propensity.weights import effective_size
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

IntArray = npt.NDArray[np.int64]

LINK_COLUMNS = ("subclass", "treated_id", "reference_id", "distance")
NOT_CHOSEN = "nobody was matched to them"


@dataclass(frozen=True, slots=True, eq=False)
class Comparable:
    """Patients of two arms and the values on which they are compared.

    Attributes
    ----------
    ids
        Shape ``(n,)``: the patient of each row, as text or number, no two the same.
    rank
        Shape ``(n,)``: place of each patient in the order of ``ids``, which breaks every tie.
    treated
        Shape ``(n,)``.
    arms
        Names of the treated and the reference arm.
    values
        Shape ``(n,)``: finite, only their differences count.
    """

    ids: npt.NDArray[np.generic]
    rank: IntArray
    treated: BoolArray
    arms: tuple[str, str]
    values: FloatArray


def comparable_patients(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: object,
    distance: str | npt.ArrayLike,
    subject_col: str,
    where: str,
) -> Comparable:
    """Check and lay out what patients are matched on.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, not two arms, a patient with two rows, or a distance that is not one
        finite number per row.
    """
    named = [distance] if isinstance(distance, str) else []
    require_complete(data, [treatment_col, subject_col, *named], where=where)
    is_treated = treated_rows(data, treatment_col, treated, where=where)
    given = data[distance] if isinstance(distance, str) else distance
    label = " ".join([f"{where}, distance", *named])
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AnalysisError(
            "the distance must be numeric", where=label, got=str(error), remedy="pass numbers, for instance a score"
        ) from error
    if values.shape != (len(data),) or not np.isfinite(values).all():
        raise AnalysisError(
            "one finite value per row is needed",
            where=label,
            got=f"shape {values.shape} with {int(np.sum(~np.isfinite(values)))} not finite for {len(data)} rows",
            remedy="pass the values in the row order of the data",
        )
    arms = (str(treated), str(as_text(data[treatment_col])[~is_treated][0]))
    return comparable_arms(data, is_treated, arms, values, subject_col=subject_col, where=where)


def comparable_arms(
    data: pd.DataFrame,
    treated: BoolArray,
    arms: tuple[str, str],
    values: FloatArray,
    *,
    subject_col: str,
    where: str,
) -> Comparable:
    """Lay out patients whose arms and values are known already.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing identifiers, or a patient with two rows.
    """
    require_complete(data, [subject_col], where=where)
    ids = subject_ids(data[subject_col])
    repeated = len(ids) - len(np.unique(ids))
    if repeated:
        raise AnalysisError(
            "a patient has more than one row",
            where=f"{where}, column {subject_col}",
            got=f"{repeated} repeated rows",
            remedy="match on one baseline row per patient",
        )
    rank = np.empty(len(ids), dtype=np.int64)
    rank[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    return Comparable(ids, rank, treated, arms, values)


def subject_ids(column: pd.Series) -> npt.NDArray[np.generic]:
    """Return identifiers as numbers if they are, as text otherwise, so that they sort the same way in any frame."""
    if pd.api.types.is_integer_dtype(column):
        return column.to_numpy(dtype=np.int64)
    return as_text(column)


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Patients in subclasses; a patient used again and again is in several. ``m`` memberships.

    Attributes
    ----------
    patient, subclass, weight
        Shape ``(m,)``: row of the patient, number of the subclass from 1, weight there.
    """

    patient: IntArray
    subclass: IntArray
    weight: FloatArray

    def total(self, n: int) -> FloatArray:
        """Sum the weights of each of ``n`` patients, shape ``(n,)``."""
        return np.asarray(np.bincount(self.patient, weights=self.weight, minlength=n), dtype=np.float64)


def in_subclasses(subclass: IntArray, treated: BoolArray, estimand: str) -> Membership:
    """Weight patients so that the arms of every subclass count the same.

    Parameters
    ----------
    subclass
        Shape ``(n,)``: from 1, or 0 for none. Every subclass holds both arms.
    treated
        Shape ``(n,)``.
    estimand
        ``ATT``: the treated weigh 1, the others of a subclass the ratio treated to others; ``ATC`` the reverse;
        ``ATE``: everybody the size of the subclass over that of the own arm in it. Weights that vary are scaled to
        sum to the number of patients of the arm.

    Examples
    --------
    >>> found = in_subclasses(np.array([1, 1, 1, 2, 2]), np.array([True, True, False, True, False]), "ATT")
    >>> found.weight.round(4).tolist()
    [1.0, 1.0, 1.3333, 1.0, 0.6667]
    """
    patient = np.flatnonzero(subclass > 0)
    own, arm = subclass[patient], treated[patient]
    sizes = {side: np.bincount(own[arm == side], minlength=int(own.max()) + 1) for side in (True, False)}
    one, zero = (sizes[side][own].astype(np.float64) for side in (True, False))
    wanted = {"ATT": one, "ATC": zero, "ATE": one + zero}[estimand]
    weight = wanted / np.where(arm, one, zero)
    for side in (True, False):
        weight[arm == side] *= np.sum(arm == side) / weight[arm == side].sum()
    return Membership(patient, own, weight)


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """A matched or subclassified sample. Made by :func:`match_patients`, :func:`subclassify` or a propensity fit.

    Attributes
    ----------
    weights
        Shape ``(n,)``, in the row order of the data; 0 for patients left out. Under ``ATT`` the treated weigh 1 and the
        weights of the reference arm sum to the number of its patients matched (as R's MatchIt has it); see
        :func:`analyses.propensity.matched_sample.in_subclasses`.
    subclass
        Shape ``(n,)``: number of the pair or subclass from 1 on, in the order of its first patient; 0 for patients
        left out, and for everybody after matching with replacement, where patients are in several (see ``members``).
    pairs
        One row per link: ``subclass, treated_id, reference_id, distance``. Empty after subclassification.
    treated, arms, estimand
        Who was treated, names of the treated and the reference arm, and whom the contrast is about.
    method
        In words.
    members
        Patients in subclasses, once for each.
    """

    weights: FloatArray
    subclass: IntArray
    pairs: pd.DataFrame
    treated: BoolArray
    arms: tuple[str, str]
    estimand: str
    method: str
    members: Membership
    subject_col: str
    covariates: tuple[str, ...]
    _ids: npt.NDArray[np.generic] = field(repr=False)
    _left_out: tuple[str, str] = field(repr=False)
    _data: pd.DataFrame = field(repr=False)

    def matched_data(
        self,
        data: pd.DataFrame | None = None,
        *,
        weights_col: str = "weights",
        subclass_col: str = "subclass",
    ) -> pd.DataFrame:
        """Return the rows of matched patients with their weight and subclass.

        Parameters
        ----------
        data
            The data matched, if left out; or any rows of the same patients, for instance one per visit.
        weights_col, subclass_col
            Names of the columns added.

        Returns
        -------
        DataFrame
            In the order and on the index of ``data``. After matching without replacement, ``fit_cox(...,
            weights_col="weights", cluster_col="subclass")`` has pair-clustered standard errors. After matching with
            replacement subclasses are missing: cluster by patient.

        Raises
        ------
        AnalysisError
            Unknown column, or missing identifiers.
        UsageError
            A column of that name is there already, or a row belongs to nobody who could have been matched.
        """
        frame = self._data if data is None else data
        taken = [name for name in (weights_col, subclass_col) if name in frame.columns]
        if taken:
            raise UsageError(
                "the column is there already",
                where="matched_data",
                got=", ".join(taken),
                remedy="choose another name with weights_col or subclass_col",
            )
        patient = self.rows_of(frame, where="matched_data")
        kept = self.weights[patient] > 0
        number = pd.Series(self.subclass[patient[kept]], dtype="Int64").replace(0, pd.NA)
        matched = frame[kept].copy()
        matched[weights_col] = self.weights[patient[kept]]
        matched[subclass_col] = number.array
        return matched

    def rows_of(self, data: pd.DataFrame, *, where: str) -> IntArray:
        """Return for each row of ``data`` the row of its patient in the data matched.

        Raises
        ------
        AnalysisError
            Unknown column, no rows, or missing identifiers.
        UsageError
            A row belongs to nobody who could have been matched.
        """
        if data is self._data:
            return np.arange(len(data), dtype=np.int64)
        require_complete(data, [self.subject_col], where=where)
        wanted = subject_ids(data[self.subject_col])
        found = pd.Index(self._ids).get_indexer(pd.Index(wanted))
        strangers = int(np.sum(found < 0))
        if strangers:
            raise UsageError(
                "a row belongs to no patient of the data matched",
                where=f"{where}, column {self.subject_col}",
                got=f"{strangers} such rows",
                remedy="drop the rows of patients who were not in that data",
            )
        return np.asarray(found, dtype=np.int64)

    def balance(self, variables: Sequence[str] | None = None) -> ResultTable:
        """Measure covariate balance before and after.

        Parameters
        ----------
        variables
            Columns of the data matched; by default those of the propensity model.

        Returns
        -------
        ResultTable
            See :func:`analyses.propensity.covariate_balance`; ``smd_adjusted`` is with the weights of the matching and
            over the standard deviation that belongs to the estimand.

        Raises
        ------
        AnalysisError
            Unknown column or missing values.
        UsageError
            No variables, where there is no model to take them from.
        """
        chosen = self.covariates if variables is None else tuple(variables)
        if not chosen:
            raise UsageError(
                "no covariates named", where="balance", got="variables=None", remedy="pass variables=[...]"
            )
        rows = balance_rows(
            self._data,
            chosen,
            self.treated,
            {"": (self.weights, f"{self.estimand} weights of the {self.method}")},
            estimand=self.estimand,
            measures=("smd", "variance_ratio"),
            arms=self.arms,
        )
        return result_table(rows, analysis="propensity", contrast=self._contrast, n=len(self._data))

    def tidy(self) -> ResultTable:
        """Return who was matched, who was not and why, and how near.

        Returns
        -------
        ResultTable
            Per arm, treated first, rows ``matched``, ``unmatched`` (``estimate`` patients, ``n`` of the arm; the note
            says why some are left out) and ``effective_sample_size``; then ``subclasses`` and, after matching,
            ``mean_distance``, ``largest_distance`` and ``total_distance`` of the links, in the units of the values
            matched on.
        """
        rows: list[dict[str, object]] = []
        for name, own, why in zip(self.arms, (self.treated, ~self.treated), self._left_out, strict=True):
            weighted = self.weights[own] > 0
            counts = {"matched": weighted.sum(), "unmatched": (~weighted).sum()}
            rows.extend(
                {"group": name, "statistic": what, "estimate": float(count), "n": int(own.sum())}
                for what, count in counts.items()
            )
            rows[-1]["note"] = why or None
            rows.append(
                {
                    "group": name,
                    "statistic": "effective_sample_size",
                    "estimate": effective_size(self.weights[own]),
                    "n": int(weighted.sum()),
                }
            )
        distance = self.pairs["distance"].to_numpy()
        shared = {"contrast": self._contrast, "n": int(np.sum(self.weights > 0))}
        rows.append(shared | {"statistic": "subclasses", "estimate": float(len(np.unique(self.members.subclass)))})
        if len(distance):
            of = {"mean": distance.mean(), "largest": distance.max(), "total": distance.sum()}
            rows.extend(shared | {"statistic": f"{what}_distance", "estimate": float(of[what])} for what in of)
        return result_table(rows, analysis="propensity", term=self.estimand, method=self.method)

    @property
    def _contrast(self) -> str:
        return f"{self.arms[0]} v {self.arms[1]}"
