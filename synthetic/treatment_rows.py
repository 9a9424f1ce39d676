"""The rows of the treatments table: one per patient, drug, phase and, for prednisolone, dose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cohort.codes import Background, Drug, Induction, Phase, StopReason
from cohort.columns import CodeArray, WholeArray, position_of
from cohort.response import BoolArray, IntArray
from synthetic.coarse import Noise, NoiseSource
from synthetic.model import TreatmentModel
from synthetic.treatments import Stops, Treatment, tablets
from synthetic.visits import VisitRows

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TreatmentRows:
    """One element per row of the treatments table; ``patient`` is a position, codes are positions in vocabularies."""

    patient: WholeArray
    drug: CodeArray
    phase: CodeArray
    start_day: WholeArray
    stop_day: WholeArray
    dose: FloatArray
    stop_reason: CodeArray


@dataclass(frozen=True, slots=True)
class _Spell:
    """One drug in one phase for the patients ``who``; arrays of shape ``(n,)``, whoever takes it."""

    who: BoolArray
    drug: Drug
    phase: Phase
    start_day: IntArray
    stop_day: IntArray
    dose: FloatArray
    stop_reason: CodeArray

    @property
    def key(self) -> tuple[str, str]:
        """What the rows of a patient are ordered by."""
        return self.drug.value, self.phase.value


_TAPER = Drug.PREDNISOLONE.value, Phase.MAINTENANCE.value


def treatment_rows(
    treatment: Treatment,
    stops: Stops,
    visits: VisitRows,
    prednisolone: FloatArray,
    follow_up_days: IntArray,
    model: TreatmentModel,
    random: NoiseSource,
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
    rows = _in_order(spells, prednisolone_rows(visits, prednisolone, follow_up_days), len(follow_up_days))
    if not treatment.protocol.any():
        return rows
    on_trial = treatment.protocol[rows.patient] & (rows.phase == position_of(Phase.MAINTENANCE))
    return replace(rows, phase=np.where(on_trial, position_of(Phase.TRIAL), rows.phase))


def _in_order(spells: list[_Spell], taper: TreatmentRows, size: int) -> TreatmentRows:
    """Put every row where the order by patient, drug, phase and day has it, without sorting."""
    keys = sorted([*(spell.key for spell in spells), _TAPER])
    # One row a key, so that the values of many patients stand together.
    counts = np.zeros((len(keys), size), dtype=np.int32)
    for spell in spells:
        counts[keys.index(spell.key)] = spell.who
    of_taper = np.bincount(taper.patient, minlength=size)
    counts[keys.index(_TAPER)] = of_taper
    of_patient = counts.sum(axis=0, dtype=np.int32)
    starts = np.cumsum(counts, axis=0, dtype=np.int32) - counts + (np.cumsum(of_patient, dtype=np.int32) - of_patient)
    nth = np.arange(len(taper.patient)) - np.repeat(np.cumsum(of_taper) - of_taper, of_taper)
    place = starts[keys.index(_TAPER)].take(taper.patient) + nth
    rows = _empty_rows(np.repeat(np.arange(size, dtype=np.int32), of_patient))
    for name in _FILLED:
        getattr(rows, name)[place] = getattr(taper, name)
    for spell in spells:
        patient = np.flatnonzero(spell.who)
        place = starts[keys.index(spell.key)].take(patient)
        rows.drug[place] = position_of(spell.drug)
        rows.phase[place] = position_of(spell.phase)
        for name in ("start_day", "stop_day", "dose", "stop_reason"):
            getattr(rows, name)[place] = getattr(spell, name).take(patient)
    return rows


_FILLED = ("drug", "phase", "start_day", "stop_day", "dose", "stop_reason")


def _empty_rows(patient: WholeArray) -> TreatmentRows:
    size = len(patient)
    codes = (np.empty(size, dtype=np.int8) for _ in range(3))
    days = (np.empty(size, dtype=np.int32) for _ in range(2))
    return TreatmentRows(patient, next(codes), next(codes), next(days), next(days), np.empty(size), next(codes))


def prednisolone_rows(visits: VisitRows, dose: FloatArray, follow_up_days: IntArray) -> TreatmentRows:
    """Turn the doses at visits into spells of one dose each, up to the day before the visit that changes it."""
    changing = np.ones(len(dose), dtype=bool)
    changing[1:] = (visits.patient[1:] != visits.patient[:-1]) | (dose[1:] != dose[:-1])
    changed = np.flatnonzero(changing)
    patient, day = visits.patient.take(changed), visits.day.take(changed)
    dose = dose.take(changed)
    taken = np.flatnonzero(dose > 0)
    following = np.minimum(taken + 1, len(dose) - 1)
    who = patient.take(taken)
    followed = (patient.take(following) == who) & (following > taken)
    reason = np.where(
        followed,
        np.where(dose.take(following) > 0, position_of(StopReason.DOSE_CHANGED), position_of(StopReason.REMISSION)),
        position_of(StopReason.ONGOING),
    )
    return TreatmentRows(
        who,
        np.full(len(taken), position_of(Drug.PREDNISOLONE)),
        np.full(len(taken), position_of(Phase.MAINTENANCE)),
        day.take(taken),
        np.where(followed, day.take(following) - 1, follow_up_days.take(who)),
        dose.take(taken),
        reason,
    )


def _induction_spells(treatment: Treatment, model: TreatmentModel, random: NoiseSource) -> list[_Spell]:
    size = len(treatment.tacrolimus)
    shortest, longest = model.induction_days
    start = -random.integers(shortest, longest + 1, size)
    stop = np.full(size, -1)
    done = np.full(size, position_of(StopReason.PHASE_COMPLETED))
    scatter = np.exp(model.induction_dose_log_sd * random.standard_normal((3, size)))
    doses: list[tuple[BoolArray, Drug, FloatArray]] = [
        (
            treatment.induction == position_of(Induction.CYCLOPHOSPHAMIDE),
            Drug.CYCLOPHOSPHAMIDE,
            tablets(model.cyclophosphamide_dose * scatter[0], 5.0, (15.0, 80.0)),
        ),
        (
            treatment.induction == position_of(Induction.MYCOPHENOLATE),
            Drug.MYCOPHENOLATE,
            tablets(model.mycophenolate_induction_dose * scatter[1], 500.0, (1000.0, 3000.0)),
        ),
        (
            treatment.induction != position_of(Induction.NONE),
            Drug.PREDNISOLONE,
            tablets(model.prednisolone_induction * scatter[2], 2.5, (15.0, 60.0)),
        ),
    ]
    return [_Spell(who, drug, Phase.INDUCTION, start, stop, dose, done) for who, drug, dose in doses]


def _maintenance_spells(
    treatment: Treatment, stops: Stops, end: IntArray, model: TreatmentModel, random: NoiseSource
) -> list[_Spell]:
    size = len(end)
    start = np.zeros(size, dtype=np.int64)
    z = random.standard_normal(size)
    coin = random.random((2, size))
    mizoribine = np.asarray(model.mizoribine_doses)[random.integers(0, len(model.mizoribine_doses), size)]
    inhibitor, background = (stops.inhibitor, stops.inhibitor_reason), (stops.background, stops.background_reason)
    pulses = np.exp(model.induction_dose_log_sd * z)
    immunosuppressants: list[tuple[Drug, FloatArray, tuple[IntArray, CodeArray]]] = [
        (Drug.TACROLIMUS, treatment.tacrolimus_dose, inhibitor),
        (Drug.CYCLOSPORINE, _scattered(model.cyclosporine_dose, model.cyclosporine_dose_sd, z, 25.0, 400.0), inhibitor),
        (Drug.VOCLOSPORIN, np.full(size, model.voclosporin_dose), inhibitor),
        (
            Drug.MYCOPHENOLATE,
            _scattered(model.mycophenolate_dose, model.mycophenolate_dose_sd, z, 250.0, 3000.0),
            background,
        ),
        (
            Drug.AZATHIOPRINE,
            _scattered(model.azathioprine_dose, model.azathioprine_dose_sd, z, 25.0, 150.0),
            background,
        ),
        (Drug.MIZORIBINE, mizoribine, background),
        (Drug.CYCLOPHOSPHAMIDE, tablets(model.cyclophosphamide_dose * pulses, 5.0, (15.0, 80.0)), background),
    ]
    spells = [
        _under_regimens(_Spell(_chosen(treatment, drug), drug, Phase.MAINTENANCE, start, stop, dose, reason), treatment)
        for drug, dose, (stop, reason) in immunosuppressants
    ]
    ongoing = np.full(size, position_of(StopReason.ONGOING))
    others: list[tuple[BoolArray, Drug, FloatArray, tuple[IntArray, CodeArray]]] = [
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
        *spells,
        *(
            _Spell(who, drug, Phase.MAINTENANCE, start, stop, dose, reason)
            for who, drug, dose, (stop, reason) in others
        ),
    ]


def _scattered(mean: float, sd: float, z: Noise, step: float, highest: float) -> FloatArray:
    """Doses around ``mean``, in steps of a tablet, from one or two tablets up."""
    return tablets(mean + sd * z, step, (_LOWEST.get(step, step), highest))


_LOWEST = {250.0: 500.0}


def _chosen(treatment: Treatment, drug: Drug) -> BoolArray:
    """Return who takes an immunosuppressant because a physician chose it."""
    if drug is Drug.TACROLIMUS:
        return treatment.tacrolimus
    if drug.value in list(Background):
        return np.asarray(treatment.background == position_of(Background(drug.value)))
    return np.zeros(len(treatment.arm), dtype=bool)


def _under_regimens(spell: _Spell, treatment: Treatment) -> _Spell:
    """Let the regimens of arms say who takes the drug, how much, and from when until when at most."""
    if not treatment.protocol.any():
        return spell
    who, dose = spell.who & ~treatment.protocol, spell.dose
    start, stop, reason = spell.start_day, spell.stop_day, spell.stop_reason
    for arm, regimen in enumerate(treatment.regimens):
        for drug in regimen.drugs:
            if drug.drug is not spell.drug:
                continue
            mine = treatment.arm == arm
            completed = mine & (spell.stop_day > drug.last_day)
            reason = np.where(completed, position_of(StopReason.PHASE_COMPLETED), reason)
            stop = np.where(completed, drug.last_day, stop)
            start = np.where(mine, drug.first_day, start)
            dose = dose if drug.mg_day is None else np.where(mine, drug.mg_day, dose)
            who = who | (mine & (stop >= start))
    return _Spell(who, spell.drug, spell.phase, start, stop, dose, reason)
