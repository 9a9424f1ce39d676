"""Whether candidate arms look as print says: class V more frequent on tacrolimus, everything else compared similar."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray, IntArray
from synthetic.baseline import Baseline
from synthetic.model import AssignmentModel, PatientModel

FloatArray = npt.NDArray[np.float64]

_COARSE = 1e-3
"""Room left to numbers of 32 bits."""
_FIRST_FEW = 12
_ROUNDING = 1e-9
"""Room left to rounding where candidates are ruled out by a bound, before the test itself."""


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """``n`` patients of each of ``r`` replicates, made ready to compare many candidate arms with the same sizes.

    ``class_v``, shape ``(r, n)``, marks pure class V; ``enough``, shape ``(r, n1 + 1)``, says how many of them among
    the ``n1`` treated are significantly many. ``values``, shape ``(r, m, n)``, are the covariates that must be
    similar, with mean zero and variance one in each replicate, ``screened`` the same in 32 bits;
    ``binary``, shape ``(r, m)``, says which have two
    values only. Replicates that are not ``varying``, shape ``(r,)``, have a covariate that is the same for everybody.
    """

    class_v: BoolArray
    enough: BoolArray
    values: FloatArray
    screened: npt.NDArray[np.float32]
    binary: BoolArray
    varying: BoolArray
    constant: tuple[str, ...]
    treated: int
    rule: AssignmentModel

    @classmethod
    def of(cls, baseline: Baseline, replicates: int, treated: int, model: PatientModel) -> ArmComparison:
        """Prepare the comparison of ``treated`` patients with the others in each of the replicates of ``baseline``.

        ``constant`` names the covariates that are the same for everybody in every replicate.
        """
        compared = {"pure class V": baseline.class_v.astype(np.float64), **_compared(baseline, model)}
        columns = np.stack(list(compared.values())).reshape(len(compared), replicates, -1)
        lowest, highest = columns.min(axis=2, keepdims=True), columns.max(axis=2, keepdims=True)
        varies = (lowest < highest)[:, :, 0]
        varying = varies.all(axis=0)
        # Replicates in which something does not vary are never asked about; their values are of no meaning.
        values = _standardised(columns, varying)
        class_v = baseline.class_v.reshape(replicates, -1)
        return cls(
            class_v=class_v,
            enough=_significantly_many(values[0], class_v, treated, model.assignment.balance_alpha),
            values=values[1:].transpose(1, 0, 2),
            screened=values[1:].transpose(1, 0, 2).astype(np.float32),
            binary=_two_valued(columns, lowest, highest)[1:].T,
            varying=varying,
            constant=tuple(name for name, some in zip(compared, varies.any(axis=1), strict=True) if not some),
            treated=treated,
            rule=model.assignment,
        )

    def near(self, replicate: int, tacrolimus: BoolArray) -> IntArray:
        """Return the candidates, shape ``(k, n)``, of which no sum of a covariate over the treated is too large.

        This rejects most of those that will be, at least cost, in numbers of 32 bits.
        """
        total = self.screened[replicate] @ tacrolimus.astype(np.float32).T
        return np.flatnonzero((np.abs(total) <= self._largest_total * (1 + _COARSE)).all(axis=0))

    def met(self, replicate: IntArray, tacrolimus: BoolArray) -> BoolArray:
        """Return which candidates look as the paper says, shape ``(p,)``.

        Pure class V is significantly more frequent on tacrolimus (Pearson chi-square, no continuity correction); no
        other covariate differs significantly (Welch t for numbers, Pearson for yes/no covariates) or by more than the
        cap on the standardised mean difference. A candidate with more than the ``treated`` does not.

        Parameters
        ----------
        replicate
            Which replicate each candidate is of, one that is varying, shape ``(p,)``.
        tacrolimus
            Candidates, shape ``(p, n)``.
        """
        number = np.count_nonzero(tacrolimus & self.class_v[replicate], axis=1)
        as_many = np.count_nonzero(tacrolimus, axis=1) == self.treated
        met = as_many & self.enough[replicate, np.minimum(number, self.treated)]
        replicate, on = replicate[met], tacrolimus[met].astype(np.float64)[:, :, None]
        values = self.values[replicate]
        total, squares = ((some @ on)[:, :, 0].T for some in (values, values**2))
        met[met] = self._similar(total, squares, self.binary[replicate].T)
        return np.asarray(met)

    @property
    def _largest_total(self) -> float:
        """No sum over the treated is larger at a difference within the cap, however the variance is shared."""
        size = self.values.shape[2]
        n1, n0 = self.treated, size - self.treated
        largest_variance = size / (2 * (min(n1, n0) - 1))
        return float(self.rule.smd_cap * sqrt(largest_variance) / (1 / n1 + 1 / n0) * (1 + _ROUNDING))

    def _similar(self, total: FloatArray, squares: FloatArray, binary: BoolArray) -> BoolArray:
        """Return whether no covariate differs, given sums and sums of squares over the treated, shape ``(m, p)``."""
        from scipy.special import chdtrc, ndtri, stdtr

        size = self.values.shape[2]
        n1, n0 = self.treated, size - self.treated
        # The values sum to zero and their squares to the number of patients, so the other arm follows from the treated.
        m1, m0 = total / n1, -total / n0
        v1 = (squares - n1 * m1**2) / (n1 - 1)
        v0 = (size - squares - n0 * m0**2) / (n0 - 1)
        difference = m1 - m0
        similar = (np.abs(difference) <= self.rule.smd_cap * np.sqrt((v1 + v0) / 2)).all(axis=0)
        difference, v1, v0 = difference[:, similar], v1[:, similar], v0[:, similar]
        error = v1 / n1 + v0 / n0
        t = np.abs(difference) / np.sqrt(error)
        p_value = np.ones(t.shape)
        # Student's tails are never lighter than normal ones, so the slow function is left for the few beyond these.
        far = t > -ndtri(self.rule.balance_alpha / 2) * (1 - _ROUNDING)
        degrees = error[far] ** 2 / ((v1[far] / n1) ** 2 / (n1 - 1) + (v0[far] / n0) ** 2 / (n0 - 1))
        p_value[far] = 2 * stdtr(degrees, -t[far])
        # The values have variance one over both arms together, so this is the chi-square of the two-by-two table.
        binary = binary[:, similar]
        p_value[binary] = chdtrc(1, difference[binary] ** 2 / (1 / n1 + 1 / n0))
        similar[similar] = (p_value >= self.rule.balance_alpha).all(axis=0)
        return np.asarray(similar)


def fixed_covariates(model: PatientModel) -> frozenset[str]:
    """Return the balance covariates that the model gives to everybody or nobody: arms cannot differ in them."""
    shares = ("female", "korean", "rheumatology_clinic", "hypertension", "diabetes")
    return frozenset(name for name in shares if getattr(model.baseline, name) in (0.0, 1.0))


def _compared(baseline: Baseline, model: PatientModel) -> dict[str, FloatArray]:
    """Return the balance covariates in which arms can differ, by name."""
    fixed = fixed_covariates(model)
    return {name: column for name, column in baseline.balance_covariates().items() if name not in fixed}


def _significantly_many(values: FloatArray, having: BoolArray, treated: int, alpha: float) -> BoolArray:
    """Return whether each number of the treated ``having`` something is significantly many, ``(r, treated + 1)``.

    ``values`` are those of ``having``, shape ``(r, n)``, with mean zero and variance one.
    """
    from scipy.special import chdtri

    n1, n0 = treated, having.shape[1] - treated
    lowest, highest = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    number = np.arange(n1 + 1)
    excess = (lowest * (n1 - number) + highest * number) * (1 / n1 + 1 / n0)
    return np.asarray((excess > 0) & (excess**2 / (1 / n1 + 1 / n0) > chdtri(1, alpha)))


def _standardised(values: FloatArray, varying: BoolArray) -> FloatArray:
    """Return values, shape ``(m, r, n)``, with mean zero and variance one in each replicate that is ``varying``."""
    centred = values - values.mean(axis=2, keepdims=True)
    spread = np.sqrt(np.einsum("mrn,mrn->mr", centred, centred) / values.shape[2])
    spread[:, ~varying] = 1.0
    centred /= spread[:, :, None]
    return np.asarray(centred)


def _two_valued(columns: FloatArray, lowest: FloatArray, highest: FloatArray) -> BoolArray:
    """Return which columns, shape ``(m, r, n)``, hold two values only in each replicate, shape ``(m, r)``."""

    def extreme(some: IntArray, patients: slice) -> BoolArray:
        values = columns[some, :, patients]
        return np.asarray(((values == lowest[some]) | (values == highest[some])).all(axis=2))

    everything = np.arange(len(columns))
    # Few patients tell most columns apart.
    found = extreme(everything, slice(_FIRST_FEW))
    possible = np.flatnonzero(found.any(axis=1))
    found[possible] = extreme(possible, slice(None))
    return found
