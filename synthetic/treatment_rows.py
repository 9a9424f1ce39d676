"""The rows of the treatments table: one per patient, drug, phase and, for prednisolone, dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import Background, Drug, Induction, Phase, StopReason
from cohort.response import BoolArray, IntArray
from synthetic.model import TreatmentModel
from synthetic.treatments import Stops, Treatment, tablets
from synthetic.visits import VisitRows

FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.str_]


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


@dataclass(frozen=True, slots=True)
class _Spell:
    """One drug in one phase for the patients ``who``; arrays of shape ``(n,)``, whoever takes it."""

    who: BoolArray
    drug: Drug
    phase: Phase
    start_day: IntArray
    stop_day: IntArray
    dose: FloatArray
    stop_reason: TextArray

    def rows(self) -> TreatmentRows:
        patient = np.flatnonzero(self.who)
        return TreatmentRows(
            patient,
            np.full(len(patient), self.drug.value),
            np.full(len(patient), self.phase.value),
            self.start_day[patient],
            self.stop_day[patient],
            self.dose[patient],
            self.stop_reason[patient],
        )


def treatment_rows(
    treatment: Treatment,
    stops: Stops,
    visits: VisitRows,
    prednisolone: FloatArray,
    follow_up_days: IntArray,
    model: TreatmentModel,
    random: np.random.Generator,
) -> TreatmentRows:
    """Write the rows of all patients.

    Parameters
    ----------
    treatment, stops
        Regimens, when drugs stop and why.
    visits, prednisolone
        All visits, ordered by patient and day, and the dose at each.
    follow_up_days
        Last day under observation, shape ``(n,)``.
    model
        Doses.
    random
        Stream to draw from.
    """
    spells = [
        *_induction_spells(treatment, model, random),
        *_maintenance_spells(treatment, stops, follow_up_days, model, random),
    ]
    parts = [*(spell.rows() for spell in spells), prednisolone_rows(visits, prednisolone, follow_up_days)]
    names = ("patient", "drug", "phase", "start_day", "stop_day", "dose", "stop_reason")
    return TreatmentRows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def prednisolone_rows(visits: VisitRows, dose: FloatArray, follow_up_days: IntArray) -> TreatmentRows:
    """Turn the doses at visits into spells of one dose each, up to the day before the visit that changes it."""
    new_patient = np.concatenate([[True], visits.patient[1:] != visits.patient[:-1]])
    changed = np.flatnonzero(new_patient | np.concatenate([[True], dose[1:] != dose[:-1]]))
    patient = visits.patient[changed]
    followed = np.concatenate([patient[1:] == patient[:-1], [False]])
    next_day = np.concatenate([visits.day[changed][1:], [0]])
    next_dose = np.concatenate([dose[changed][1:], [0.0]])
    stop = np.where(followed, next_day - 1, follow_up_days[patient])
    reason = np.where(
        ~followed,
        StopReason.ONGOING.value,
        np.where(next_dose > 0, StopReason.DOSE_CHANGED.value, StopReason.REMISSION.value),
    )
    taken = dose[changed] > 0
    size = int(taken.sum())
    return TreatmentRows(
        patient[taken],
        np.full(size, Drug.PREDNISOLONE.value),
        np.full(size, Phase.MAINTENANCE.value),
        visits.day[changed][taken],
        stop[taken],
        dose[changed][taken],
        reason[taken],
    )


def _induction_spells(treatment: Treatment, model: TreatmentModel, random: np.random.Generator) -> list[_Spell]:
    size = len(treatment.tacrolimus)
    shortest, longest = model.induction_days
    start = -random.integers(shortest, longest + 1, size)
    stop = np.full(size, -1)
    done = np.full(size, StopReason.PHASE_COMPLETED.value)
    scatter = np.exp(model.induction_dose_log_sd * random.standard_normal((3, size)))
    doses: list[tuple[BoolArray, Drug, FloatArray]] = [
        (
            treatment.induction == Induction.CYCLOPHOSPHAMIDE.value,
            Drug.CYCLOPHOSPHAMIDE,
            tablets(model.cyclophosphamide_dose * scatter[0], 5.0, (15.0, 80.0)),
        ),
        (
            treatment.induction == Induction.MYCOPHENOLATE.value,
            Drug.MYCOPHENOLATE,
            tablets(model.mycophenolate_induction_dose * scatter[1], 500.0, (1000.0, 3000.0)),
        ),
        (
            np.ones(size, dtype=bool),
            Drug.PREDNISOLONE,
            tablets(model.prednisolone_induction * scatter[2], 2.5, (15.0, 60.0)),
        ),
    ]
    return [_Spell(who, drug, Phase.INDUCTION, start, stop, dose, done) for who, drug, dose in doses]


def _maintenance_spells(
    treatment: Treatment, stops: Stops, end: IntArray, model: TreatmentModel, random: np.random.Generator
) -> list[_Spell]:
    size = len(end)
    start = np.zeros(size, dtype=np.int64)
    ongoing = np.full(size, StopReason.ONGOING.value)
    z = random.standard_normal(size)
    coin = random.random((2, size))
    background = stops.background, stops.background_reason
    doses: list[tuple[BoolArray, Drug, FloatArray, tuple[IntArray, TextArray]]] = [
        (
            treatment.tacrolimus,
            Drug.TACROLIMUS,
            treatment.tacrolimus_dose,
            (stops.tacrolimus, stops.tacrolimus_reason),
        ),
        (
            treatment.background == Background.MYCOPHENOLATE.value,
            Drug.MYCOPHENOLATE,
            tablets(model.mycophenolate_dose + model.mycophenolate_dose_sd * z, 250.0, (500.0, 3000.0)),
            background,
        ),
        (
            treatment.background == Background.AZATHIOPRINE.value,
            Drug.AZATHIOPRINE,
            tablets(model.azathioprine_dose + model.azathioprine_dose_sd * z, 25.0, (25.0, 150.0)),
            background,
        ),
        (
            treatment.background == Background.MIZORIBINE.value,
            Drug.MIZORIBINE,
            random.choice(model.mizoribine_doses, size=size),
            background,
        ),
        (
            treatment.hydroxychloroquine,
            Drug.HYDROXYCHLOROQUINE,
            np.where(coin[0] < 0.5, *model.hydroxychloroquine_doses),
            (end, ongoing),
        ),
        (
            treatment.raas_inhibitor,
            Drug.RAAS_INHIBITOR,
            np.where(coin[1] < 0.5, *model.raas_inhibitor_doses),
            (stops.raas_inhibitor, stops.raas_inhibitor_reason),
        ),
    ]
    return [
        _Spell(who, drug, Phase.MAINTENANCE, start, stop, dose, reason) for who, drug, dose, (stop, reason) in doses
    ]
