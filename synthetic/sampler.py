"""Cohorts for simulation studies: light, independent, at any strength of confounding, with their true effects.

A sampler draws only what estimators of response and event-free survival look at, from the same streams and by the same
course as a written cohort, so that what it says of a patient is what derivation from the laboratory values would say.
Each cohort has a twin under the sharp null hypothesis: every patient has the outcomes of the reference arm, whatever
the arm, while confounding, attendance and follow-up stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import EndReason, Sex, Status
from cohort.columns import position_of
from cohort.errors import ScenarioError, UsageError
from cohort.record import Measure
from cohort.response import IntArray
from cohort.seeds import SeedTree
from cohort.targets import load_study
from synthetic.assignment import AssignedBaseline
from synthetic.calendar import Attendance
from synthetic.course import COMPLETE, NO_DAY
from synthetic.design import design_of
from synthetic.dials import Dial, parameters, problem
from synthetic.estimands import ASSESSED, TargetPopulation
from synthetic.observed import ObservedCourse
from synthetic.population import BLOCK, follow_patients, observed_course
from synthetic.reconstruct import reconstruct
from synthetic.scenario import Scenario
from synthetic.setting import Setting, settle
from synthetic.true_effects import true_effects
from synthetic.truth import first_flare

FloatArray = npt.NDArray[np.float64]

RESPONSE_MONTH = 12
"""Visit at which complete response is looked at."""
ORACLE_SEVERITY = "oracle_latent_severity"
"""Column of the latent severity: named so that nobody takes it for something a registry could record."""
_DAYS_PER_YEAR = 365.25
_MONTHS_PER_YEAR = 12
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class ConfoundingSampler:
    """Draws cohorts of one study at the strengths of confounding in ``settings``. Made by :func:`confounding_sampler`.

    Parameters
    ----------
    study
        Name of the study.
    seed
        Root of all random streams.
    settings
        By strength: the constants of the patient model.
    """

    study: str
    seed: int
    settings: Mapping[float, Setting]

    @property
    def horizon_years(self) -> float:
        """Where event-free survival ends: the last scheduled visit."""
        return float(next(iter(self.settings.values())).design.months[-1]) / _MONTHS_PER_YEAR

    def per_block(self, patients: int) -> int:
        """Return how many cohorts of so many patients a block holds; it is drawn whole, however many are wanted."""
        return max(1, BLOCK // patients)

    def draw(self, strength: float, patients: int, block: int) -> pd.DataFrame:
        """Draw a block of cohorts.

        Parameters
        ----------
        strength
            One of the strengths of ``settings``.
        patients
            Patients of a cohort.
        block
            Number of the block, from 0. A cohort depends on nothing but seed, study, strength, size and its number.

        Returns
        -------
        pandas.DataFrame
            The rows of a cohort stand together: ``replicate`` (from 1), ``patient_id`` (unique within it), ``treated``
            (first arm), the covariates of day 0 under the names of :class:`analyses.datasets.AnalysisData`,
            ``oracle_latent_severity``; ``assessed`` at the month-12 visit, ``responded`` (complete response there,
            meaningful where assessed), ``years`` to the first of flare, kidney failure and death or to censoring, cut
            at the last scheduled visit, ``event`` (0, 1); and ``null_responded``, ``null_years``, ``null_event`` of the
            twin without any effect.
        """
        setting = self.settings[strength]
        cohorts = self.per_block(patients)
        own = SeedTree(self.seed).child("simulation", f"strength {strength:g}", f"patients {patients}", "block", block)
        return light_frame(setting, cohorts * patients, own).assign(
            replicate=np.repeat(np.arange(cohorts) + block * cohorts + 1, patients),
            patient_id=np.tile(np.arange(patients) + 1, cohorts),
        )

    def truths(self, strength: float) -> pd.DataFrame:
        """Return the true effects at a strength.

        Returns
        -------
        pandas.DataFrame
            ``estimand`` (``risk_difference`` of complete response at month 12, ``restricted_mean_difference`` in years
            and ``log_hazard_ratio`` of event-free survival), ``population`` (``ATE``, ``ATT``, ``ATO``; ``assessed``,
            for the risk difference, is what the crude comparison tends to), ``truth``, ``std_error`` of the truth.
        """
        setting = self.settings[strength]
        table = true_effects(setting)
        survival = {"measure": Measure.FLARE_FREE_SURVIVAL, "month": int(setting.design.months[-1])}
        wanted = {
            "risk_difference": {"measure": Measure.COMPLETE_RESPONSE, "month": RESPONSE_MONTH},
            "restricted_mean_difference": survival,
            "hazard_ratio": survival,
        }
        parts = []
        for name, place in wanted.items():
            rows = table[
                (table["estimand"] == name)
                & (table["measure"] == place["measure"])
                & (table["month"] == place["month"])
            ]
            rows = rows[rows["population"].isin([*TargetPopulation, ASSESSED])]
            ratio = name == "hazard_ratio"
            value, error = (rows[column].to_numpy(dtype=np.float64) for column in ("value", "std_error"))
            parts.append(
                pd.DataFrame(
                    {
                        "estimand": f"log_{name}" if ratio else name,
                        "population": rows["population"].to_numpy(dtype=object),
                        "truth": np.log(value) if ratio else value,
                        "std_error": error / value if ratio else error,
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)


def confounding_sampler(study: str, *, strengths: tuple[float, ...], seed: int) -> ConfoundingSampler:
    """Solve the constants of a study at each strength of confounding.

    Parameters
    ----------
    study
        Name of a study, or path of its file: two arms, not randomised, with a visit at month 12.
    strengths
        Multiples of the default log odds ratios of assignment; 0 is assignment by lot.
    seed
        Root of all random streams.

    Raises
    ------
    ScenarioError
        If a strength is outside the range of the dial ``assignment.strength``, or below 0.
    CalibrationError
        If the printed numbers cannot be met at a strength, or the study was randomised.
    UsageError
        If the study has no visit at month 12 or not two arms.
    """
    scenarios = {strength: strength_scenario(strength) for strength in strengths}
    record = load_study(study)
    design = design_of(record, reconstruct(record))
    if len(design.arms) != 2 or RESPONSE_MONTH not in design.months or design.months[-1] <= RESPONSE_MONTH:
        raise UsageError(
            f"the study of confounding needs two arms, a visit at month {RESPONSE_MONTH} and a later one",
            where=f"study {study}",
            got=f"{len(design.arms)} arms, visits at months {', '.join(map(str, design.months))}",
            remedy="choose kim2025",
        )
    settings = {strength: settle(design, scenario, limits=False) for strength, scenario in scenarios.items()}
    return ConfoundingSampler(record.name, seed, settings)


def strength_scenario(strength: float) -> Scenario:
    """Return the scenario that turns nothing but the strength of confounding.

    Raises
    ------
    ScenarioError
        If the strength is outside the range of the dial ``assignment.strength``, or below 0.

    Examples
    --------
    >>> strength_scenario(0.5).model().assignment.strength
    0.5
    """
    wrong = problem("assignment", "strength", strength)
    if wrong is None and strength < 0:
        wrong = "expected a number from 0: this study sweeps from assignment by lot to strong confounding"
    if wrong is not None:
        raise ScenarioError(wrong, where="dial assignment.strength", got=f"{strength:g}", remedy="choose 0 to 2")
    dial = Dial("assignment", "strength", float(strength), Status.ASSUMED, "simulation study of confounding")
    turned = strength != parameters("assignment")["strength"].default
    return Scenario(f"strength_{strength:g}", dials=(dial,) if turned else ())


def light_frame(setting: Setting, size: int, own: SeedTree) -> pd.DataFrame:
    """Draw patients from the streams below ``own``: covariates, arm and the outcomes, with and without an effect.

    Parameters
    ----------
    setting
        Design, model and calibrated constants.
    size
        Patients.
    own
        Node whose streams :func:`synthetic.population.draw_patients` would draw the same patients from.

    Returns
    -------
    pandas.DataFrame
        The columns of :meth:`ConfoundingSampler.draw` but ``replicate`` and ``patient_id``.
    """
    followed = follow_patients(size, setting, own)
    assigned, attendance = followed.assigned, followed.attendance
    visit = setting.design.months.tolist().index(RESPONSE_MONTH)
    horizon = float(setting.design.months[-1]) / _MONTHS_PER_YEAR
    frame = _covariates(assigned).assign(assessed=attendance.attended[:, visit] & ~attendance.untested[:, visit])
    reference = np.full(size, setting.design.reference)
    for prefix, arm in (("", assigned.arm), ("null_", reference)):
        course = observed_course(followed, arm, setting)
        years, event = _first_event(course, attendance, horizon)
        frame[f"{prefix}responded"] = course.state[:, visit] == COMPLETE
        frame[f"{prefix}years"], frame[f"{prefix}event"] = years, event
    return frame


def _covariates(assigned: AssignedBaseline) -> pd.DataFrame:
    baseline = assigned.baseline
    return pd.DataFrame(
        {
            "treated": assigned.arm == 0,
            "age_years": baseline.age_years,
            "sex": np.where(baseline.female, Sex.FEMALE.value, Sex.MALE.value),
            "sle_duration_years": baseline.sle_duration_years,
            "class_v": baseline.class_v,
            "activity_index": baseline.activity_index.astype(np.float64),
            "chronicity_index": baseline.chronicity_index.astype(np.float64),
            "hypertension": baseline.hypertension,
            "refractory": baseline.refractory,
            "log_upcr": np.log(baseline.upcr / 100.0),
            "log_creatinine": np.log(baseline.creatinine / 100.0),
            "albumin_g_dl": baseline.labs.albumin.astype(np.float64),
            ORACLE_SEVERITY: baseline.latent_severity,
        }
    )


def _first_event(course: ObservedCourse, attendance: Attendance, horizon: float) -> tuple[FloatArray, IntArray]:
    """Years to the first of flare, kidney failure and death or to the end of follow-up, cut at the horizon."""
    end = attendance.follow_up_days
    died = attendance.end_reason == position_of(EndReason.DEATH)
    days = (first_flare(course.flare_day), course.failure_day, np.where(died, end, NO_DAY))
    first = np.min([np.where(day == NO_DAY, _NEVER, day) for day in days], axis=0)
    years = np.minimum(first, end) / _DAYS_PER_YEAR
    event = (first != _NEVER) & (years <= horizon)
    return np.minimum(years, horizon), event.astype(np.int64)
