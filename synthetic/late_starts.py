"""A demonstration registry in which tacrolimus starts during follow-up, if the patient is still free of an event.

Patients are followed from one index date. The hazard of an event does not change when treatment starts, unless asked;
sicker patients start sooner and have more events. What compares "ever treated" with "never treated" counts the time
that treated patients had to survive until they started, and is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.codes import Status
from cohort.errors import UsageError
from cohort.provenance import parameter
from cohort.seeds import SeedTree
from synthetic.model import CourseModel

_A = Status.ASSUMED
_COURSE = CourseModel()


@dataclass(frozen=True, slots=True)
class LateStartModel:
    """Numbers of the demonstration; times in years since the index date."""

    event_rate: float = parameter(
        _COURSE.flare_rate / 100, "events per patient-year", Status.BORROWED, "flare rate of the patient model"
    )
    event_hr_severity: float = parameter(
        _COURSE.flare_hr_severity, "hazard ratio per SD of severity", _A, "flare hazard ratio of the patient model"
    )
    start_rate: float = parameter(
        0.3, "starts per patient-year among those who have not started", _A, "about half start"
    )
    start_hr_severity: float = parameter(1.5, "hazard ratio per SD of severity", _A, "sicker patients start sooner")
    hazard_ratio: float = parameter(1.0, "hazard of an event after the start against before", _A, "no effect")
    loss_rate: float = parameter(0.05, "patients lost per patient-year", _A, "plausible")
    end: float = parameter(5.0, "years", Status.REPORTED, "last visit of Kim 2025")


def draw_late_starts(
    patients: int, *, seed: int, model: LateStartModel | None = None, replicate: int = 1
) -> pd.DataFrame:
    """Draw a registry.

    Parameters
    ----------
    patients
        How many.
    seed, replicate
        Root of the random streams, and which of independent registries.
    model
        Numbers, the defaults if left out.

    Returns
    -------
    pandas.DataFrame
        One row per patient: ``patient_id``, ``severity`` (standard normal, measured at the index date), ``years`` and
        ``event`` (0, 1), and ``start``, years from the index date to the first dose, missing for those who had an
        event or left before they would have started.

    Raises
    ------
    UsageError
        Fewer than two patients, or a negative seed.

    Examples
    --------
    >>> registry = draw_late_starts(5, seed=1)
    >>> registry.columns.tolist()
    ['patient_id', 'severity', 'years', 'event', 'start']
    >>> bool((registry["start"].fillna(0) < registry["years"]).all())
    True
    """
    if patients < 2:
        raise UsageError("a registry has at least two patients", where="patients", got=str(patients))
    own = model or LateStartModel()
    random = SeedTree(seed).child("late-starts", replicate).generator()
    severity = random.standard_normal(patients)
    waiting = random.exponential(size=(3, patients))
    rate = own.event_rate * own.event_hr_severity**severity
    start = waiting[0] / (own.start_rate * own.start_hr_severity**severity)
    # The cumulative hazard that an event takes is used up at one rate before the start and at another after it.
    before = rate * start
    event = np.where(waiting[1] <= before, waiting[1] / rate, start + (waiting[1] - before) / (rate * own.hazard_ratio))
    end = np.minimum(waiting[2] / own.loss_rate, own.end)
    years = np.minimum(event, end)
    return pd.DataFrame(
        {
            "patient_id": [f"R{number:07d}" for number in range(1, patients + 1)],
            "severity": severity,
            "years": years,
            "event": (event <= end).astype(np.int64),
            "start": np.where(start < years, start, np.nan),
        }
    )
