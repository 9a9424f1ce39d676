"""Laboratory values at every visit, written in time order so that definitions find exactly the intended course.

UPCR follows the position of a patient within the response band of the visit; creatinine follows baseline. Both are
kept inside what the study's response definition and the flare definition allow for the intended state.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from cohort.columns import WholeArray
from cohort.definitions import FlareDefinition, ResponseDefinition
from cohort.egfr import EGFR_PER_YEAR, ckd_epi_2021, creatinine_for_egfr
from cohort.flare import Reference, creatinine_flare_rise, flare_grade, upcr_flare_limit
from cohort.response import BoolArray, IntArray, hundredths
from synthetic.baseline import Baseline
from synthetic.calendar import Attendance
from synthetic.coarse import Noise, NoiseSource
from synthetic.course import COMPLETE, NO_DAY, NO_RESPONSE, PARTIAL
from synthetic.labs import LabPatient, Secondary, draw_secondary, with_sediment
from synthetic.model import PatientModel
from synthetic.observed import ObservedCourse

FloatArray = npt.NDArray[np.float64]

UNSCHEDULED = -1
"""Stands for "no scheduled month" in ``VisitRows.month``."""
_NO_LIMIT = np.iinfo(np.int64).max
_LOWEST_CREATININE = 35
"""In hundredths of mg/dL."""


@dataclass(frozen=True, slots=True)
class VisitRows:
    """One element per visit: position of the patient, scheduled month, day, UPCR and creatinine in hundredths.

    Kidney tests of ``untested`` visits were not done: their values there are those of the visit before.
    """

    patient: WholeArray
    month: WholeArray
    day: WholeArray
    upcr: WholeArray
    creatinine: WholeArray
    labs: Secondary
    untested: BoolArray


@dataclass(frozen=True, slots=True)
class FlareRows:
    """One element per renal flare: position of the patient, day, and grade (1 mild, 2 moderate, 3 severe)."""

    patient: IntArray
    day: IntArray
    grade: IntArray


class VisitWriter:
    """Writes the visits of all patients in time order, remembering each patient's response and its lowest values."""

    def __init__(
        self,
        baseline: Baseline,
        model: PatientModel,
        response: ResponseDefinition,
        flare: FlareDefinition,
        random: NoiseSource,
        untested_random: NoiseSource,
    ) -> None:
        self._baseline, self._model, self._random = baseline, model, random
        self._response, self._flare = response, flare
        # Visits without kidney tests draw from a stream of their own, so that they move no value of another visit.
        self._untested_random = untested_random
        self._kidney = model.kidney
        self._shift = np.asarray(model.baseline.class_activity)[baseline.lupus_class]
        number = baseline.laboratory_level.dtype
        self._creatinine = baseline.creatinine.astype(number)
        self._home = self._creatinine.copy()
        self._upcr = baseline.upcr.copy()
        self._written = np.zeros(baseline.size, dtype=np.int64)
        self._lowest = [np.zeros(baseline.size, dtype=np.int64) for _ in range(3)]
        self._half = baseline.upcr * (100 - round(response.partial_reduction * 100)) // 100
        self._in_response = np.zeros(baseline.size, dtype=bool)
        self._rows: list[VisitRows] = []
        self._nth: list[IntArray] = []
        self._flares: list[FlareRows] = []
        upper = np.where(
            baseline.female,
            hundredths(response.normal_creatinine_women),
            hundredths(response.normal_creatinine_men),
        )
        rise = 100 + round(response.creatinine_rise_below * 100)
        below_rise = (baseline.creatinine * rise - 1) // 100
        self._complete_creatinine = np.where(baseline.creatinine <= upper, np.minimum(upper, below_rise), upper)

    def write_baseline(self) -> None:
        """Write the visit of day 0."""
        everybody = np.arange(self._baseline.size)
        zero = np.zeros(self._baseline.size, dtype=np.int64)
        self._append(everybody, 0, zero, self._baseline.upcr, self._baseline.creatinine, self._baseline.labs)

    def write_flares(self, patient: IntArray, day: IntArray, sustained: BoolArray, eskd_day: IntArray) -> None:
        """Write an unscheduled visit that shows a flare for each of the patients, all of them in response."""
        kidney, size = self._kidney, len(patient)
        reference = Reference(*(lowest[patient] for lowest in self._lowest))
        coin = self._random.random((2, size))
        z = np.abs(self._random.standard_normal((2, size)))
        quiet_sediment = reference.rbc < self._flare.rbc_quiet
        mild = (coin[0] < self._model.course.mild_flare) & ~sustained & quiet_sediment
        limit = upcr_flare_limit(reference.upcr, self._flare)
        highest = np.maximum(hundredths(kidney.upcr_highest), limit)
        above = np.minimum(np.ceil(limit * np.exp(kidney.flare_upcr_log_sd * z[0])), highest)
        below = np.minimum(np.rint(reference.upcr * np.exp(kidney.mild_upcr_log_sd * z[0])), limit - 1)
        upcr = np.where(mild, below, above).astype(np.int64)
        rise = creatinine_flare_rise(reference.creatinine, self._flare)
        raised = reference.creatinine + rise + np.floor(100 * kidney.flare_creatinine_sd * z[1]).astype(np.int64)
        steady = np.minimum(np.rint(self._creatinine[patient]).astype(np.int64), reference.creatinine + rise - 1)
        failing = np.flatnonzero((eskd_day != NO_DAY) & ~mild)
        climbing = np.exp(self._climbing(patient[failing], day[failing], eskd_day[failing]))
        steady[failing] = np.maximum(steady[failing], np.floor(climbing).astype(np.int64))
        renal = ~mild & (coin[1] < self._model.course.creatinine_flare)
        most = self._creatinine_of(kidney.failure_egfr + 1.0, patient, day)
        creatinine = np.minimum(np.where(renal, raised, steady), most)
        labs = self._draw_labs(patient, upcr, lift=kidney.flare_activity)
        sediment = np.maximum(labs.urine_rbc, self._flare.rbc_active + 1)
        labs = with_sediment(labs, np.where(mild, sediment, labs.urine_rbc), mild | labs.urine_casts)
        grade = flare_grade(upcr, creatinine, labs.urine_rbc, labs.urine_casts, reference, self._flare)
        self._in_response[patient] = False
        self._creatinine[patient] = creatinine
        self._append(patient, UNSCHEDULED, day, upcr, creatinine, labs)
        self._flares.append(FlareRows(patient, day, grade))

    def write_scheduled(
        self,
        patient: IntArray,
        month: int,
        day: IntArray,
        state: IntArray,
        band_position: FloatArray,
        eskd_day: IntArray,
    ) -> None:
        """Write a scheduled visit that shows ``state`` for each of the patients."""
        reference = Reference(*(lowest[patient] for lowest in self._lowest))
        continuing = self._in_response[patient]
        lowest, highest = self._upcr_band(patient, state, reference, continuing)
        number = self._creatinine.dtype
        spread = (highest / lowest).astype(number, copy=False) ** band_position.astype(number, copy=False)
        upcr = np.rint(lowest * spread).astype(np.int64)
        creatinine = self._draw_creatinine(patient, day, state, eskd_day)
        # While a response lasts, creatinine stays below the rise that would be a flare.
        most = reference.creatinine + creatinine_flare_rise(reference.creatinine, self._flare) - 1
        beyond = continuing & (creatinine > most)
        creatinine = self._kept_below(creatinine, most, beyond)
        self._creatinine[patient] = creatinine
        responding = state > NO_RESPONSE
        home = self._home[patient]
        self._home[patient] = np.where(responding, np.minimum(home, creatinine), home)
        labs = self._draw_labs(patient, upcr, lift=0.0)
        # A sediment that turns active while the response lasts would be a flare of its own.
        turned = continuing & (reference.rbc < self._flare.rbc_quiet) & (labs.urine_rbc > self._flare.rbc_active)
        labs = with_sediment(labs, labs.urine_rbc, labs.urine_casts & ~turned)
        self._append(patient, month, day, upcr, creatinine, labs)
        starting = responding & ~continuing
        for lowest_so_far, before, value in zip(
            self._lowest,
            (reference.upcr, reference.creatinine, reference.rbc),
            (upcr, creatinine, labs.urine_rbc),
            strict=True,
        ):
            lowest_so_far[patient] = np.where(starting, value, np.minimum(before, value))
        self._in_response[patient] = continuing | starting

    def write_untested(self, patient: IntArray, month: int, day: IntArray) -> None:
        """Write a scheduled visit without kidney tests for each of the patients."""
        upcr, creatinine = self._upcr[patient], np.rint(self._creatinine[patient]).astype(np.int64)
        labs = self._draw_labs(patient, upcr, lift=0.0, random=self._untested_random)
        self._append(patient, month, day, upcr, creatinine, labs, untested=True)

    def write_kidney_failure(self, patient: IntArray, day: IntArray) -> None:
        """Write an unscheduled visit with eGFR below 15, none of the patients being in response."""
        half = self._baseline.upcr[patient] // 2
        least = np.maximum(half + 1, hundredths(self._kidney.failure_upcr))
        z = np.abs(self._random.standard_normal(len(patient)))
        most = np.maximum(least, hundredths(self._kidney.upcr_highest))
        upcr = np.minimum(np.ceil(least * np.exp(self._kidney.flare_upcr_log_sd * z)), most).astype(np.int64)
        creatinine = self._dialysis_creatinine(patient, day, self._random.random(len(patient)))
        labs = self._draw_labs(patient, upcr, lift=self._kidney.failure_activity)
        self._append(patient, UNSCHEDULED, day, upcr, creatinine, labs)
        # Unlike the others, this visit may lie before some already written: it changes place with them.
        failure, passed = np.full(self._baseline.size, np.iinfo(np.int64).max), np.zeros_like(self._written)
        failure[patient] = day
        for part, nth in zip(self._rows[:-1], self._nth[:-1], strict=True):
            later = part.day > failure[part.patient]
            nth += later
            passed[part.patient] += later
        self._nth[-1] -= passed[patient]

    def rows(self) -> VisitRows:
        """Return all visits, ordered by patient and day."""
        first = np.cumsum(self._written) - self._written
        places = [first[part.patient] + nth for part, nth in zip(self._rows, self._nth, strict=True)]
        total = int(self._written.sum())

        def placed(columns: list[npt.NDArray[np.generic]]) -> Any:
            kind = columns[0].dtype
            out = np.empty(total, dtype=np.int32 if kind.kind == "i" else kind)
            for place, column in zip(places, columns, strict=True):
                out[place] = column
            return out

        return VisitRows(
            patient=np.repeat(np.arange(len(first)), self._written),
            month=placed([part.month for part in self._rows]),
            day=placed([part.day for part in self._rows]),
            upcr=placed([part.upcr for part in self._rows]),
            creatinine=placed([part.creatinine for part in self._rows]),
            labs=Secondary(
                *(placed([getattr(part.labs, field.name) for part in self._rows]) for field in fields(Secondary))
            ),
            untested=placed([part.untested for part in self._rows]),
        )

    def flares(self) -> FlareRows:
        """Return all flares written so far."""
        parts = self._flares
        empty = np.empty(0, dtype=np.int64)
        return FlareRows(
            *(np.concatenate([empty, *(getattr(part, name) for part in parts)]) for name in ("patient", "day", "grade"))
        )

    def _append(
        self,
        patient: IntArray,
        month: int,
        day: IntArray,
        upcr: IntArray,
        creatinine: IntArray,
        labs: Secondary,
        *,
        untested: bool = False,
    ) -> None:
        """Add visits, at most one a patient, after those written before."""
        size = len(patient)
        self._rows.append(
            VisitRows(patient, np.full(size, month), day, upcr, creatinine, labs, np.full(size, untested))
        )
        self._upcr[patient] = upcr
        self._nth.append(self._written[patient])
        self._written[patient] += 1

    def _upcr_band(
        self, patient: IntArray, state: IntArray, reference: Reference, continuing: BoolArray
    ) -> tuple[IntArray, IntArray]:
        """Lowest and highest UPCR, in hundredths, that show ``state`` and no flare."""
        baseline = self._baseline.upcr[patient]
        half = self._half[patient]
        nephrotic = hundredths(self._response.partial_upcr_below)
        complete_limit = hundredths(self._response.complete_upcr_below)
        top = hundredths(self._kidney.upcr_highest)
        quiet = np.where(continuing, upcr_flare_limit(reference.upcr, self._flare) - 1, top)
        complete, partial = state == COMPLETE, state == PARTIAL
        without = np.minimum(half + 1, nephrotic)
        # Proteinuria does not vanish between two visits.
        least = np.floor(self._upcr[patient] / self._kidney.largest_upcr_fall).astype(np.int64)
        least = np.clip(least, hundredths(self._kidney.upcr_lowest), complete_limit - 1)
        lowest = np.where(complete, least, np.where(partial, complete_limit, without))
        worst = np.maximum(without * self._kidney.no_response_spread, baseline * self._kidney.no_response_worst)
        highest = np.where(
            complete,
            np.minimum(quiet, complete_limit - 1),
            np.where(
                partial,
                np.minimum(np.minimum(half, nephrotic - 1), quiet),
                np.minimum(worst, top).astype(np.int64),
            ),
        )
        return np.minimum(lowest, highest), highest

    def _draw_labs(
        self, patient: IntArray, upcr: IntArray, lift: float, random: NoiseSource | None = None
    ) -> Secondary:
        own = LabPatient(
            self._baseline.latent_severity[patient],
            self._baseline.female[patient],
            self._shift[patient] + lift,
            self._baseline.laboratory_level.take(patient, axis=1, mode="wrap"),
        )
        return draw_secondary(upcr, own, self._model.laboratory, random or self._random)

    def _draw_creatinine(self, patient: IntArray, day: IntArray, state: IntArray, eskd_day: IntArray) -> IntArray:
        """Draw around the visit before and the patient's own level, kept within what the state allows."""
        kidney = self._kidney
        home = np.log(self._home[patient])
        centre = kidney.creatinine_memory * np.log(self._creatinine[patient]) + (1 - kidney.creatinine_memory) * home
        severity = np.maximum(self._baseline.latent_severity[patient], 0.0)
        worsening = kidney.creatinine_no_response + kidney.creatinine_severity * severity
        centre += np.where(state > NO_RESPONSE, kidney.creatinine_response, worsening)
        failing = np.flatnonzero((eskd_day != NO_DAY) & (state == NO_RESPONSE))
        climbing = self._climbing(patient[failing], day[failing], eskd_day[failing])
        centre[failing] = np.maximum(centre[failing], climbing)
        noise = self._random.standard_normal(len(patient))
        drawn = np.rint(np.exp(centre + kidney.creatinine_log_sd * noise)).astype(np.int64)
        limit = np.where(state == COMPLETE, self._complete_creatinine[patient], _NO_LIMIT)
        # It falls with age, so that those below that of the oldest on the last day need not know theirs.
        oldest = self._baseline.age_years.max() + day.max(initial=0) / 365.25
        for code, egfr in ((PARTIAL, self._response.near_normal_egfr), (NO_RESPONSE, kidney.failure_egfr + 1.0)):
            least = 100.0 * creatinine_for_egfr(egfr, oldest, [False, True]).min() - 2.0
            those = np.flatnonzero((state == code) & (drawn > least))
            limit[those] = self._creatinine_of(egfr, patient[those], day[those])
        drawn = self._kept_below(drawn, limit, drawn > limit)
        uniform = self._random.random(len(patient))[failing]
        on_dialysis = day[failing] > eskd_day[failing]
        those = failing[on_dialysis]
        drawn[those] = self._dialysis_creatinine(patient[those], day[those], uniform[on_dialysis])
        return np.maximum(drawn, _LOWEST_CREATININE)

    def _climbing(self, patient: IntArray, day: IntArray, eskd_day: IntArray) -> FloatArray:
        """Log creatinine on the way to kidney failure, climbing ever faster from the patient's own level."""
        home = np.log(self._home[patient])
        nearness = np.minimum(day / np.maximum(eskd_day, 1), 1.0) ** 2
        at_failure = np.log(self._creatinine_of(self._kidney.failure_egfr, patient, day))
        return np.asarray(home + nearness * (at_failure - home))

    def _kept_below(self, values: IntArray, limit: IntArray, beyond: BoolArray) -> IntArray:
        """Scatter values ``beyond`` a limit below it, as a laboratory would report them, rather than on it."""
        z = self._random.standard_normal(len(limit))
        those = np.flatnonzero(beyond)
        scattered = limit[those] * np.exp(-self._kidney.below_limit_log_sd * np.abs(z[those]))
        values[those] = np.floor(scattered).astype(np.int64)
        return values

    def _creatinine_of(self, egfr: float, patient: IntArray, day: IntArray) -> IntArray:
        """Highest printed creatinine, in hundredths, that still gives at least ``egfr``."""
        age = self._baseline.age_years[patient] + day / 365.25
        exact = creatinine_for_egfr(np.full(len(patient), egfr), age, self._baseline.female[patient])
        return np.floor(exact * 100.0).astype(np.int64)

    def _dialysis_creatinine(self, patient: IntArray, day: IntArray, uniform: Noise) -> IntArray:
        age = self._baseline.age_years[patient] + day / 365.25
        lowest, highest = self._kidney.dialysis_egfr
        egfr = lowest + (highest - lowest) * uniform
        exact = creatinine_for_egfr(egfr, age, self._baseline.female[patient])
        return np.ceil(exact * 100.0).astype(np.int64)


def printed_egfr(visits: VisitRows, baseline: Baseline) -> FloatArray:
    """Return the eGFR of each visit by CKD-EPI 2021 from the printed creatinine and the age that day, to one decimal.

    The factors of creatinine, of age at the index date and of time since are computed once for each value.
    """
    who = visits.patient
    highest = int(visits.creatinine.max())
    printed = np.maximum(np.arange(highest + 1), 1) / 100.0
    of_creatinine: FloatArray = np.stack([ckd_epi_2021(printed, 0.0, female) for female in (False, True)])
    yearly = log(EGFR_PER_YEAR)
    at_start = np.exp(yearly * baseline.age_years)
    of_age = at_start.take(who) * np.exp(yearly / 365.25 * np.arange(visits.day.max() + 1)).take(visits.day)
    egfr: FloatArray = of_creatinine[baseline.female[who].astype(np.intp), visits.creatinine] * of_age
    return np.round(egfr, 1)


def write_visits(
    writer: VisitWriter, attendance: Attendance, course: ObservedCourse, months: IntArray, eskd_day: IntArray
) -> tuple[VisitRows, FlareRows]:
    """Write day 0, then for each interval its flares and its scheduled visit, then kidney failures.

    Parameters
    ----------
    writer
        A fresh writer.
    attendance, course
        Visit days and intended states of ``n`` patients.
    months
        Months of the scheduled visits after day 0, shape ``(v,)``.
    eskd_day
        Day of kidney failure or ``NO_DAY``, shape ``(n,)``.
    """
    writer.write_baseline()
    attended = attendance.attended
    for visit, month in enumerate(months):
        flaring = np.flatnonzero(course.flare_day[:, visit] != NO_DAY)
        writer.write_flares(
            flaring, course.flare_day[flaring, visit], course.sustained[flaring, visit], eskd_day[flaring]
        )
        seen = np.flatnonzero(attended[:, visit])
        day = attendance.visit_day[seen, visit]
        writer.write_scheduled(
            seen, int(month), day, course.state[seen, visit], course.band_position[seen, visit], eskd_day[seen]
        )
        untested = np.flatnonzero(attendance.untested[:, visit])
        if untested.size:
            writer.write_untested(untested, int(month), attendance.visit_day[untested, visit])
    failing = np.flatnonzero(eskd_day != NO_DAY)
    writer.write_kidney_failure(failing, eskd_day[failing])
    return writer.rows(), writer.flares()
