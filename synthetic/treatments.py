"""Regimens: drugs and doses at the start, when they stop and why, and what visits show of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log1p, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from cohort.codes import DAYS_PER_MONTH, Background, Induction, StopReason
from cohort.columns import CodeArray, position_of
from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.assignment import AssignedBaseline
from synthetic.calendar import Attendance
from synthetic.coarse import Noise, NoiseSource
from synthetic.course import COMPLETE, NO_DAY, NO_RESPONSE, NOT_ASSESSED
from synthetic.design import Design
from synthetic.model import PatientModel, TreatmentModel
from synthetic.observed import ObservedCourse
from synthetic.regimens import FOREVER, Regimen
from synthetic.visits import UNSCHEDULED, VisitRows

FloatArray = npt.NDArray[np.float64]

_AFTER_FLARE_DAYS = 183


@dataclass(frozen=True, slots=True)
class Treatment:
    """Drugs of ``n`` patients on day 0, every array of shape ``(n,)``.

    ``inhibitor`` says who takes a calcineurin inhibitor, ``tacrolimus`` whether it is that one. The shares are the
    parts of follow-up for which the inhibitor (0 without it) and other immunosuppressants are meant to be taken,
    ``inhibitor_last_day`` when the regimen ends the former. ``tacrolimus_dose`` is drawn for everybody; ``trough_aim``
    is the level that a regimen aims at, NaN without one. ``induction`` and ``background`` are positions in their
    vocabularies, ``arm`` in ``regimens``; ``protocol`` says whose drugs a regimen rules.
    """

    arm: IntArray
    regimens: tuple[Regimen, ...]
    protocol: BoolArray
    inhibitor: BoolArray
    inhibitor_share: FloatArray
    inhibitor_last_day: IntArray
    tacrolimus: BoolArray
    tacrolimus_dose: FloatArray
    trough_aim: FloatArray
    induction: CodeArray
    background: CodeArray
    background_share: FloatArray
    hydroxychloroquine: BoolArray
    raas_inhibitor: BoolArray


@dataclass(frozen=True, slots=True)
class Stops:
    """Last days of drugs and why they end, every array of shape ``(n,)``; ``inhibitor`` is 0 without one.

    Reasons are positions in their vocabulary.
    """

    inhibitor: IntArray
    inhibitor_reason: CodeArray
    background: IntArray
    background_reason: CodeArray
    raas_inhibitor: IntArray
    raas_inhibitor_reason: CodeArray


def draw_treatment(
    assigned: AssignedBaseline, design: Design, alone: BoolArray, parts: PatientModel, random: np.random.Generator
) -> Treatment:
    """Draw drugs; where the arm has a regimen, it says what is taken.

    Parameters
    ----------
    assigned
        ``n`` patients with their arm.
    design
        Arms and their regimens.
    alone
        Which patients on tacrolimus take no other immunosuppressant, shape ``(n,)``; regimens go before.
    parts
        Patient model; its treatment part is used, and the baseline part to centre what depends on patients.
    random
        Stream to draw from.
    """
    from scipy.special import logit

    baseline, tacrolimus = assigned.baseline, assigned.tacrolimus
    size, model = baseline.size, parts.treatment
    options = [position_of(code) for code in (Background.MYCOPHENOLATE, Background.AZATHIOPRINE, Background.MIZORIBINE)]
    background = random.choice(options, size=size, p=model.background_share)
    alone = np.where(tacrolimus, alone, random.random(size) < model.no_immunosuppressant)
    odds = (
        logit(model.raas_inhibitor)
        + model.raas_hypertension * (baseline.hypertension - parts.baseline.hypertension)
        + model.raas_log_upcr * np.log(baseline.upcr / 100.0 / parts.baseline.upcr_median)
    )
    dose = model.tacrolimus_dose + model.tacrolimus_dose_sd * random.standard_normal(size)
    drawn = Treatment(
        arm=assigned.arm,
        regimens=design.regimens,
        protocol=np.zeros(size, dtype=bool),
        inhibitor=tacrolimus,
        inhibitor_share=_shares(model.tacrolimus_stopped, size, random),
        inhibitor_last_day=np.full(size, FOREVER),
        tacrolimus=tacrolimus,
        tacrolimus_dose=tablets(dose, 0.5, (1.0, 6.0)),
        trough_aim=np.full(size, np.nan),
        induction=random.choice(len(model.induction_share), size=size, p=model.induction_share).astype(np.int8),
        background=np.where(alone, position_of(Background.NONE), background),
        background_share=_shares(model.background_stopped, size, random),
        hydroxychloroquine=random.random(size) < model.hydroxychloroquine,
        raas_inhibitor=random.random(size) < 1.0 / (1.0 + np.exp(-odds)),
    )
    ruled = _under_regimens(drawn)
    return replace(ruled, inhibitor_share=np.where(ruled.inhibitor, ruled.inhibitor_share, 0.0))


def _under_regimens(drawn: Treatment) -> Treatment:
    """Let the regimens of arms replace what was drawn; induction, being part of them, is none before day 0."""
    if not any(regimen.drugs for regimen in drawn.regimens):
        return drawn
    arm = drawn.arm

    def of_arm(values: list[Any], instead: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(np.where(protocol, np.array(values, dtype=instead.dtype)[arm], instead))

    protocol = np.array([bool(regimen.drugs) for regimen in drawn.regimens])[arm]
    inhibitors = [regimen.inhibitor for regimen in drawn.regimens]
    dose = [np.nan if drug is None or drug.mg_day is None else drug.mg_day for drug in inhibitors]
    printed = protocol & drawn.tacrolimus & ~np.isnan(np.array(dose)[arm])
    aim = [np.nan if drug is None or drug.trough is None else drug.trough for drug in inhibitors]
    last_day = [FOREVER if drug is None else drug.last_day for drug in inhibitors]
    return replace(
        drawn,
        protocol=protocol,
        inhibitor=of_arm([drug is not None for drug in inhibitors], drawn.inhibitor),
        inhibitor_last_day=of_arm(last_day, drawn.inhibitor_last_day),
        tacrolimus_dose=np.where(printed, np.array(dose)[arm], drawn.tacrolimus_dose),
        trough_aim=of_arm(aim, drawn.trough_aim),
        induction=of_arm([position_of(Induction.NONE) for _ in inhibitors], drawn.induction),
        background=of_arm([position_of(regimen.background) for regimen in drawn.regimens], drawn.background),
    )


def _shares(stopped: float, size: int, random: np.random.Generator) -> FloatArray:
    return np.where(random.random(size) < stopped, random.uniform(0.1, 0.9, size), 1.0)


def draw_monotherapy(tacrolimus: BoolArray, number: int, replicates: int, random: np.random.Generator) -> BoolArray:
    """Pick exactly ``number`` patients on tacrolimus of each replicate to take no other immunosuppressant.

    Raises
    ------
    CalibrationError
        If there are fewer patients on tacrolimus than that.
    """
    taking = tacrolimus.reshape(replicates, -1)
    fewest = int(taking.sum(axis=1).min())
    if number > fewest:
        raise CalibrationError(
            "more patients on tacrolimus alone than on tacrolimus", where="study file", got=f"{number} of {fewest}"
        )
    lot = np.where(taking, random.random(taking.shape), np.inf)
    alone = np.zeros(taking.shape, dtype=bool)
    np.put_along_axis(alone, np.argsort(lot, axis=1)[:, :number], True, axis=1)
    return alone.ravel()


def planned_inhibitor_stop(treatment: Treatment, follow_up_days: IntArray, eskd_day: IntArray) -> IntArray:
    """Return the last day of the calcineurin inhibitor before adverse events are known, 0 without, shape ``(n,)``."""
    planned = np.floor(follow_up_days * treatment.inhibitor_share).astype(np.int64)
    planned = np.minimum(planned, treatment.inhibitor_last_day)
    return np.where(eskd_day == NO_DAY, planned, np.minimum(planned, eskd_day))


def settle_stops(
    treatment: Treatment,
    attendance: Attendance,
    course: ObservedCourse,
    eskd_day: IntArray,
    nephrotoxic_day: IntArray,
) -> Stops:
    """Settle when drugs stop and why.

    Nephrotoxicity stops the calcineurin inhibitor that day; kidney failure stops it, other immunosuppressants and the
    renin-angiotensin inhibitor. Where the regimen ends the inhibitor, that is the reason. Other stops are for the
    response seen last: remission after complete response, ineffective after none, an adverse event otherwise.

    Parameters
    ----------
    treatment, attendance, course
        Regimens and what happened.
    eskd_day, nephrotoxic_day
        Days or ``NO_DAY``, shape ``(n,)``.
    """
    end = attendance.follow_up_days
    planned = planned_inhibitor_stop(treatment, end, eskd_day)
    toxic = (nephrotoxic_day != NO_DAY) & (nephrotoxic_day <= planned)
    inhibitor = np.where(toxic, nephrotoxic_day, planned)
    failed = eskd_day != NO_DAY
    background = np.floor(end * treatment.background_share).astype(np.int64)
    background = np.where(failed, np.minimum(background, eskd_day), background)
    raas = np.where(failed, eskd_day, end)

    def reasons(stop: IntArray) -> CodeArray:
        reason = np.full(len(stop), position_of(StopReason.ONGOING), dtype=np.int8)
        early = np.flatnonzero(stop < end)
        seen = _state_before(stop, early, attendance, course)
        reason[early] = np.select(
            [failed[early] & (stop[early] == eskd_day[early]), seen == COMPLETE, seen <= NO_RESPONSE],
            [
                position_of(StopReason.KIDNEY_FAILURE),
                position_of(StopReason.REMISSION),
                position_of(StopReason.INEFFECTIVE),
            ],
            position_of(StopReason.ADVERSE_EVENT),
        )
        return reason

    why = np.where(
        inhibitor == treatment.inhibitor_last_day, position_of(StopReason.PHASE_COMPLETED), reasons(inhibitor)
    )
    return Stops(
        inhibitor=inhibitor,
        inhibitor_reason=np.where(toxic, position_of(StopReason.ADVERSE_EVENT), why),
        background=background,
        background_reason=reasons(background),
        raas_inhibitor=raas,
        raas_inhibitor_reason=reasons(raas),
    )


def _state_before(day: IntArray, who: IntArray, attendance: Attendance, course: ObservedCourse) -> IntArray:
    """Return the response state of patients ``who`` at the last visit attended up to ``day``, if there was one."""
    state, attended = np.full(len(who), NOT_ASSESSED), attendance.attended[who]
    for visit in range(course.state.shape[1]):
        seen = attended[:, visit] & (attendance.visit_day[who, visit] <= day[who])
        state = np.where(seen, course.state[who, visit], state)
    return state


def prednisolone_dose(visits: VisitRows, flare_day: IntArray, model: TreatmentModel, random: NoiseSource) -> FloatArray:
    """Return the dose at each visit: a taper towards the late dose, raised at and after a flare, in steps of 2.5 mg.

    Parameters
    ----------
    visits
        All visits.
    flare_day
        Days of flares or ``NO_DAY``, shape ``(n, v)``.
    model
        Doses.
    random
        Stream to draw from.
    """
    own = np.exp(model.prednisolone_log_sd * random.standard_normal(len(flare_day)))[visits.patient]
    months = (visits.day / DAYS_PER_MONTH).astype(own.dtype, copy=False)
    level = model.prednisolone_late + (model.prednisolone_baseline - model.prednisolone_late) * np.exp(
        -months / model.prednisolone_taper_months
    )
    extra = np.zeros_like(level)
    flared = np.flatnonzero((flare_day != NO_DAY).any(axis=1)[visits.patient])
    own_flares = flare_day[visits.patient[flared]]
    since = visits.day[flared, None] - own_flares
    recent = ((own_flares != NO_DAY) & (since > 0) & (since <= _AFTER_FLARE_DAYS)).any(axis=1)
    extra[flared[recent]] = model.after_flare_prednisolone
    extra[visits.month == UNSCHEDULED] = model.flare_prednisolone
    return tablets(level * own + extra, 2.5, (0.0, 60.0)).astype(np.float64, copy=False)


def tacrolimus_trough(
    visits: VisitRows, treatment: Treatment, stops: Stops, model: TreatmentModel, random: NoiseSource
) -> FloatArray:
    """Return the trough at each visit after day 0 while tacrolimus is taken; NaN where not taken or not measured.

    It rises with the dose unless the regimen aims at a level, and a patient's levels resemble each other.
    """
    variance = log1p((model.tacrolimus_trough_sd / model.tacrolimus_trough_mean) ** 2)
    share = model.trough_patient_share
    own = sqrt(share) * random.standard_normal(len(treatment.tacrolimus))
    aimed = ~np.isnan(treatment.trough_aim)
    dosing = (treatment.tacrolimus_dose / model.tacrolimus_dose) ** model.trough_dose_power
    dosing = np.where(aimed, treatment.trough_aim / model.tacrolimus_trough_mean, dosing)
    fresh = random.standard_normal(len(visits.patient))
    asked = random.random(len(visits.patient)) < model.trough_measured
    last = np.where(treatment.tacrolimus, stops.inhibitor, 0)
    taken = np.flatnonzero((visits.day > 0) & (visits.day <= last[visits.patient]) & asked)
    who = visits.patient[taken]
    noise = own[who] + sqrt(1.0 - share) * fresh[taken]
    typical = model.tacrolimus_trough_mean * np.exp(sqrt(variance) * noise - variance / 2)
    level = np.full(len(visits.patient), np.nan)
    level[taken] = np.round(np.clip(typical * dosing[who], 1.0, 20.0), 1)
    return level


def tablets(dose: Noise, step: float, limits: tuple[float, float]) -> FloatArray:
    """Round to the tablet size within ``limits``."""
    return np.asarray(np.clip(step * np.rint(dose / step), *limits))
