"""What is printed about each arm at each visit, and every whole-patient split that agrees with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cohort.admissible import Splits, admissible_denominators, admissible_splits
from cohort.errors import ReconstructionError
from cohort.targets import RESPONSE_MEASURES, Arm, Measure, Study, Target
from synthetic.nearest import nearest_splits


@dataclass(frozen=True, slots=True)
class PrintedCell:
    """One arm at one visit, about which something is printed.

    Parameters
    ----------
    arm, month
        Which arm and visit.
    targets
        The printed percentages and counts of response in force; empty if only the patients assessed are printed.
    assessed
        The printed number of patients assessed, ``None`` if there is none.
    by_n
        From each admissible number of patients assessed, in increasing order, to its admissible splits. Where no
        response is printed no splits are listed: every one is admissible.
    """

    arm: str
    month: int
    targets: tuple[Target, ...]
    assessed: Target | None
    by_n: Mapping[int, Splits]

    def described(self) -> str:
        """Name the targets of this cell and their printed values."""
        return described(_stating(self.targets, self.assessed))

    @property
    def basis(self) -> str:
        """The status of each printed number of this cell, without repetition."""
        return ", ".join(dict.fromkeys(str(target.status) for target in _stating(self.targets, self.assessed)))


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


def printed_cells(study: Study, reading: Reading) -> dict[str, tuple[PrintedCell | None, ...]]:
    """Return the cells of every arm, one a visit in order of month; ``None`` where nothing is printed.

    Where a denominator is printed that no whole numbers of patients serve, the splits are the nearest
    (:mod:`synthetic.nearest`).

    Raises
    ------
    ReconstructionError
        If nothing is printed about response in an arm, two denominators are printed for one visit, or no whole number
        of patients agrees with what is printed.
    """
    cells = {arm.code: tuple(_cell(study, arm, month, reading) for month in study.visit_months) for arm in study.arms}
    for arm, visits in cells.items():
        if not any(cell is not None and cell.targets for cell in visits):
            raise ReconstructionError(
                "nothing is printed about response",
                where=f"study {study.name}, arm {arm}",
                remedy="add a percentage or count of response at a visit, assumed if need be",
            )
    return cells


def _cell(study: Study, arm: Arm, month: int, reading: Reading) -> PrintedCell | None:
    printed = [study.printed(measure, arm=arm.code, month=month) for measure in RESPONSE_MEASURES]
    targets = tuple(target for target in printed if target is not None)
    assessed = study.printed(Measure.ASSESSED, arm=arm.code, month=month)
    if not targets:
        if assessed is None:
            return None
        return PrintedCell(arm.code, month, targets, assessed, _unlisted(int(assessed.printed)))
    n = _printed_denominator(study, arm, targets, assessed)
    allowed = frozenset(range(1, arm.size + 1)) if n is None else frozenset({n})
    for target in targets:
        # A number that its own printed denominator does not give is no contradiction: see synthetic.nearest.
        serving = (target, *reading.shared.get(target.id, ())) if n is None else reading.shared.get(target.id, ())
        for served in serving:
            _refuse_if_empty(admissible_denominators(served, arm.size), study, [served], arm)
            allowed &= admissible_denominators(served, arm.size)
            _refuse_if_empty(allowed, study, dict.fromkeys((*targets, served)), arm)
        if target.id in reading.fixed:
            allowed &= {reading.fixed[target.id]}
            _refuse_if_empty(allowed, study, targets, arm, f" with n = {reading.fixed[target.id]}")
    by_n = admissible_splits(targets, allowed, arm.size)
    if n is None:
        _refuse_if_empty(by_n, study, targets, arm)
    elif not by_n:
        by_n = {n: nearest_splits(targets, n)}
    return PrintedCell(arm.code, month, targets, assessed, by_n)


def _printed_denominator(study: Study, arm: Arm, targets: Iterable[Target], assessed: Target | None) -> int | None:
    """Return the denominator printed for a visit, ``None`` if none is."""
    stated = {target.id: target.n for target in targets if target.n is not None}
    if assessed is not None:
        stated[assessed.id] = int(assessed.printed)
    if len(set(stated.values())) > 1:
        raise ReconstructionError(
            "different denominators are printed for one visit",
            where=f"study {study.name}, arm {arm.code}",
            got=", ".join(f"{target} of {n}" for target, n in stated.items()),
            remedy="correct n, or leave out the number that counts other patients",
        )
    return next(iter(stated.values()), None)


def _stating(targets: tuple[Target, ...], assessed: Target | None) -> tuple[Target, ...]:
    return targets if assessed is None else (*targets, assessed)


def _unlisted(n: int) -> dict[int, Splits]:
    nobody = np.zeros(0, dtype=np.int64)
    return {n: Splits(n, nobody, nobody)}


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
