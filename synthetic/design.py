"""What the generator takes from a published record: arms, visits and the whole patients behind the printed rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.record import Assignment, Measure, Study
from cohort.response import BoolArray, IntArray
from synthetic.cuts import Counts
from synthetic.regimens import Regimen, regimens_of


class WholePatients(Protocol):
    """A table of whole patients behind a published record: the reconstruction, or another table that print admits."""

    @property
    def counts(self) -> pd.DataFrame:
        """``arm``, ``month``, ``assessed``, ``complete``, ``partial``: one row per arm and visit."""

    @property
    def flares(self) -> pd.DataFrame:
        """See :func:`synthetic.printed_flares.printed_flares`."""


@dataclass(frozen=True, slots=True)
class FlareTarget:
    """Printed renal flares of the arm at position ``arm`` up to the visit at position ``visit``.

    ``share`` of the arm has a flare (a Kaplan-Meier estimate owes no whole number of ``patients``, which is then
    ``None``); where only a ``rate`` per 100 patient-years is printed, ``share`` is ``None``.
    """

    arm: int
    visit: int
    share: float | None
    patients: int | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class Design:
    """Arms and visits of a study; arms on tacrolimus come first, the last arm is the reference.

    ``sizes`` and ``tacrolimus`` have shape ``(arms,)``, ``months`` shape ``(v,)``; ``counts`` has arms in the same
    order. ``alone`` counts patients on tacrolimus without another immunosuppressant; ``randomised`` says that arms
    were drawn by lot; ``flares`` holds at most one target per arm; ``regimens`` has one entry an arm;
    ``record`` is the study file it was made from.
    """

    study: str
    arms: npt.NDArray[np.str_]
    sizes: IntArray
    tacrolimus: BoolArray
    months: IntArray
    counts: Counts
    alone: int
    randomised: bool
    flares: tuple[FlareTarget, ...] = ()
    regimens: tuple[Regimen, ...] = ()
    record: Study | None = None

    @property
    def reference(self) -> int:
        """Position of the arm that others are compared with."""
        return len(self.sizes) - 1

    @property
    def total(self) -> int:
        """Number of patients."""
        return int(self.sizes.sum())


def design_of(study: Study, reconstruction: WholePatients) -> Design:
    """Return the design of ``study`` with the counts of ``reconstruction``."""
    arms = sorted(study.arms, key=lambda arm: not arm.tacrolimus)
    table = reconstruction.counts
    cell = {key: row for row, key in enumerate(zip(table["arm"], table["month"], strict=True))}
    rows = np.array([[cell[arm.code, month] for month in study.visit_months] for arm in arms])
    columns = (table[name].to_numpy(dtype=np.int64)[rows] for name in ("assessed", "complete", "partial"))
    alone = study.printed(Measure.MONOTHERAPY_COUNT, arm=arms[0].code)
    return Design(
        study=study.name,
        arms=np.array([arm.code for arm in arms]),
        sizes=np.array([arm.size for arm in arms], dtype=np.int64),
        tacrolimus=np.array([arm.tacrolimus for arm in arms]),
        months=np.asarray(study.visit_months, dtype=np.int64),
        counts=Counts(*columns),
        alone=int(alone.printed) if alone else 0,
        randomised=study.assignment is Assignment.RANDOMISED,
        flares=_flare_targets([arm.code for arm in arms], study.visit_months, reconstruction),
        regimens=regimens_of(study, arms),
        record=study,
    )


def _flare_targets(arms: list[str], months: tuple[int, ...], reconstruction: WholePatients) -> tuple[FlareTarget, ...]:
    """Take for each arm the latest count of patients, or else share, or else rate, at a scheduled visit."""
    chosen: dict[int, FlareTarget] = {}
    table = reconstruction.flares.sort_values("month", kind="stable")
    columns = (table[name].tolist() for name in ("arm", "month", "patients", "probability", "rate_per_100_py"))
    for code, month, patients, share, rate in zip(*columns, strict=True):
        if month not in months:
            continue
        arm = arms.index(code)
        found = FlareTarget(
            arm,
            months.index(month),
            None if pd.isna(share) else float(share),
            None if pd.isna(patients) else int(patients),
            None if pd.isna(rate) else float(rate),
        )
        before = chosen.get(arm)
        if before is None or _precision(found) >= _precision(before):
            chosen[arm] = found
    return tuple(chosen[arm] for arm in sorted(chosen))


def _precision(target: FlareTarget) -> int:
    return 2 if target.patients is not None else 1 if target.share is not None else 0
