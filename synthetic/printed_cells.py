"""What is printed about each arm at each visit, and every whole-patient split that agrees with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cohort.admissible import Splits, admissible_denominators, admissible_splits
from cohort.errors import ReconstructionError
from cohort.targets import RESPONSE_MEASURES, Arm, Study, Target


@dataclass(frozen=True, slots=True)
class PrintedCell:
    """One arm at one visit.

    Parameters
    ----------
    arm, month
        Which arm and visit.
    targets
        The printed percentages in force, at least one.
    by_n
        From each admissible number of patients assessed, in increasing order, to its admissible splits.
    """

    arm: str
    month: int
    targets: tuple[Target, ...]
    by_n: Mapping[int, Splits]

    def described(self) -> str:
        """Name the targets of this cell and their printed values."""
        return described(self.targets)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of the record says about denominators.

    Parameters
    ----------
    shared
        From the id of a percentage to the superseded percentages that its denominator must also serve.
    fixed
        From the id of a percentage to its denominator, where the reading sets it.
    """

    shared: Mapping[str, tuple[Target, ...]]
    fixed: Mapping[str, int]


def described(targets: Iterable[Target]) -> str:
    """Name targets and their printed values for a message."""
    return ", ".join(f"{target.id} = {target.printed}" for target in targets)


def printed_cells(study: Study, reading: Reading) -> dict[str, tuple[PrintedCell, ...]]:
    """Return the cells of every arm, one a visit in order of month.

    Raises
    ------
    ReconstructionError
        If nothing is printed about an arm at a visit, or no whole number of patients agrees with what is.
    """
    return {arm.code: tuple(_cell(study, arm, month, reading) for month in study.visit_months) for arm in study.arms}


def _cell(study: Study, arm: Arm, month: int, reading: Reading) -> PrintedCell:
    printed = [study.printed(measure, arm=arm.code, month=month) for measure in RESPONSE_MEASURES]
    targets = tuple(target for target in printed if target is not None)
    if not targets:
        raise ReconstructionError(
            "no percentage of response is printed",
            where=f"study {study.name}, arm {arm.code}, month {month}",
            remedy="leave the month out of visit_months, or add a target",
        )
    allowed = frozenset(range(1, arm.size + 1))
    for target in targets:
        for served in (target, *reading.shared.get(target.id, ())):
            _refuse_if_empty(admissible_denominators(served, arm.size), study, [served], arm)
            allowed &= admissible_denominators(served, arm.size)
            _refuse_if_empty(allowed, study, dict.fromkeys((*targets, served)), arm)
        if target.id in reading.fixed:
            allowed &= {reading.fixed[target.id]}
            _refuse_if_empty(allowed, study, targets, arm, f" with n = {reading.fixed[target.id]}")
    by_n = admissible_splits(targets, allowed, arm.size)
    _refuse_if_empty(by_n, study, targets, arm)
    return PrintedCell(arm.code, month, targets, by_n)


def _refuse_if_empty(
    left: frozenset[int] | dict[int, Splits], study: Study, targets: Iterable[Target], arm: Arm, but: str = ""
) -> None:
    if not left:
        raise ReconstructionError(
            f"no whole number of patients, of at most {arm.size}, agrees with what is printed",
            where=f"study {study.name}, arm {arm.code}",
            got=described(targets) + but,
            remedy="check the printed values, the arm size and the reconstruction section of the study file",
        )
