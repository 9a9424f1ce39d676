"""Secondary laboratory values: functions of proteinuria and a latent activity, printed as a laboratory prints them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import numpy.typing as npt

from cohort.columns import WholeArray
from cohort.response import BoolArray, IntArray
from synthetic.coarse import Noise, NoiseSource
from synthetic.model import LaboratoryModel

FloatArray = npt.NDArray[np.float64]

_PROTEINURIA_ITEM = 50
_HAEMATURIA_ITEM = 5
_MOST_OTHER_POINTS = 40


@dataclass(frozen=True, slots=True)
class Secondary:
    """Secondary laboratory values of ``n`` visits, every array of shape ``(n,)``, in the units of the visits table."""

    albumin: FloatArray
    c3: FloatArray
    c4: FloatArray
    anti_dsdna: FloatArray
    hemoglobin: FloatArray
    urine_rbc: WholeArray
    urine_casts: BoolArray
    sledai: WholeArray


LEVELS = 7
"""Rows of a patient's laboratory levels: activity, albumin, C3, C4, anti-dsDNA, haemoglobin, erythrocytes."""


@dataclass(frozen=True, slots=True)
class LabPatient:
    """What secondary values depend on besides proteinuria, for the ``n`` visits to be written.

    ``severity``, ``female`` and ``shift`` (units of activity) have shape ``(n,)``; ``level``, what stays with the
    patient of the noise, has shape ``(LEVELS, n)``.
    """

    severity: FloatArray
    female: BoolArray
    shift: FloatArray
    level: Noise


def draw_secondary(upcr: IntArray, patient: LabPatient, model: LaboratoryModel, random: NoiseSource) -> Secondary:
    """Draw secondary values for visits with the given proteinuria (hundredths), shape ``(n,)``.

    A latent activity rises with proteinuria, severity and the class; complement falls with it, antibodies, haematuria,
    casts and points of other organs rise. SLEDAI-2K sums its renal and serological items and random points for other
    organs; pyuria is not in the schema and scores nothing. The arithmetic has the precision of the noise.
    """
    size = len(upcr)
    fresh = random.standard_normal((LEVELS, size))
    z = sqrt(model.memory) * patient.level + sqrt(1.0 - model.memory) * fresh
    coin = random.random(size)
    number = fresh.dtype
    gram = (upcr / 100.0).astype(number, copy=False)
    activity = (
        model.activity_slope * np.log(np.maximum(gram, model.activity_upcr_floor))
        + model.activity_severity * patient.severity.astype(number, copy=False)
        + model.activity_sd * z[0]
        + patient.shift.astype(number, copy=False)
    )
    albumin = model.albumin_intercept + model.albumin_slope * np.log(1.0 + gram) + model.albumin_sd * z[1]
    shared = model.complement_shared
    c4_noise = shared * z[2] + sqrt(1.0 - shared**2) * z[3]
    c3 = _printed(model.c3_quiet + model.c3_slope * activity + model.c3_sd * z[2], (15.0, 180.0), 0)
    c4 = _printed(model.c4_median * np.exp(model.c4_slope * activity + model.c4_log_sd * c4_noise), (1.0, 60.0), 1)
    dsdna = model.dsdna_median * np.exp(model.dsdna_slope * activity + model.dsdna_log_sd * z[4])
    dsdna = _printed(dsdna, (model.dsdna_detection_limit, 1000.0), 1)
    hemoglobin = model.hemoglobin_mean + model.hemoglobin_slope * activity + model.hemoglobin_sd * z[5]
    hemoglobin += np.where(patient.female, 0.0, model.male_hemoglobin)
    rbc = np.exp(model.rbc_quiet + model.rbc_slope * activity + model.rbc_log_sd * z[6])
    casts = coin < 1.0 / (1.0 + np.exp(-(model.casts_quiet + model.casts_slope * activity)))
    pairs = np.exp(model.other_organs_quiet + model.other_organs_slope * activity)
    other_organs = 2 * random.poisson(np.minimum(pairs, _MOST_OTHER_POINTS))
    urine_rbc = np.clip(np.floor(rbc), 0, 200).astype(np.int64)
    not_sediment = (
        4 * (upcr > _PROTEINURIA_ITEM)
        + 2 * ((c3 < model.low_c3) | (c4 < model.low_c4))
        + 2 * (dsdna > model.raised_dsdna)
        + np.minimum(other_organs, _MOST_OTHER_POINTS)
    )
    return Secondary(
        albumin=_printed(albumin, (1.2, 5.2), 1),
        c3=c3,
        c4=c4,
        anti_dsdna=dsdna,
        hemoglobin=_printed(hemoglobin, (6.0, 17.5), 1),
        urine_rbc=urine_rbc,
        urine_casts=casts,
        sledai=np.asarray(not_sediment + _sediment_points(urine_rbc, casts), dtype=np.int64),
    )


def _printed(values: Noise, limits: tuple[float, float], decimals: int) -> FloatArray:
    """Round within ``limits`` as a laboratory prints, in full precision: 3.1 is the number nearest to 3.1."""
    within: FloatArray = np.clip(values, *limits).astype(np.float64, copy=False)
    return np.round(within, decimals)


def with_sediment(labs: Secondary, urine_rbc: WholeArray, urine_casts: BoolArray) -> Secondary:
    """Return ``labs`` with another urine sediment, SLEDAI-2K following it."""
    change = _sediment_points(urine_rbc, urine_casts) - _sediment_points(labs.urine_rbc, labs.urine_casts)
    return replace(labs, urine_rbc=urine_rbc, urine_casts=urine_casts, sledai=labs.sledai + change)


def _sediment_points(urine_rbc: WholeArray, urine_casts: BoolArray) -> IntArray:
    return 4 * urine_casts.astype(np.int64) + 4 * (urine_rbc > _HAEMATURIA_ITEM).astype(np.int64)
