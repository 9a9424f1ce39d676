"""Patients at the index date: a Gaussian copula over borrowed marginals, driven by one latent severity."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from cohort.codes import Ethnicity, IsnRpsClass
from cohort.columns import position_of
from cohort.egfr import creatinine_factor, egfr_from_factor
from cohort.response import BoolArray, IntArray
from synthetic.centres import CentreEffects, draw_centres
from synthetic.coarse import Noise, NoiseSource
from synthetic.labs import LEVELS, LabPatient, Secondary, draw_secondary
from synthetic.model import ELSEWHERE, PatientModel
from synthetic.random_source import RandomSource

FloatArray = npt.NDArray[np.float64]


CLASSES: tuple[str, ...] = tuple(code.value for code in IsnRpsClass)
"""Classes in the order of ``BaselineModel.class_mix``; ``Baseline.lupus_class`` holds positions in it."""
CLASS_II = CLASSES.index(IsnRpsClass.II.value)
CLASS_V = CLASSES.index(IsnRpsClass.V.value)
_QUIET_CLASSES = (CLASS_II, CLASS_V)


@dataclass(frozen=True, slots=True)
class Covariates:
    """What a patient brings to the index date, every array of shape ``(n,)``; UPCR and creatinine in hundredths.

    ``ethnicity`` holds positions in its vocabulary, ``centre`` the patients' centre and its effects.
    """

    latent_severity: FloatArray
    age_years: FloatArray
    female: BoolArray
    ethnicity: IntArray
    rheumatology_clinic: BoolArray
    sle_duration_years: FloatArray
    lupus_class: IntArray
    activity_index: IntArray
    chronicity_index: IntArray
    hypertension: BoolArray
    diabetes: BoolArray
    refractory: BoolArray
    upcr: IntArray
    creatinine: IntArray
    centre: CentreEffects

    @property
    def size(self) -> int:
        """Number of patients."""
        return len(self.age_years)

    @property
    def class_v(self) -> BoolArray:
        """Pure class V."""
        return np.asarray(self.lupus_class == CLASS_V)

    @property
    def egfr(self) -> FloatArray:
        """The eGFR of the index date by CKD-EPI 2021, unrounded."""
        # Printed creatinine has few values, so its powers are looked up.
        printed = np.maximum(np.arange(int(self.creatinine.max(initial=1)) + 1), 1) / 100.0
        factor = np.stack([creatinine_factor(printed, female) for female in (False, True)])
        return egfr_from_factor(factor[self.female.astype(np.intp), self.creatinine], self.age_years, self.female)


@dataclass(frozen=True, slots=True)
class Baseline(Covariates):
    """Covariates of ``n`` patients and the secondary laboratory values of day 0."""

    laboratory_level: Noise
    """What stays with the patient of the noise of laboratory values, standard normal, shape ``(LEVELS, n)``."""
    labs: Secondary

    def balance_covariates(self) -> dict[str, FloatArray]:
        """Return the covariates that the paper reports as similar between arms, in the units of the tables."""
        columns: dict[str, npt.NDArray[np.generic]] = {
            name: getattr(self, name)
            for name in (
                "age_years", "female", "rheumatology_clinic", "sle_duration_years", "activity_index",
                "chronicity_index", "hypertension", "diabetes", "upcr", "creatinine",
            )
        }  # fmt: skip
        columns |= {"korean": self.ethnicity == position_of(Ethnicity.KOREAN)}
        columns |= {"egfr": np.round(self.egfr, 1)}
        columns |= {field.name: getattr(self.labs, field.name) for field in fields(self.labs)}
        return {name: values.astype(np.float64) for name, values in columns.items()}


def draw_baseline(
    size: int, model: PatientModel, random: np.random.Generator, noise: NoiseSource | None = None
) -> Baseline:
    """Draw ``size`` patients of the source population, before treatment assignment, with laboratory values of day 0.

    Secondary laboratory values are drawn from ``noise``, by default from ``random`` too.
    """
    noise = noise or random
    covariates = draw_covariates(size, model, random)
    level = noise.standard_normal((LEVELS, size))
    shift = np.asarray(model.baseline.class_activity)[covariates.lupus_class]
    patient = LabPatient(covariates.latent_severity, covariates.female, shift, level)
    values = {field.name: getattr(covariates, field.name) for field in fields(Covariates)}
    labs = draw_secondary(covariates.upcr, patient, model.laboratory, noise)
    return Baseline(**values, laboratory_level=level, labs=labs)


def draw_covariates(size: int, parts: PatientModel, random: RandomSource) -> Covariates:
    """Draw ``size`` patients from the source population, before treatment assignment.

    Parameters
    ----------
    size
        Number of patients.
    parts
        Patient model; its baseline and centre parts are used.
    random
        Stream to draw from.

    Returns
    -------
    Covariates
        Arrays of shape ``(size,)``.
    """
    from scipy.special import ndtri

    model = parts.baseline
    centre = draw_centres(size, parts.centres, random)
    # Centres move the mean of severity and leave its variance over all patients at one.
    severity = centre.case_mix + np.sqrt(1.0 - centre.case_mix_variance) * random.standard_normal(size)
    correlation = np.asarray(model.severity_correlations)
    own = random.standard_normal((len(correlation), size))
    z = correlation[:, None] * severity + np.sqrt(1.0 - correlation**2)[:, None] * own
    coin = random.random((6, size))

    age = _truncated_lognormal(z[0], model.age_mean, model.age_sd, (model.age_minimum, model.age_maximum))
    duration = np.minimum(
        _lognormal(z[1], model.sle_duration_mean, model.sle_duration_sd), age - model.shortest_life_before_sle
    )
    lupus_class = np.searchsorted(np.cumsum(model.class_mix)[:-1], coin[0], side="right")
    quiet = np.isin(lupus_class, _QUIET_CLASSES)
    # Every proliferative biopsy shows some activity: values below 1 are mirrored to above it.
    activity_index = 1.0 + np.abs(model.activity_mean + model.activity_sd * z[2] - 1.0)
    activity_index *= np.where(quiet, model.quiet_class_activity, 1.0)
    membranous = lupus_class == CLASS_V
    upcr = model.upcr_median * np.exp(model.upcr_log_sd * z[4]) * np.where(membranous, model.class_v_upcr_ratio, 1.0)
    upcr *= np.where(lupus_class == CLASS_II, model.class_ii_upcr_ratio, 1.0)
    creatinine = model.creatinine_median * np.exp(model.creatinine_log_sd * z[5])
    creatinine *= np.where(membranous, model.class_v_creatinine_ratio, 1.0)
    upcr_hundredths = _hundredths(_reflect(upcr, model.upcr_minimum), model.upcr_minimum, model.upcr_maximum)
    female = coin[1] < model.female
    creatinine *= np.where(female, 1.0, model.male_creatinine_ratio)
    pressure = (z[6] + model.hypertension_age * z[0]) / np.hypot(1.0, model.hypertension_age)
    sugar = model.diabetes_age * z[0] + np.sqrt(1.0 - model.diabetes_age**2) * ndtri(coin[4])
    return Covariates(
        latent_severity=severity,
        age_years=np.round(age, 1),
        female=female,
        ethnicity=_ethnicity(coin[2], model.korean, parts.recruitment.elsewhere),
        rheumatology_clinic=coin[3] < model.rheumatology_clinic,
        sle_duration_years=np.asarray(np.round(duration, 1), dtype=np.float64),
        lupus_class=lupus_class,
        activity_index=np.clip(np.rint(activity_index), 0, 24).astype(np.int64),
        chronicity_index=np.clip(np.rint(model.chronicity_mean + model.chronicity_sd * z[3]), 0, 12).astype(np.int64),
        hypertension=-pressure < ndtri(model.hypertension),
        diabetes=-sugar < ndtri(model.diabetes),
        refractory=-z[7] < ndtri(model.refractory),
        upcr=upcr_hundredths,
        creatinine=_hundredths(creatinine, model.creatinine_minimum, model.creatinine_maximum),
        centre=centre,
    )


def _ethnicity(uniform: FloatArray, korean: float, elsewhere: tuple[float, ...]) -> IntArray:
    """Return positions in the vocabulary: Korean below the share ``korean``, the rest shared out above it."""
    codes = np.array([position_of(code) for code in (Ethnicity.KOREAN, *ELSEWHERE)])
    shares = np.array([korean, *((1.0 - korean) * np.asarray(elsewhere))])
    return np.asarray(codes[np.searchsorted(np.cumsum(shares)[:-1], uniform, side="right")])


def _lognormal(z: FloatArray, mean: float, sd: float) -> FloatArray:
    """Transform standard normal ``z`` to a lognormal of the given mean and standard deviation."""
    log_variance = np.log1p((sd / mean) ** 2)
    return np.asarray(mean * np.exp(np.sqrt(log_variance) * z - log_variance / 2))


def _truncated_lognormal(z: FloatArray, mean: float, sd: float, limits: tuple[float, float]) -> FloatArray:
    """As :func:`_lognormal`, the probability outside ``limits`` spread over the inside."""
    from scipy.special import ndtr, ndtri

    log_variance = np.log1p((sd / mean) ** 2)
    location = np.log(mean) - log_variance / 2
    low, high = ndtr((np.log(np.asarray(limits)) - location) / np.sqrt(log_variance))
    return np.asarray(np.exp(location + np.sqrt(log_variance) * ndtri(low + (high - low) * ndtr(z))))


def _reflect(values: FloatArray, minimum: float) -> FloatArray:
    """Mirror values below ``minimum`` to above it on the log scale, so that none pile up at the limit."""
    return np.asarray(np.where(values < minimum, minimum**2 / values, values))


def _hundredths(values: FloatArray, minimum: float, maximum: float) -> IntArray:
    return np.rint(100.0 * np.clip(values, minimum, maximum)).astype(np.int64)
