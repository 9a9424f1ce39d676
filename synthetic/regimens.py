"""Regimens of arms as a study file gives them: which drugs, how much, from when and until when."""

from __future__ import annotations

from dataclasses import dataclass

from cohort.codes import CALCINEURIN_INHIBITORS, DAYS_PER_MONTH, Background, Drug, Status
from cohort.record import Arm, Dose, Study

FOREVER = 1_000_000
"""More than the days of any follow-up."""


@dataclass(frozen=True, slots=True)
class Prescription:
    """One drug of a regimen.

    ``mg_day`` and ``trough`` (ng/mL) are ``None`` where the patient model draws them. The drug is meant to be taken
    from ``first_day`` to ``last_day``. ``status`` and ``source`` are those of dose and level.
    """

    drug: Drug
    mg_day: float | None = None
    trough: float | None = None
    first_day: int = 0
    last_day: int = FOREVER
    status: Status | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Regimen:
    """The drugs that everybody in an arm is given; none if physicians choose."""

    arm: str
    drugs: tuple[Prescription, ...] = ()

    @property
    def inhibitor(self) -> Prescription | None:
        """The calcineurin inhibitor, if there is one."""
        return next((drug for drug in self.drugs if drug.drug in CALCINEURIN_INHIBITORS), None)

    @property
    def background(self) -> Background:
        """The immunosuppressant of day 0 other than a calcineurin inhibitor."""
        others = (drug.drug.value for drug in self.drugs if drug.first_day == 0)
        return next((Background(name) for name in others if name in list(Background)), Background.NONE)


def regimens_of(study: Study, arms: list[Arm]) -> tuple[Regimen, ...]:
    """Return the regimens of ``arms`` of ``study``, in that order."""
    return tuple(
        Regimen(arm.code, tuple(_prescription(study, drug, _dose(arm, drug)) for drug in arm.regimen)) for arm in arms
    )


def _dose(arm: Arm, drug: Drug) -> Dose | None:
    return next((dose for dose in arm.doses if dose.drug is drug), None)


def _prescription(study: Study, drug: Drug, dose: Dose | None) -> Prescription:
    if dose is None:
        return Prescription(drug)
    until = dose.until_month
    return Prescription(
        drug,
        dose.mg_day,
        None if dose.trough_ng_ml is None else sum(dose.trough_ng_ml) / 2,
        round(dose.from_month * DAYS_PER_MONTH),
        FOREVER if until is None else round(until * DAYS_PER_MONTH) - 1,
        dose.status,
        "; ".join(text for text in (study.source(dose.source).citation, dose.note) if text),
    )
