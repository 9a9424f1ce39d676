"""Parameters of the patient model that a study sets: where and when it recruited, and whether it randomised."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import numpy as np
import pandas as pd

from cohort.codes import Ethnicity, Status
from cohort.provenance import PROVENANCE_COLUMNS
from cohort.record import Assignment, OriginShare, Study
from synthetic.calendar import schedule
from synthetic.dials import Dial
from synthetic.model import ELSEWHERE, PatientModel
from synthetic.regimens import FOREVER, Regimen


def study_dials(study: Study, model: PatientModel) -> tuple[Dial, ...]:
    """Return what ``study`` says of parameters of ``model``, each with status and source.

    A trial that prints no accrual keeps the years of the model; nobody in it leaves because records end.
    """
    return (*_randomisation(study), *_calendar(study, model), *_origins(study))


def turn(model: PatientModel, dials: tuple[Dial, ...]) -> PatientModel:
    """Return ``model`` with ``dials`` turned."""
    for dial in dials:
        part = dataclasses.replace(getattr(model, dial.part), **{dial.name: dial.value})
        model = dataclasses.replace(model, **{dial.part: part})
    return model


def _randomisation(study: Study) -> tuple[Dial, ...]:
    if study.assignment is not Assignment.RANDOMISED:
        return ()
    return (Dial("assignment", "strength", 0.0, Status.DERIVED, "arms were randomised"),)


def _calendar(study: Study, model: PatientModel) -> tuple[Dial, ...]:
    accrual = study.accrual
    if accrual is None:
        source = "no year of this study is at hand: those of Kim 2025"
        years: tuple[Dial, ...] = tuple(
            Dial(part, name, getattr(getattr(model, part), name), Status.ASSUMED, source)
            for part, name in (
                ("calendar", "first_index_year"),
                ("recruitment", "last_index_year"),
                ("calendar", "data_lock"),
            )
        )
        return (*years, _NOBODY_LOCKED)
    source = study.source(accrual.source).citation
    years = (
        Dial("calendar", "first_index_year", accrual.first_year, accrual.status, source),
        Dial("recruitment", "last_index_year", accrual.last_year, accrual.status, source),
    )
    if accrual.data_lock is not None:
        return (*years, Dial("calendar", "data_lock", str(accrual.data_lock), accrual.status, source))
    last = schedule(np.asarray(study.visit_months, dtype=np.int64), model.calendar)
    lock = date(accrual.last_year, 12, 31) + timedelta(days=int(last.day[-1] + last.window[-1]))
    said = "end of the last year of accrual, the last visit and its window"
    return (*years, Dial("calendar", "data_lock", str(lock), Status.DERIVED, said), _NOBODY_LOCKED)


_NOBODY_LOCKED = Dial(
    "calendar", "lost_share", 1.0, Status.ASSUMED, "a trial follows everybody to the last visit: who leaves is lost"
)


def _origins(study: Study) -> tuple[Dial, ...]:
    if not study.origins:
        return ()
    shares = {origin.code: origin.share for origin in study.origins}
    korean = shares.get(Ethnicity.KOREAN, 0.0)
    others = [shares.get(code, 0.0) for code in ELSEWHERE]
    total = sum(others)
    rest = tuple(share / total for share in others) if total else (1.0, *others[1:])
    status, source = _weakest(study.origins), "; ".join(f"{origin.code}: {origin.note}" for origin in study.origins)
    return (
        Dial("baseline", "korean", korean, status, source),
        Dial("recruitment", "elsewhere", rest, status, source),
    )


_WEAKEST = (Status.ASSUMED, Status.DERIVED, Status.BORROWED, Status.REPORTED_EARLIER, Status.REPORTED)


def _weakest(origins: tuple[OriginShare, ...]) -> Status:
    return min((origin.status for origin in origins), key=_WEAKEST.index)


def dose_provenance(regimens: tuple[Regimen, ...]) -> pd.DataFrame:
    """List doses, levels and times that study files give, in the columns of ``cohort.provenance.provenance_table``."""
    rows = [
        (f"Regimen {regimen.arm}", f"{drug.drug.value} {what}", f"{value:g}", unit, str(drug.status), drug.source)
        for regimen in regimens
        for drug in regimen.drugs
        if drug.status is not None
        for what, value, unit in (
            ("dose", drug.mg_day, "mg/day"),
            ("trough", drug.trough, "ng/mL, middle of the range aimed at"),
            ("first day", drug.first_day or None, "days from day 0"),
            ("last day", None if drug.last_day == FOREVER else drug.last_day, "days from day 0"),
        )
        if value is not None
    ]
    return pd.DataFrame(rows, columns=list(PROVENANCE_COLUMNS))
