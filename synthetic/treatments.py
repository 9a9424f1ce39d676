"""Drugs before and during maintenance, and what visits show of them: prednisolone dose and tacrolimus trough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import DAYS_PER_MONTH, Background, Drug, Induction, Phase, StopReason
from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Baseline
from synthetic.model import TreatmentModel
from synthetic.visits import UNSCHEDULED, VisitRows

FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Treatment:
    """Regimen of ``n`` patients, every array of shape ``(n,)``.

    ``tacrolimus_share`` is the part of follow-up during which tacrolimus is taken, 0 without tacrolimus.
    """

    tacrolimus: BoolArray
    tacrolimus_share: FloatArray
    induction: TextArray
    background: TextArray
    hydroxychloroquine: BoolArray
    raas_inhibitor: BoolArray

    def tacrolimus_stop(self, follow_up_days: IntArray) -> IntArray:
        """Return the last day of tacrolimus, 0 without tacrolimus, shape ``(n,)``."""
        return np.floor(follow_up_days * self.tacrolimus_share).astype(np.int64)


@dataclass(frozen=True, slots=True)
class TreatmentRows:
    """One element per row of the treatments table; ``patient`` is a position."""

    patient: IntArray
    drug: TextArray
    phase: TextArray
    start_day: IntArray
    stop_day: IntArray
    dose: FloatArray
    stop_reason: TextArray


def draw_treatment(
    baseline: Baseline,
    tacrolimus: BoolArray,
    alone: BoolArray,
    model: TreatmentModel,
    random: np.random.Generator,
) -> Treatment:
    """Draw regimens.

    Parameters
    ----------
    baseline
        ``n`` patients.
    tacrolimus
        Who takes tacrolimus, shape ``(n,)``.
    alone
        Which of those take no other immunosuppressant, shape ``(n,)``.
    model
        Shares.
    random
        Stream to draw from.
    """
    size = baseline.size
    options = [Background.MYCOPHENOLATE.value, Background.AZATHIOPRINE.value, Background.MIZORIBINE.value]
    background = random.choice(options, size=size, p=model.background_share)
    alone = np.where(tacrolimus, alone, random.random(size) < model.no_immunosuppressant)
    induction = random.choice([code.value for code in Induction], size=size, p=model.induction_share)
    stops = random.random(size) < model.tacrolimus_stopped
    share = np.where(stops, random.uniform(0.1, 0.9, size), 1.0)
    return Treatment(
        tacrolimus=tacrolimus,
        tacrolimus_share=np.where(tacrolimus, share, 0.0),
        induction=induction,
        background=np.where(alone, Background.NONE.value, background),
        hydroxychloroquine=random.random(size) < model.hydroxychloroquine,
        raas_inhibitor=random.random(size) < model.raas_inhibitor,
    )


def draw_monotherapy(tacrolimus: BoolArray, number: int, random: np.random.Generator) -> BoolArray:
    """Pick exactly ``number`` patients on tacrolimus to take no other immunosuppressant.

    Raises
    ------
    CalibrationError
        If there are fewer patients on tacrolimus than that.
    """
    treated = np.flatnonzero(tacrolimus)
    if number > len(treated):
        raise CalibrationError(
            "more patients on tacrolimus alone than on tacrolimus",
            where="study file",
            got=f"{number} of {len(treated)}",
        )
    alone = np.zeros(len(tacrolimus), dtype=bool)
    alone[random.permutation(treated)[:number]] = True
    return alone


def prednisolone_dose(visits: VisitRows, model: TreatmentModel, random: np.random.Generator) -> FloatArray:
    """Return the dose at each visit: a taper towards the late dose, raised at a flare, in steps of 2.5 mg."""
    patients = int(visits.patient.max()) + 1
    own = np.exp(0.45 * random.standard_normal(patients))[visits.patient]
    level = model.prednisolone_late + (model.prednisolone_baseline - model.prednisolone_late) * np.exp(
        -visits.day / DAYS_PER_MONTH / model.prednisolone_taper_months
    )
    dose = level * own + np.where(visits.month == UNSCHEDULED, 12.5, 0.0)
    return np.asarray(np.clip(2.5 * np.rint(dose / 2.5), 0.0, 60.0))


def tacrolimus_trough(
    visits: VisitRows,
    treatment: Treatment,
    follow_up_days: IntArray,
    model: TreatmentModel,
    random: np.random.Generator,
) -> FloatArray:
    """Return the trough at each visit after day 0 while tacrolimus is taken; NaN where not taken or not measured."""
    size = len(visits.day)
    spread = np.log1p((model.tacrolimus_trough_sd / model.tacrolimus_trough_mean) ** 2)
    level = model.tacrolimus_trough_mean * np.exp(np.sqrt(spread) * random.standard_normal(size) - spread / 2)
    taking = treatment.tacrolimus[visits.patient] & (
        visits.day <= treatment.tacrolimus_stop(follow_up_days)[visits.patient]
    )
    measured = taking & (visits.day > 0) & (random.random(size) < model.trough_measured)
    return np.where(measured, np.round(np.clip(level, 1.0, 20.0), 1), np.nan)


def treatment_rows(
    treatment: Treatment,
    follow_up_days: IntArray,
    nephrotoxic: IntArray,
    model: TreatmentModel,
    random: np.random.Generator,
) -> TreatmentRows:
    """Write one row per patient, drug and phase.

    Parameters
    ----------
    treatment
        Regimens.
    follow_up_days
        Last day under observation, shape ``(n,)``.
    nephrotoxic
        Positions of patients with nephrotoxicity: their tacrolimus, if stopped, was stopped for it.
    model
        Doses.
    random
        Stream to draw from.
    """
    size = len(follow_up_days)
    zero = np.zeros(size, dtype=np.int64)
    start = -random.integers(90, 271, size)
    spells = [
        *_induction_spells(treatment, start, zero - 1, model, random),
        *_maintenance_spells(treatment, zero, follow_up_days, model, random),
        Spell(
            treatment.tacrolimus,
            Drug.TACROLIMUS,
            Phase.MAINTENANCE,
            zero,
            treatment.tacrolimus_stop(follow_up_days),
            _steps(model.tacrolimus_dose + model.tacrolimus_dose_sd * random.standard_normal(size), 0.5, (1.0, 6.0)),
            _tacrolimus_stop_reason(treatment, follow_up_days, nephrotoxic, random.random(size)),
        ),
    ]
    return TreatmentRows(
        patient=np.concatenate([np.flatnonzero(spell.who) for spell in spells]),
        drug=np.concatenate([np.full(spell.who.sum(), spell.drug.value) for spell in spells]),
        phase=np.concatenate([np.full(spell.who.sum(), spell.phase.value) for spell in spells]),
        start_day=np.concatenate([spell.start_day[spell.who] for spell in spells]),
        stop_day=np.concatenate([spell.stop_day[spell.who] for spell in spells]),
        dose=np.concatenate([spell.dose[spell.who] for spell in spells]),
        stop_reason=np.concatenate([spell.stop_reason[spell.who] for spell in spells]),
    )


@dataclass(frozen=True, slots=True)
class Spell:
    """One drug in one phase for the patients ``who``; arrays of shape ``(n,)``, whoever takes it."""

    who: BoolArray
    drug: Drug
    phase: Phase
    start_day: IntArray
    stop_day: IntArray
    dose: FloatArray
    stop_reason: TextArray


def _induction_spells(
    treatment: Treatment, start: IntArray, stop: IntArray, model: TreatmentModel, random: np.random.Generator
) -> list[Spell]:
    size = len(start)
    done = np.full(size, StopReason.PHASE_COMPLETED.value)
    glucocorticoid = _steps(
        model.prednisolone_induction * np.exp(0.3 * random.standard_normal(size)), 2.5, (15.0, 60.0)
    )
    doses: list[tuple[BoolArray, Drug, FloatArray]] = [
        (
            treatment.induction == Induction.CYCLOPHOSPHAMIDE.value,
            Drug.CYCLOPHOSPHAMIDE,
            np.full(size, model.cyclophosphamide_dose),
        ),
        (
            treatment.induction == Induction.MYCOPHENOLATE.value,
            Drug.MYCOPHENOLATE,
            np.full(size, model.mycophenolate_induction_dose),
        ),
        (np.ones(size, dtype=bool), Drug.PREDNISOLONE, glucocorticoid),
    ]
    return [Spell(who, drug, Phase.INDUCTION, start, stop, dose, done) for who, drug, dose in doses]


def _maintenance_spells(
    treatment: Treatment, start: IntArray, stop: IntArray, model: TreatmentModel, random: np.random.Generator
) -> list[Spell]:
    size = len(start)
    ongoing = np.full(size, StopReason.ONGOING.value)
    z = random.standard_normal((4, size))
    low, high = model.hydroxychloroquine_doses
    doses: list[tuple[BoolArray, Drug, FloatArray]] = [
        (
            np.ones(size, dtype=bool),
            Drug.PREDNISOLONE,
            _steps(model.prednisolone_late * np.exp(0.4 * z[0]), 2.5, (2.5, 20.0)),
        ),
        (
            treatment.background == Background.MYCOPHENOLATE.value,
            Drug.MYCOPHENOLATE,
            _steps(model.mycophenolate_dose + model.mycophenolate_dose_sd * z[1], 250.0, (500.0, 3000.0)),
        ),
        (
            treatment.background == Background.AZATHIOPRINE.value,
            Drug.AZATHIOPRINE,
            _steps(model.azathioprine_dose + model.azathioprine_dose_sd * z[1], 25.0, (25.0, 150.0)),
        ),
        (
            treatment.background == Background.MIZORIBINE.value,
            Drug.MIZORIBINE,
            np.full(size, model.mizoribine_dose),
        ),
        (treatment.hydroxychloroquine, Drug.HYDROXYCHLOROQUINE, np.where(z[2] < 0, low, high)),
        (treatment.raas_inhibitor, Drug.RAAS_INHIBITOR, np.where(z[3] < 0, *model.raas_inhibitor_doses)),
    ]
    return [Spell(who, drug, Phase.MAINTENANCE, start, stop, dose, ongoing) for who, drug, dose in doses]


def _tacrolimus_stop_reason(
    treatment: Treatment, follow_up_days: IntArray, nephrotoxic: IntArray, coin: FloatArray
) -> TextArray:
    everybody = np.arange(len(follow_up_days))
    return np.select(
        [
            treatment.tacrolimus_stop(follow_up_days) >= follow_up_days,
            np.isin(everybody, nephrotoxic) | (coin < 0.4),
            coin < 0.75,
        ],
        [StopReason.ONGOING.value, StopReason.ADVERSE_EVENT.value, StopReason.INEFFECTIVE.value],
        StopReason.REMISSION.value,
    )


def _steps(dose: FloatArray, step: float, limits: tuple[float, float]) -> FloatArray:
    """Round to the tablet size within ``limits``."""
    return np.asarray(np.clip(step * np.rint(dose / step), *limits))
