"""Treatment assignment with confounding by indication, conditioned on what the paper says of the arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from cohort.seeds import SeedTree
from synthetic.baseline import Baseline, Covariates, draw_baseline
from synthetic.design import Design
from synthetic.groups import join_patients, select_patients
from synthetic.model import AssignmentModel, PatientModel

FloatArray = npt.NDArray[np.float64]

_BATCH = 128
_MOST_BATCHES = 400


@dataclass(frozen=True, slots=True)
class AssignedBaseline:
    """Baseline patients with their arm.

    ``arm`` (position) and ``tacrolimus`` have shape ``(n,)``; ``logit`` is the log odds of tacrolimus up to a
    constant, without the calendar term; ``draws``, shape ``(r,)``, counts the candidate assignments of each replicate
    until one met the conditions.
    """

    baseline: Baseline
    arm: IntArray
    tacrolimus: BoolArray
    logit: FloatArray
    draws: IntArray

    def replicates(self, rows: IntArray, per_replicate: int) -> AssignedBaseline:
        """Return the replicates ``rows`` of ``per_replicate`` patients each."""
        patients = (rows[:, None] * per_replicate + np.arange(per_replicate)).ravel()
        return AssignedBaseline(
            select_patients(self.baseline, patients),
            self.arm[patients],
            self.tacrolimus[patients],
            self.logit[patients],
            self.draws[rows],
        )


def tacrolimus_logit(baseline: Covariates, model: PatientModel, *, randomised: bool) -> FloatArray:
    """Return the log odds of tacrolimus up to a constant, shape ``(n,)``: the confounding by indication and by centre.

    Zero for everybody if arms are ``randomised``. The calendar term acts through index dates and is not part of it.
    """
    rule = model.assignment
    if randomised:
        return np.zeros(baseline.size)
    indication = (
        rule.class_v * baseline.class_v
        + rule.log_upcr * np.log(baseline.upcr / 300.0) / rule.log_upcr_sd
        + rule.refractory * baseline.refractory
        + rule.latent_severity * baseline.latent_severity
    )
    return np.asarray(rule.strength * (indication + baseline.centre.practice))


def arm_probabilities(logit: FloatArray, intercepts: FloatArray, tacrolimus: BoolArray) -> FloatArray:
    """Return each patient's probability of each arm, shape ``(n, arms)``.

    Parameters
    ----------
    logit
        Log odds of tacrolimus up to a constant, shape ``(n,)``.
    intercepts, tacrolimus
        Constant of each arm and whether it takes tacrolimus, shape ``(arms,)``.
    """
    odds = np.exp(intercepts + np.where(tacrolimus, logit[:, None], 0.0))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fixed_covariates(model: PatientModel) -> frozenset[str]:
    """Return the balance covariates that the model gives to everybody or nobody: arms cannot differ in them."""
    shares = ("female", "korean", "rheumatology_clinic", "hypertension", "diabetes")
    return frozenset(name for name in shares if getattr(model.baseline, name) in (0.0, 1.0))


def look_as_printed(baseline: Baseline, tacrolimus: BoolArray, model: PatientModel) -> BoolArray:
    """Return which candidate assignments look as the paper says, shape ``(r, k)``.

    Pure class V is significantly more frequent on tacrolimus (Pearson chi-square, no continuity correction); no other
    covariate differs significantly (Welch t for numbers, Pearson for yes/no covariates) or by more than the cap.

    Parameters
    ----------
    baseline
        ``n`` patients of each of ``r`` replicates; every balance covariate varies in each, but those that the model
        gives to everybody or nobody.
    tacrolimus
        Candidate assignments, shape ``(r, n, k)``, all with the same number of treated patients.
    model
        Patient model; the significance level and the cap on the standardised mean difference are used.
    """
    from scipy.special import chdtrc

    rule = model.assignment
    replicates, per_replicate, _ = tacrolimus.shape
    n1 = int(tacrolimus[0, :, 0].sum())
    n0 = per_replicate - n1
    class_v = _standardised(baseline.class_v.reshape(replicates, 1, per_replicate).astype(np.float64))
    excess = (class_v @ tacrolimus.astype(np.float64))[:, 0] * (1 / n1 + 1 / n0)
    met = np.asarray((excess > 0) & (chdtrc(1, excess**2 / (1 / n1 + 1 / n0)) < rule.balance_alpha))
    # Few candidates are left, so the other covariates are compared for these only.
    row, candidate = np.nonzero(met)
    columns = np.stack(list(_compared(baseline, model).values()))
    values = _standardised(columns.reshape(len(columns), replicates, per_replicate).transpose(1, 0, 2))
    similar = _similar(values, row, tacrolimus[row, :, candidate], rule)
    met[row, candidate] = similar
    return met


def _compared(baseline: Baseline, model: PatientModel) -> dict[str, FloatArray]:
    """Return the balance covariates in which arms can differ, by name."""
    fixed = fixed_covariates(model)
    return {name: column for name, column in baseline.balance_covariates().items() if name not in fixed}


def _similar(values: FloatArray, row: IntArray, treated: BoolArray, rule: AssignmentModel) -> BoolArray:
    """Return whether no covariate differs, for assignments ``treated``, shape ``(p, n)``, of replicates ``row``.

    ``values``, shape ``(r, m, n)``, have mean zero and variance one in each replicate.
    """
    from scipy.special import chdtrc, stdtr

    size = values.shape[2]
    n1 = int(treated[0].sum()) if len(treated) else 1
    n0 = size - n1
    binary = ((values == values.min(axis=2, keepdims=True)) | (values == values.max(axis=2, keepdims=True))).all(axis=2)
    # The values sum to zero and their squares to the number of patients, so the other arm follows from the treated.
    total, squares = np.empty((len(row), values.shape[1])), np.empty((len(row), values.shape[1]))
    for replicate in np.unique(row):
        mine = row == replicate
        on = treated[mine].T.astype(np.float64)
        total[mine], squares[mine] = (values[replicate] @ on).T, (values[replicate] ** 2 @ on).T
    m1, m0 = total / n1, -total / n0
    v1 = (squares - n1 * m1**2) / (n1 - 1)
    v0 = (size - squares - n0 * m0**2) / (n0 - 1)
    difference = m1 - m0
    similar = (np.abs(difference) <= rule.smd_cap * np.sqrt((v1 + v0) / 2)).all(axis=1)
    difference, v1, v0 = difference[similar], v1[similar], v0[similar]
    error = v1 / n1 + v0 / n0
    degrees = error**2 / ((v1 / n1) ** 2 / (n1 - 1) + (v0 / n0) ** 2 / (n0 - 1))
    p_welch = 2 * stdtr(degrees, -np.abs(difference) / np.sqrt(error))
    # The values have variance one over both arms together, so this is the chi-square of the two-by-two table.
    p_pearson = chdtrc(1, difference**2 / (1 / n1 + 1 / n0))
    p_value = np.where(binary[row[similar]], p_pearson, p_welch)
    similar[similar] = (p_value >= rule.balance_alpha).all(axis=1)
    return np.asarray(similar)


def _standardised(values: FloatArray) -> FloatArray:
    """Return values, shape ``(r, m, n)``, with mean zero and variance one in each replicate."""
    return np.asarray((values - values.mean(axis=2, keepdims=True)) / values.std(axis=2, keepdims=True))


def draw_assigned(
    design: Design, replicates: int, model: PatientModel, tree: SeedTree, *, as_printed: bool
) -> AssignedBaseline:
    """Draw patients and arms of exactly the printed sizes, for each of ``replicates``.

    Sets of patients are drawn from the source population. Tacrolimus goes to the patients with the highest logit plus
    logistic noise, which is by lot if the study was randomised; arms alike in tacrolimus are dealt by lot. If print
    says how the arms compare, the noise is drawn again, and after a batch of candidates the patients too, until pure
    class V is significantly more frequent on tacrolimus (Pearson) while no balance covariate differs significantly or
    by more than the cap on the standardised mean difference.

    Parameters
    ----------
    design
        Arms and sizes.
    replicates
        How many sets of patients to draw.
    model
        Patient model.
    tree
        Node of the seed tree; each batch has streams of its own, drawn for the replicates that still wait.
    as_printed
        Whether the arms must compare as the flagship paper says.

    Raises
    ------
    CalibrationError
        If no candidate meets the conditions.
    """
    if not as_printed:
        baseline = draw_baseline(replicates * design.total, model, tree.child("patients", 1).generator())
        logit = tacrolimus_logit(baseline, model, randomised=design.randomised)
        arm = _deal(design, logit.reshape(replicates, -1), tree.child("arms", 1).generator())
        return AssignedBaseline(baseline, arm, design.tacrolimus[arm], logit, np.ones(replicates, dtype=np.int64))
    waiting = np.arange(replicates)
    found: list[tuple[IntArray, AssignedBaseline]] = []
    for batch in range(1, _MOST_BATCHES + 1):
        drawn = _draw_candidates(design, len(waiting), model, tree, batch)
        if drawn.assigned is None:
            continue
        found.append((waiting[drawn.rows], drawn.assigned))
        waiting = np.delete(waiting, drawn.rows)
        if not waiting.size:
            return _in_order(found, design.total)
    if drawn.constant:
        raise CalibrationError(
            "covariates that print compares between the arms are the same for everybody",
            where="baseline",
            got=", ".join(sorted(drawn.constant)),
            remedy="bring the dials of [baseline] nearer to their defaults, or add --mode population",
        )
    raise CalibrationError(
        f"none of {_MOST_BATCHES * _BATCH} draws has class V significantly more frequent on tacrolimus and all else "
        "similar",
        where="baseline",
        got=f"assignment.strength {model.assignment.strength:g}, assignment.class_v {model.assignment.class_v:g}, "
        f"assignment.smd_cap {model.assignment.smd_cap:g}",
        remedy="bring the strength nearer to 1, raise class_v or smd_cap, lower the other coefficients, or add "
        "--mode population, which does not condition on the baseline",
    )


@dataclass(frozen=True, slots=True)
class _Accepted:
    """Which of the replicates drawn were accepted, and these; ``constant`` covariates were the same for everybody."""

    rows: IntArray
    assigned: AssignedBaseline | None
    constant: list[str]


def _draw_candidates(design: Design, replicates: int, model: PatientModel, tree: SeedTree, batch: int) -> _Accepted:
    """Draw one set of patients and a batch of candidate assignments for each replicate; keep the first accepted."""
    total, treated = design.total, int(design.sizes[0])
    baseline = draw_baseline(replicates * total, model, tree.child("patients", batch).generator())
    logit = tacrolimus_logit(baseline, model, randomised=design.randomised)
    compared = {"pure class V": baseline.class_v.astype(np.float64), **_compared(baseline, model)}
    columns = np.stack(list(compared.values())).reshape(-1, replicates, total)
    varying = columns.min(axis=2) < columns.max(axis=2)
    rows = np.flatnonzero(varying.all(axis=0))
    if not rows.size:
        constant = [name for name, varies in zip(compared, varying.any(axis=1), strict=True) if not varies]
        return _Accepted(rows, None, constant)
    noise = tree.child("arms", batch).generator().logistic(size=(replicates, total, _BATCH))[rows]
    liking = logit.reshape(replicates, total)[rows][:, :, None] + noise
    tacrolimus = liking >= np.partition(liking, total - treated, axis=1)[:, [total - treated]]
    patients = (rows[:, None] * total + np.arange(total)).ravel()
    met = look_as_printed(select_patients(baseline, patients), tacrolimus, model)
    any_met = met.any(axis=1)
    first = met.argmax(axis=1)[any_met]
    rows, tacrolimus = rows[any_met], tacrolimus[any_met]
    chosen = np.take_along_axis(tacrolimus, first[:, None, None], axis=2)[:, :, 0].ravel()
    patients = (rows[:, None] * total + np.arange(total)).ravel()
    arm = np.where(chosen, 0, 1)
    return _Accepted(
        rows,
        AssignedBaseline(
            select_patients(baseline, patients), arm, chosen, logit[patients], (batch - 1) * _BATCH + first + 1
        ),
        [],
    )


def _in_order(found: list[tuple[IntArray, AssignedBaseline]], total: int) -> AssignedBaseline:
    """Join replicates found in several batches, in the order of their numbers."""
    if len(found) == 1:
        return found[0][1]
    order = np.argsort(np.concatenate([rows for rows, _ in found]))
    parts = [assigned for _, assigned in found]
    joined = AssignedBaseline(
        join_patients([part.baseline for part in parts]),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("arm", "tacrolimus", "logit", "draws")),
    )
    return joined.replicates(order, total)


def _deal(design: Design, logit: FloatArray, random: np.random.Generator) -> IntArray:
    """Give every arm its size in each row: who likes tacrolimus best gets it, by lot where the logit is the same."""
    liking = logit + random.logistic(size=logit.shape)
    dealt = np.repeat(np.arange(len(design.sizes)), design.sizes)
    slots = np.tile(dealt, (len(logit), 1))
    # Arms alike in tacrolimus are shuffled among their patients.
    lot = random.random(logit.shape)
    for taking in (True, False):
        alike = np.flatnonzero(design.tacrolimus[dealt] == taking)
        slots[:, alike] = np.take_along_axis(slots[:, alike], np.argsort(lot[:, alike], axis=1), axis=1)
    arm = np.empty(logit.shape, dtype=np.int64)
    np.put_along_axis(arm, np.argsort(-liking, axis=1, kind="stable"), slots, axis=1)
    return arm.ravel()
