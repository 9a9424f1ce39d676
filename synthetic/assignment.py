"""Treatment assignment with confounding by indication, conditioned on what the paper says of the arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from cohort.seeds import SeedTree
from synthetic.balance import ArmComparison
from synthetic.baseline import Baseline, Covariates, draw_baseline
from synthetic.coarse import CoarseNoise, Noise, NoiseSource, Source, as_it_is
from synthetic.design import Design
from synthetic.groups import join_patients, patients_of, select_patients
from synthetic.model import PatientModel

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
        patients = patients_of(rows, per_replicate)
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
    # Arm by arm, so that the values of many patients stand together.
    odds = np.exp(intercepts[:, None] + np.where(tacrolimus[:, None], logit, 0.0))
    return np.ascontiguousarray((odds / odds.sum(axis=0)).T)


def draw_assigned(
    design: Design,
    replicates: int,
    model: PatientModel,
    tree: SeedTree,
    source: Source = as_it_is,
    *,
    as_printed: bool,
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
    source
        Makes of a generator what laboratory values and candidate assignments are drawn from.
    as_printed
        Whether the arms must compare as the flagship paper says.

    Raises
    ------
    CalibrationError
        If no candidate meets the conditions.
    """
    if not as_printed:
        baseline = _draw_patients(replicates * design.total, model, tree.child("patients", 1), source)
        logit = tacrolimus_logit(baseline, model, randomised=design.randomised)
        arm = _deal(design, logit.reshape(replicates, -1), tree.child("arms", 1).generator())
        return AssignedBaseline(baseline, arm, design.tacrolimus[arm], logit, np.ones(replicates, dtype=np.int64))
    waiting = np.arange(replicates)
    found: list[tuple[IntArray, AssignedBaseline]] = []
    for batch in range(1, _MOST_BATCHES + 1):
        drawn = _draw_candidates(design, len(waiting), model, tree, source, batch)
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


def _draw_candidates(
    design: Design, replicates: int, model: PatientModel, tree: SeedTree, source: Source, batch: int
) -> _Accepted:
    """Draw one set of patients and a batch of candidate assignments for each replicate; keep the first accepted."""
    total, treated = design.total, int(design.sizes[0])
    baseline = _draw_patients(replicates * total, model, tree.child("patients", batch), source)
    logit = tacrolimus_logit(baseline, model, randomised=design.randomised)
    comparison = ArmComparison.of(baseline, replicates, treated, model)
    if not comparison.varying.any():
        return _Accepted(np.empty(0, dtype=np.int64), None, list(comparison.constant))
    random = source(tree.child("arms", batch).generator())
    place: list[IntArray] = []
    on: list[BoolArray] = []
    varying = np.flatnonzero(comparison.varying)
    # One replicate after the other: its candidates fit into the processor's cache.
    for row, mine in enumerate(logit.reshape(replicates, total)):
        odds = _reluctance(mine, random)
        if not comparison.varying[row]:
            continue
        tacrolimus = _least(odds, treated)
        place.append(comparison.near(row, tacrolimus))
        on.append(tacrolimus[place[-1]])
    which, near = np.repeat(varying, [len(some) for some in place]), np.concatenate(on)
    met = np.flatnonzero(comparison.met(which, near))
    if not met.size:
        return _Accepted(np.empty(0, dtype=np.int64), None, [])
    found, first = np.unique(which[met], return_index=True)
    patients = patients_of(found, total)
    taking = near[met[first]].ravel()
    draws = (batch - 1) * _BATCH + np.concatenate(place)[met[first]] + 1
    settled = select_patients(baseline, patients)
    return _Accepted(found, AssignedBaseline(settled, np.where(taking, 0, 1), taking, logit[patients], draws), [])


def _draw_patients(size: int, model: PatientModel, tree: SeedTree, source: Source) -> Baseline:
    """Draw patients, their laboratory values from coarse noise of an own stream if that is the ``source``."""
    noise = source(tree.child("laboratory").generator())
    return draw_baseline(size, model, tree.generator(), noise if isinstance(noise, CoarseNoise) else None)


def _reluctance(logit: FloatArray, random: NoiseSource) -> Noise:
    """Draw the odds of going without tacrolimus of each candidate and patient, shape ``(k, n)``.

    Log odds plus logistic noise order patients as these odds do, which cost no logarithm.
    """
    odds = np.ascontiguousarray(random.random((len(logit), _BATCH)).T)
    with np.errstate(divide="ignore"):
        np.divide(1, odds, out=odds)
    odds -= 1
    odds *= np.exp(-logit).astype(odds.dtype, copy=False)
    return odds


def _least(odds: Noise, treated: int) -> BoolArray:
    """Return who of each row is among the ``treated`` with the least odds; a tie for the last place makes it more."""
    return np.asarray(odds <= np.partition(odds, treated - 1, axis=1)[:, [treated - 1]])


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
