"""Secondary laboratory values: functions of proteinuria and a latent activity, printed as a laboratory prints them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray, IntArray
from synthetic.model import LaboratoryModel

FloatArray = npt.NDArray[np.float64]

_PROTEINURIA_ITEM = 50
_HAEMATURIA_ITEM = 5


@dataclass(frozen=True, slots=True)
class Secondary:
    """Secondary laboratory values of ``n`` visits, every array of shape ``(n,)``, in the units of the visits table."""

    albumin: FloatArray
    c3: FloatArray
    c4: FloatArray
    anti_dsdna: FloatArray
    hemoglobin: FloatArray
    urine_rbc: IntArray
    urine_casts: BoolArray
    sledai: IntArray


def activity_of(upcr: IntArray, severity: FloatArray, noise: FloatArray, model: LaboratoryModel) -> FloatArray:
    """Return the latent activity: rises with proteinuria (hundredths) and severity; ``noise`` is standard normal."""
    upcr_g_g = np.maximum(upcr / 100.0, model.activity_upcr_floor)
    return np.asarray(
        model.activity_slope * np.log(upcr_g_g) + model.activity_severity * severity + model.activity_sd * noise
    )


def draw_secondary(
    upcr: IntArray, activity: FloatArray, model: LaboratoryModel, random: np.random.Generator
) -> Secondary:
    """Draw secondary values for visits with the given proteinuria (hundredths) and activity, shape ``(n,)``.

    Haematuria and casts are common in active disease and rare in remission: the intercepts give 75 % haematuria and
    41 % casts at a typical baseline, the figures of the Mok trial. SLEDAI-2K sums its renal and serological items and
    random points for other organs; pyuria is not in the schema and scores nothing.
    """
    size = len(upcr)
    z = random.standard_normal((6, size))
    coin = random.random(size)
    albumin = model.albumin_intercept + model.albumin_slope * np.log1p(upcr / 100.0) + model.albumin_sd * z[0]
    c3 = model.c3_quiet + model.c3_slope * activity + model.c3_sd * z[1]
    # C3 and C4 are consumed together, hence the shared noise.
    c4 = model.c4_median * np.exp(model.c4_slope * activity + model.c4_log_sd * (0.6 * z[1] + 0.8 * z[2]))
    dsdna = model.dsdna_median * np.exp(model.dsdna_slope * activity + model.dsdna_log_sd * z[3])
    hemoglobin = model.hemoglobin_mean + model.hemoglobin_slope * activity + model.hemoglobin_sd * z[4]
    rbc = np.exp(model.rbc_quiet + model.rbc_slope * activity + model.rbc_log_sd * z[5])
    casts = coin < 1.0 / (1.0 + np.exp(-(model.casts_quiet + model.casts_slope * activity)))
    urine_rbc = np.clip(np.floor(rbc), 0, 200).astype(np.int64)
    c3 = np.round(np.clip(c3, 15.0, 180.0))
    c4 = np.round(np.clip(c4, 1.0, 60.0), 1)
    dsdna = np.round(np.clip(dsdna, model.dsdna_detection_limit, 1000.0), 1)
    other_organs = 2 * random.poisson(np.exp(-0.5 + 0.3 * np.clip(activity, -2.0, 3.0)))
    not_sediment = (
        4 * (upcr > _PROTEINURIA_ITEM)
        + 2 * ((c3 < model.low_c3) | (c4 < model.low_c4))
        + 2 * (dsdna > model.raised_dsdna)
        + other_organs
    )
    return Secondary(
        albumin=np.round(np.clip(albumin, 1.2, 5.2), 1),
        c3=c3,
        c4=c4,
        anti_dsdna=dsdna,
        hemoglobin=np.round(np.clip(hemoglobin, 6.0, 16.5), 1),
        urine_rbc=urine_rbc,
        urine_casts=casts,
        sledai=np.asarray(not_sediment + _sediment_points(urine_rbc, casts), dtype=np.int64),
    )


def with_sediment(labs: Secondary, urine_rbc: IntArray, urine_casts: BoolArray) -> Secondary:
    """Return ``labs`` with another urine sediment, SLEDAI-2K following it."""
    change = _sediment_points(urine_rbc, urine_casts) - _sediment_points(labs.urine_rbc, labs.urine_casts)
    return replace(labs, urine_rbc=urine_rbc, urine_casts=urine_casts, sledai=labs.sledai + change)


def _sediment_points(urine_rbc: IntArray, urine_casts: BoolArray) -> IntArray:
    return 4 * urine_casts.astype(np.int64) + 4 * (urine_rbc > _HAEMATURIA_ITEM).astype(np.int64)
