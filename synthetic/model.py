"""The numbers of the patient model that print does not fix, each with its status and source."""

from __future__ import annotations

from dataclasses import dataclass, field

from cohort.codes import Ethnicity, Status
from cohort.provenance import parameter

_B, _A, _D = Status.BORROWED, Status.ASSUMED, Status.DERIVED
_PARK = "Park 2022, Hanyang prospective LN cohort (n 75)"
_MOK = "Mok RCT, Hong Kong (n 150), PMID 25550339"
_KWON = "Kwon 2020, Severance LN cohort (n 136), doi:10.3349/ymj.2020.61.11.951"
_IJMS = "39 LN patients of mixed activity, Int J Mol Sci 2019;20:2606"
_PLAUSIBLE = "chosen for plausible laboratory reports; no source fixes it"
_ABSTRACT_2022 = "conference abstract, Lupus Sci Med 2022;9(Suppl 2):A84"


ELSEWHERE: tuple[Ethnicity, ...] = tuple(code for code in Ethnicity if code is not Ethnicity.KOREAN)
"""Origins of patients who are not Korean, in the order of ``RecruitmentModel.elsewhere``."""


@dataclass(frozen=True, slots=True)
class BaselineModel:
    """Marginal distributions at the index date in the source population, before assignment."""

    age_mean: float = parameter(35.5, "years", _B, _MOK)
    age_sd: float = parameter(12.8, "years", _B, _MOK)
    age_minimum: float = parameter(18.0, "years", _A, "adult patients")
    age_maximum: float = parameter(75.0, "years", _A, "range of biopsied adults")
    female: float = parameter(0.907, "proportion", _B, _PARK)
    korean: float = parameter(0.97, "proportion", _A, "single centre in Korea; no figure printed")
    rheumatology_clinic: float = parameter(
        0.8, "proportion", _A, "single centre; the clinic that follows the patient is ours"
    )
    sle_duration_mean: float = parameter(50.2 / 12, "years", _B, _MOK)
    sle_duration_sd: float = parameter(62.0 / 12, "years", _B, _MOK)
    class_mix: tuple[float, ...] = parameter(
        (0.04, 0.20, 0.44, 0.12, 0.12, 0.08),
        "proportion of II, III, IV, V, III+V, IV+V",
        _A,
        f"III and IV as in {_PARK}; the rest shared out, since You 2009 (n 67) holds class II and more class V",
    )
    activity_mean: float = parameter(
        9.15, "points, proliferative classes", _D, f"mean of all classes 8.2, classes II and V counted as below, {_MOK}"
    )
    activity_sd: float = parameter(3.4, "points, proliferative classes", _A, f"all classes in {_MOK}")
    quiet_class_activity: float = parameter(0.35, "share of activity index in classes II and V", _A, _PLAUSIBLE)
    chronicity_mean: float = parameter(2.6, "points", _B, _MOK)
    chronicity_sd: float = parameter(1.6, "points", _B, _MOK)
    hypertension: float = parameter(0.39, "proportion", _B, _MOK)
    diabetes: float = parameter(0.08, "proportion", _A, "borrowable figure is 3 of 17 patients (PMC9615980), too few")
    refractory: float = parameter(0.35, "proportion", _A, "the paper speaks of patients who did not reach remission")
    upcr_median: float = parameter(2.8, "g/g", _A, f"between the two groups of {_KWON}: 4.63 and 2.41 g/g")
    upcr_log_sd: float = parameter(0.7, "log g/g", _A, f"below 0.84 and 1.04 from the interquartile ranges of {_KWON}")
    upcr_minimum: float = parameter(1.0, "g/g", _A, "a partial response must be possible")
    upcr_maximum: float = parameter(18.0, "g/g", _A, _PLAUSIBLE)
    creatinine_median: float = parameter(
        0.93, "mg/dL", _D, f"mean 1.06, SD 0.58 in active disease (PMC3674621, n 52); 0.80 in {_IJMS}"
    )
    creatinine_log_sd: float = parameter(
        0.37, "log mg/dL", _A, f"0.335 by the interquartile range of {_IJMS}, 0.51 in PMC3674621 (n 52)"
    )
    creatinine_minimum: float = parameter(0.40, "mg/dL", _A, _PLAUSIBLE)
    creatinine_maximum: float = parameter(3.0, "mg/dL", _B, "entry limit of the Liu 2015 trial (NCT00876616)")
    class_v_upcr_ratio: float = parameter(1.25, "ratio", _A, "membranous disease leaks more protein")
    class_ii_upcr_ratio: float = parameter(0.6, "ratio", _A, "mesangial disease leaks less")
    class_activity: tuple[float, ...] = parameter(
        (-0.8, 0.0, 0.3, -0.7, 0.0, 0.2),
        "units of activity of II, III, IV, V, III+V, IV+V",
        _A,
        "C3 lowest in class IV (You 2009); sizes ours",
    )
    hypertension_age: float = parameter(0.35, "SD per SD of age", _A, "more frequent with age")
    diabetes_age: float = parameter(0.40, "correlation with age", _A, "more frequent with age")
    male_creatinine_ratio: float = parameter(
        0.9 / 0.7, "ratio", _D, "the two creatinine scales of CKD-EPI 2021, doi:10.1056/NEJMoa2102953"
    )
    shortest_life_before_sle: float = parameter(12.0, "years of age at onset", _A, "no childhood-onset disease")
    class_v_creatinine_ratio: float = parameter(0.90, "ratio", _A, "membranous disease keeps filtration longer")
    severity_correlations: tuple[float, ...] = parameter(
        (-0.10, 0.15, 0.35, 0.40, 0.30, 0.30, 0.35, 0.35),
        "correlation of severity with age, duration, activity, chronicity, UPCR, creatinine, hypertension, refractory",
        _A,
        "signs as a nephrologist expects, sizes ours",
    )


@dataclass(frozen=True, slots=True)
class RecruitmentModel:
    """Who is recruited and until when; nothing that a calibration depends on."""

    elsewhere: tuple[float, ...] = parameter(
        (1.0, 0.0, 0.0, 0.0),
        "proportion of the patients who are not Korean: other Asian, other, white, Hispanic",
        _A,
        "single centre in Korea; no figure printed",
    )
    last_index_year: int = parameter(2021, "calendar year", Status.REPORTED_EARLIER, _ABSTRACT_2022)


@dataclass(frozen=True, slots=True)
class AssignmentModel:
    """Log odds of tacrolimus per standard deviation or level; the confounding by indication."""

    strength: float = parameter(
        1.0, "multiple of every log odds ratio of this set", _A, "0 is a randomised comparison; 1 is the default model"
    )
    class_v: float = parameter(
        1.3, "log odds ratio", _A, "class V more frequent on tacrolimus (reported, no size printed)"
    )
    log_upcr: float = parameter(0.10, "log odds ratio per SD", _A, "direction from the editorial")
    log_upcr_sd: float = parameter(0.75, "log g/g in one SD", _A, "as the baseline model")
    refractory: float = parameter(0.40, "log odds ratio", _A, "direction from the editorial")
    latent_severity: float = parameter(
        0.35, "log odds ratio per SD", _A, "editorial: more severe disease on tacrolimus; size ours"
    )
    calendar_year: float = parameter(
        0.09, "log odds ratio per year", _A, "tacrolimus came into use over the accrual period"
    )
    balance_alpha: float = parameter(0.05, "significance level", _D, "paper: baseline similar except for class V")
    smd_cap: float = parameter(
        0.20, "standardised mean difference", _A, "measured confounders stay similar, as printed"
    )


@dataclass(frozen=True, slots=True)
class CalendarModel:
    """Accrual, visits and the end of follow-up."""

    first_index_year: int = parameter(1999, "calendar year", Status.REPORTED_EARLIER, _ABSTRACT_2022)
    data_lock: str = parameter(
        "2021-12-31", "date", Status.REPORTED_EARLIER, f"end of the record window, {_ABSTRACT_2022}"
    )
    visit_window_months: tuple[int, ...] = parameter(
        (6, 12, 24, 36, 60),
        "months at which the windows below hold; between them in proportion",
        _D,
        "visits of Kim 2025",
    )
    visit_window_days: tuple[int, ...] = parameter(
        (21, 30, 45, 60, 60), "days around months 6, 12, 24, 36, 60", _A, "routine clinic practice"
    )
    visit_jitter_sd: float = parameter(0.4, "share of the window", _A, "most visits near their month")
    lost_share: float = parameter(0.30, "proportion of early ends", _A, "most early ends are the data lock")
    leaving_hr_severity: float = parameter(
        1.0, "hazard ratio of leaving early per SD of severity", _A, "who leaves early does not depend on severity"
    )


@dataclass(frozen=True, slots=True)
class MissingModel:
    """Visits missed by patients who stay under observation, and laboratory values missing at visits."""

    missed_visit_share: float = parameter(
        0.0, "share of unassessed patients who stay under observation", _A, "print gives only how many are assessed"
    )
    without_kidney_tests: float = parameter(
        0.0, "share of missed visits that took place without kidney tests", _A, "print gives only how many are assessed"
    )
    laboratory: float = parameter(
        0.0, "probability that a secondary value is missing at a visit", _A, "complete unless asked otherwise"
    )
    mechanism: str = parameter(
        "mcar", "mcar, mar (by baseline UPCR) or informative (by the latent course)", _A, "completely at random"
    )
    strength: float = parameter(1.0, "log odds of missing per SD, under mar and informative", _A, "moderate dependence")


@dataclass(frozen=True, slots=True)
class EffectModel:
    """What treatment does beyond response; the effect on response is solved from print and confounding."""

    flare_hazard_ratio: float = parameter(
        1.0, "hazard ratio of renal flare in response, against the reference arm", _A, "no difference was found"
    )


@dataclass(frozen=True, slots=True)
class CentreModel:
    """Several centres whose effects are the normal scores of their number, in a different order for each effect."""

    number: int = parameter(1, "centres", _A, "the flagship study has one; effects act from two on")
    case_mix_sd: float = parameter(0.3, "SD of severity between centres", _A, "referral differs")
    practice_sd: float = parameter(0.6, "log odds of tacrolimus between centres", _A, "practice differs")
    outcome_sd: float = parameter(0.2, "SD of score between centres", _A, "care differs")


@dataclass(frozen=True, slots=True)
class CourseModel:
    """The latent renal course and the hazards of events."""

    severity_weight: float = parameter(0.55, "SD of score per SD", _A, "sicker patients respond less")
    chronicity_weight: float = parameter(0.20, "SD of score per SD", _A, "direction from BAE: chronicity predicts ESRD")
    low_egfr_weight: float = parameter(
        0.60, "SD of score per 15 mL/min below 75", _A, "105 Chinese patients: highest creatinine without response"
    )
    chronicity_centre: float = parameter(2.6, "points, scored as 0", _B, _MOK)
    chronicity_scale: float = parameter(1.6, "points per SD of score weight", _B, _MOK)
    low_egfr_from: float = parameter(75.0, "mL/min/1.73 m2", _A, "lower eGFR makes response less likely")
    age_centre: float = parameter(35.5, "years, hazard ratio 1", _B, _MOK)
    patient_sd: float = parameter(0.60, "SD of score", _A, "responses persist within a patient")
    visit_sd: float = parameter(0.60, "SD of score", _A, "visit-to-visit noise")
    visit_autocorrelation: float = parameter(0.50, "correlation of adjacent visits", _A, "carried over between visits")
    flare_shift: float = parameter(1.2, "SD of score", _A, "a flare worsens the course")
    flare_shift_decay: float = parameter(0.5, "share kept at each later visit", _A, "the course recovers")
    flare_rate: float = parameter(
        9.6,
        "per 100 patient-years in response",
        _B,
        "Seoul St Mary's, after CR (n 296): 38.2 % at 5 years, constant hazard",
    )
    flare_hr_severity: float = parameter(1.5, "hazard ratio per SD of severity", _A, "direction assumed")
    flare_hr_age_decade: float = parameter(0.779, "hazard ratio per 10 years", _B, "Seoul St Mary's (n 296)")
    mild_flare: float = parameter(0.15, "proportion of transient flares", _A, "sediment only")
    creatinine_flare: float = parameter(0.30, "proportion of flares with a creatinine rise", _A, _PLAUSIBLE)
    death_rate: float = parameter(0.48, "per 100 patient-years", _B, "BAE/Hanyang (n 599), derived from 31 deaths")
    eskd_rate: float = parameter(0.66, "per 100 patient-years", _B, "BAE/Hanyang (n 599), derived from 42 ESRD")
    poor_outcome_hr_severity: float = parameter(2.0, "hazard ratio per SD of severity", _A, "direction assumed")
    eskd_hr_low_egfr: float = parameter(
        9.223, "hazard ratio, baseline eGFR below 60", _B, "Seoul St Mary's (n 321), PMID 22935632"
    )
    serious_infection_rate: float = parameter(
        3.9, "per 100 patient-years", _A, "rate to the first in Ho 2020, Hong Kong (n 115), taken for each"
    )
    zoster_rate: float = parameter(
        3.0, "per 100 patient-years", _A, "below the first-two-year 8.84 of the Hong Kong LN cohort, over five years"
    )
    cardiovascular_rate: float = parameter(0.6, "per 100 patient-years", _A, "no LN figure at hand")
    malignancy_rate: float = parameter(0.3, "per 100 patient-years", _A, "no LN figure at hand")
    nephrotoxicity_rate: float = parameter(
        1.0,
        "per 100 patient-years on tacrolimus",
        _A,
        "Korean post-marketing survey: 1.0 % decreased clearance, no person-time",
    )
    hypertension_onset_rate: float = parameter(2.0, "per 100 patient-years without it", _A, "no LN figure at hand")
    diabetes_onset_rate: float = parameter(0.8, "per 100 patient-years without it", _A, "no LN figure at hand")


@dataclass(frozen=True, slots=True)
class TreatmentModel:
    """Maintenance drugs and doses."""

    background_share: tuple[float, ...] = parameter(
        (0.70, 0.22, 0.08),
        "mycophenolate, azathioprine, mizoribine",
        _A,
        "editorial: mostly mycophenolate; shares ours",
    )
    background_stopped: float = parameter(0.15, "proportion before end of follow-up", _A, "not printed")
    no_immunosuppressant: float = parameter(
        0.05, "proportion without tacrolimus", _A, "the other arm usually had one immunosuppressant"
    )
    induction_share: tuple[float, ...] = parameter(
        (0.45, 0.45, 0.10), "cyclophosphamide, mycophenolate, glucocorticoid only", _A, "not printed"
    )
    hydroxychloroquine: float = parameter(0.795, "proportion", _B, _IJMS)
    raas_inhibitor: float = parameter(0.471, "proportion", _B, "17 LN patients, PMC9615980")
    raas_hypertension: float = parameter(0.9, "log odds ratio", _A, "given for blood pressure")
    raas_log_upcr: float = parameter(0.4, "log odds ratio per log g/g", _A, "given for proteinuria")
    tacrolimus_dose: float = parameter(3.0, "mg/day", _B, "Japanese maintenance series, Nephron Clin Pract 113:c330")
    tacrolimus_dose_sd: float = parameter(0.7, "mg/day", _A, "no distribution of the dose was found")
    tacrolimus_trough_mean: float = parameter(4.9, "ng/mL", _A, "maintenance target 4-6 (Chen trial); 3.9 in Japan")
    tacrolimus_trough_sd: float = parameter(1.8, "ng/mL", _A, "2.1 in Japan (n 17)")
    trough_patient_share: float = parameter(0.5, "share of log variance between patients", _A, _PLAUSIBLE)
    trough_dose_power: float = parameter(0.6, "power of dose", _A, "higher dose, higher trough")
    trough_measured: float = parameter(0.85, "proportion of visits", _A, "editorial: monitoring not standardised")
    tacrolimus_stopped: float = parameter(0.12, "proportion before end of follow-up", _A, "not printed")
    mycophenolate_dose: float = parameter(1633.0, "mg/day", _B, "withdrawal trial (n 84), maintenance")
    mycophenolate_dose_sd: float = parameter(571.0, "mg/day", _B, "withdrawal trial (n 84), maintenance")
    azathioprine_dose: float = parameter(82.5, "mg/day", _B, "withdrawal trial (n 84), maintenance")
    azathioprine_dose_sd: float = parameter(29.0, "mg/day", _B, "withdrawal trial (n 84), maintenance")
    prednisolone_baseline: float = parameter(16.0, "mg/day", _B, "median, PMC3674621 (n 52)")
    prednisolone_induction: float = parameter(30.0, "mg/day, median", _A, "not printed")
    prednisolone_taper_months: float = parameter(8.0, "months, time constant", _A, "taper over the first year")
    cyclophosphamide_dose: float = parameter(35.0, "mg/day, mean of pulses", _A, "not printed")
    induction_dose_log_sd: float = parameter(0.25, "log mg/day", _A, "not printed")
    induction_days: tuple[int, int] = parameter((90, 270), "days, from and to", _A, "not printed")
    prednisolone_log_sd: float = parameter(0.45, "log mg/day between patients", _A, _PLAUSIBLE)
    flare_prednisolone: float = parameter(12.5, "mg/day added at a flare", _A, "raised for a flare")
    after_flare_prednisolone: float = parameter(5.0, "mg/day added in the half year after", _A, "tapered again")
    mycophenolate_induction_dose: float = parameter(2000.0, "mg/day", _A, "not printed")
    mizoribine_doses: tuple[float, ...] = parameter((100.0, 150.0, 200.0), "mg/day, evenly", _A, "not printed")
    hydroxychloroquine_doses: tuple[float, float] = parameter((200.0, 300.0), "mg/day, evenly", _A, "not printed")
    raas_inhibitor_doses: tuple[float, float] = parameter((50.0, 100.0), "mg/day, evenly", _A, "losartan, not printed")
    cyclosporine_dose: float = parameter(200.0, "mg/day", _A, "not printed; 4 mg/kg at 50 kg")
    cyclosporine_dose_sd: float = parameter(50.0, "mg/day", _A, "not printed")
    voclosporin_dose: float = parameter(47.4, "mg/day", _B, "23.7 mg twice daily, AURORA 1 (NCT03021499)")
    prednisolone_late: float = parameter(5.0, "mg/day", _A, "4.3 in maintenance, withdrawal trial (n 84)")


@dataclass(frozen=True, slots=True)
class LaboratoryModel:
    """Secondary laboratory values as functions of proteinuria and activity."""

    activity_slope: float = parameter(0.55, "activity per log UPCR", _A, "serology follows proteinuria loosely")
    activity_severity: float = parameter(0.2, "activity per SD of severity", _A, "direction assumed")
    activity_sd: float = parameter(0.6, "activity", _A, _PLAUSIBLE)
    memory: float = parameter(
        0.7, "share of variance that stays with the patient", _A, "a patient's values resemble each other"
    )
    male_hemoglobin: float = parameter(1.2, "g/dL added in men", _A, "direction known, size ours")
    complement_shared: float = parameter(0.6, "correlation of C3 and C4 noise", _A, "consumed together")
    other_organs_quiet: float = parameter(-0.5, "log of half the SLEDAI points at activity 0", _A, _PLAUSIBLE)
    other_organs_slope: float = parameter(0.3, "log per unit of activity", _A, "rises with activity")
    activity_upcr_floor: float = parameter(0.2, "g/g", _A, "below it proteinuria tells no more about activity")
    albumin_intercept: float = parameter(4.3, "g/dL", _A, "4.2 in remission (withdrawal trial, n 84)")
    albumin_slope: float = parameter(-0.90, "g/dL per log(1 + UPCR)", _A, "near 3.0 at 3.3 g/g (Mok 2013, n 21)")
    albumin_sd: float = parameter(0.35, "g/dL", _A, _PLAUSIBLE)
    c3_quiet: float = parameter(93.0, "mg/dL", _A, "within the normal range 70-140 of PMC3674621")
    c3_slope: float = parameter(-17.0, "mg/dL per unit of activity", _A, f"81.3 in {_IJMS}, 60.9 in PMC3674621")
    c3_sd: float = parameter(17.0, "mg/dL", _A, _PLAUSIBLE)
    c4_median: float = parameter(18.0, "mg/dL", _A, f"14.0 in mixed activity, {_IJMS}")
    c4_slope: float = parameter(-0.25, "log per unit of activity", _A, "falls with activity")
    c4_log_sd: float = parameter(0.35, "log mg/dL", _A, _PLAUSIBLE)
    dsdna_median: float = parameter(11.0, "IU/mL", _A, f"14.2 in mixed activity, {_IJMS}")
    dsdna_slope: float = parameter(1.0, "log per unit of activity", _A, "rises with activity")
    dsdna_log_sd: float = parameter(0.8, "log IU/mL", _A, _PLAUSIBLE)
    dsdna_detection_limit: float = parameter(1.0, "IU/mL", _A, _PLAUSIBLE)
    hemoglobin_mean: float = parameter(12.4, "g/dL", _A, "11.4 in 17 LN patients (PMC9615980), better in remission")
    hemoglobin_slope: float = parameter(-0.55, "g/dL per unit of activity", _A, "falls with activity")
    hemoglobin_sd: float = parameter(1.1, "g/dL", _A, _PLAUSIBLE)
    rbc_quiet: float = parameter(1.8, "log per field at activity 0", _A, "75 % haematuria at baseline, " + _MOK)
    rbc_slope: float = parameter(1.2, "log per unit of activity", _A, "rises with activity")
    rbc_log_sd: float = parameter(0.9, "log per field", _A, _PLAUSIBLE)
    casts_quiet: float = parameter(-1.25, "log odds at activity 0", _A, "41 % active casts at baseline, " + _MOK)
    casts_slope: float = parameter(1.5, "log odds per unit of activity", _A, "rises with activity")
    low_c3: float = parameter(70.0, "mg/dL, below", _B, "lower normal limit of PMC3674621")
    low_c4: float = parameter(10.0, "mg/dL, below", _A, _PLAUSIBLE)
    raised_dsdna: float = parameter(15.0, "IU/mL, above", _A, _PLAUSIBLE)


@dataclass(frozen=True, slots=True)
class KidneyModel:
    """UPCR and creatinine at visits, given the response state."""

    upcr_lowest: float = parameter(0.05, "g/g", _A, _PLAUSIBLE)
    upcr_highest: float = parameter(20.0, "g/g", _A, _PLAUSIBLE)
    largest_upcr_fall: float = parameter(25.0, "ratio of the visit before, at most", _A, _PLAUSIBLE)
    no_response_spread: float = parameter(1.5, "highest over lowest UPCR without response, at least", _A, _PLAUSIBLE)
    no_response_worst: float = parameter(1.25, "highest UPCR without response over baseline", _A, _PLAUSIBLE)
    creatinine_memory: float = parameter(0.6, "weight of the visit before, on the log scale", _A, "level persists")
    creatinine_log_sd: float = parameter(0.07, "log mg/dL", _A, "day-to-day and laboratory variation")
    creatinine_response: float = parameter(-0.03, "log mg/dL per visit in response", _A, "slow recovery")
    creatinine_no_response: float = parameter(0.06, "log mg/dL per visit without response", _A, "slow loss")
    creatinine_severity: float = parameter(
        0.03, "log mg/dL per visit without response and SD of severity", _A, "direction assumed"
    )
    below_limit_log_sd: float = parameter(0.10, "log mg/dL below a limit of the state", _A, _PLAUSIBLE)
    flare_upcr_log_sd: float = parameter(0.45, "log g/g above the flare limit, half-normal", _A, _PLAUSIBLE)
    mild_upcr_log_sd: float = parameter(0.25, "log g/g above the reference, half-normal", _A, "sediment only")
    flare_creatinine_sd: float = parameter(0.35, "mg/dL above the flare limit, half-normal", _A, _PLAUSIBLE)
    flare_activity: float = parameter(1.0, "units of activity added at a flare", _A, "direction known")
    failure_activity: float = parameter(0.3, "units of activity added at kidney failure", _A, "direction known")
    failure_upcr: float = parameter(3.5, "g/g, at least, at kidney failure", _A, _PLAUSIBLE)
    failure_egfr: float = parameter(15.0, "mL/min/1.73 m2, below", _A, "usual limit of kidney failure")
    dialysis_egfr: tuple[float, float] = parameter((5.0, 13.5), "mL/min/1.73 m2, from and to", _A, _PLAUSIBLE)


@dataclass(frozen=True, slots=True)
class PatientModel:
    """All parts of the patient model."""

    baseline: BaselineModel = field(default_factory=BaselineModel)
    recruitment: RecruitmentModel = field(default_factory=RecruitmentModel)
    assignment: AssignmentModel = field(default_factory=AssignmentModel)
    calendar: CalendarModel = field(default_factory=CalendarModel)
    missing: MissingModel = field(default_factory=MissingModel)
    effect: EffectModel = field(default_factory=EffectModel)
    centres: CentreModel = field(default_factory=CentreModel)
    course: CourseModel = field(default_factory=CourseModel)
    kidney: KidneyModel = field(default_factory=KidneyModel)
    treatment: TreatmentModel = field(default_factory=TreatmentModel)
    laboratory: LaboratoryModel = field(default_factory=LaboratoryModel)

    @property
    def parts(self) -> tuple[object, ...]:
        """The parameter sets in the order of the model."""
        return (
            self.baseline,
            self.recruitment,
            self.assignment,
            self.calendar,
            self.missing,
            self.effect,
            self.centres,
            self.course,
            self.kidney,
            self.treatment,
            self.laboratory,
        )
