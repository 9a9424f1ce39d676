"""Whole patients behind printed rates: one table chosen by a stated rule, with the whole solution set beside it.

1. *Admissible* are whole numbers of patients that give every printed count and print as every percentage (half up or
   half even), with denominators that never rise within an arm, denominators that the study file says are shared, and
   the p-values it lists. Where a denominator is printed that nothing admissible has, the nearest whole numbers stand
   in (:mod:`synthetic.nearest`) and are listed.
2. *Denominators*: among these, the smallest sum over the printed visits of the squared change in annual loss, counted
   from the arm size at month 0.
3. *Splits* that are not printed: the smallest sum of squared changes in the logits of overall response and of complete
   response among responders, divided by the years between visits, with 0.5 added to counts. In an arm with a single
   printed visit, what print leaves open comes as near to one half as it can.
4. *Visits with nothing printed* run straight between those printed (:mod:`synthetic.unprinted`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from cohort.admissible import Splits
from cohort.errors import ReconstructionError
from cohort.targets import Alternative, Study, Target
from cohort.toml_document import closest
from synthetic.denominators import Chains, choose_denominators
from synthetic.nearest import unattained
from synthetic.p_value_masks import VisitConstraints, constraints_by_visit
from synthetic.printed_cells import Reading, described, printed_cells
from synthetic.printed_flares import counted_events, printed_flares
from synthetic.printed_p_values import printed_p_values
from synthetic.split_tables import Cells, choose_tables

DEFAULT = "default"
"""Name of the reconstruction that uses no alternative reading."""


@dataclass(frozen=True, slots=True)
class SolutionSet:
    """Every table that the printed numbers allow, as far as it can be listed.

    Parameters
    ----------
    denominators
        Every admissible chain of denominators of each arm, smoothest first: ``arm``, ``rank`` (from 1), ``month``,
        ``assessed``, ``criterion``; one row per chain and visit.
    splits
        The best tables of splits at the chosen denominators: ``arms`` (chosen together, joined by ``+``), ``rank``
        (from 1), ``criterion``, ``arm``, ``month``, ``assessed``, ``complete``, ``partial``, ``none``; one row per
        table, arm and visit.
    admissible_splits
        How many tables of splits the printed numbers allow at the chosen denominators, visits with nothing printed
        about response left aside.
    """

    denominators: pd.DataFrame
    splits: pd.DataFrame
    admissible_splits: int


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """One table of whole patients behind a published record.

    Parameters
    ----------
    study
        Name of the study.
    name
        ``"default"``, or the name of the alternative reading.
    arm_sizes
        From each arm to its patients at month 0.
    counts
        The chosen table: ``arm``, ``month``, ``assessed``, ``complete``, ``partial``, ``none`` (int64) and ``basis``
        (the statuses of the numbers printed about that arm and visit, joined by a comma, or ``not printed``), arms in
        the order of the study file, months increasing.
    unattainable
        The printed percentages and counts, of response and of events, that the chosen numbers do not give back:
        ``target_id``, ``measure``, ``arm``, ``month``, ``printed``, ``n``, ``nearest`` (the patients taken),
        ``percentage`` (theirs, unrounded) and ``reason``. Kaplan-Meier estimates owe no whole number and are not
        among them.
    flares
        See :func:`synthetic.printed_flares.printed_flares`.
    solutions
        What else the printed numbers allow.
    p_values
        Each printed p-value of response at a visit with what the chosen table gives: ``target_id``, ``measure``,
        ``month``, ``printed``, ``test``, ``sides`` (1 or 2), ``p_value``, ``prints`` (whether it rounds to the
        printed value); one row per p-value and test. Empty unless there are two arms.
    denominator_criterion, next_denominator_criterion
        From each arm to the criterion of rule 2 for the chain chosen and for the best other one (``None`` if there is
        no other).
    split_criterion, next_split_criterion
        Criterion of rule 3, over all arms, for the table chosen and for the best other one (``None`` if there is no
        other).
    next_bound_split_criterion
        The same for the best table in which a count that a constraining p-value is about differs from the chosen
        one (``None`` if there is no such table).
    """

    study: str
    name: str
    arm_sizes: Mapping[str, int]
    counts: pd.DataFrame
    unattainable: pd.DataFrame
    flares: pd.DataFrame
    solutions: SolutionSet
    p_values: pd.DataFrame
    denominator_criterion: Mapping[str, float]
    next_denominator_criterion: Mapping[str, float | None]
    split_criterion: float
    next_split_criterion: float | None
    next_bound_split_criterion: float | None


def reconstruct(study: Study, *, alternative: str | None = None) -> Reconstruction:
    """Choose one table of whole patients by the rule at the top of this module.

    Parameters
    ----------
    study
        The published record; its ``reconstruction`` section holds the choices that are data.
    alternative
        Name of an alternative reading of the study file; ``None`` for the default.

    Returns
    -------
    Reconstruction
        Where two denominator chains tie, the larger denominators are taken; where two tables of splits tie, the one
        with fewer complete, then fewer partial responders at the earliest visit that differs.

    Raises
    ------
    ReconstructionError
        If the alternative is unknown, or no table agrees with what is printed; the message names the target.

    Examples
    --------
    >>> from cohort.targets import load_study
    >>> table = reconstruct(load_study("kim2025")).counts
    >>> table[table["month"] == 60][["arm", "assessed", "complete", "partial"]].to_dict("list")
    {'arm': ['tacrolimus', 'no_tacrolimus'], 'assessed': [48, 55], 'complete': [25, 39], 'partial': [10, 9]}
    """
    record = printed_record(study, alternative)
    cells, sizes, constraints = record.cells, record.sizes, record.constraints
    chains = choose_denominators(cells, study.visit_months, sizes, constraints)
    assessed = {arm: found.assessed[found.chosen].tolist() for arm, found in chains.items()}
    together = [tuple(sizes)] if constraints else [(arm,) for arm in sizes]
    tables = [choose_tables(arms, cells, assessed, study.visit_months, constraints) for arms in together]

    listed = pd.concat([table.listed for table in tables], ignore_index=True)
    counts = _counts(listed, cells)
    found = [table.choice for table in tables]
    margins = [choice.criterion[1] - choice.criterion[0] for choice in found if len(choice.criterion) > 1]
    criterion = math.fsum(choice.criterion[0] for choice in found)
    return Reconstruction(
        study=study.name,
        name=record.name,
        arm_sizes=MappingProxyType(dict(sizes)),
        counts=counts,
        unattainable=_unattainable(study, cells, counts),
        flares=printed_flares(study),
        solutions=SolutionSet(
            denominators=_listed_denominators(chains, study.visit_months),
            splits=listed,
            admissible_splits=math.prod(choice.admissible for choice in found),
        ),
        p_values=printed_p_values(study, counts),
        denominator_criterion=MappingProxyType({arm: float(of.criterion[of.chosen]) for arm, of in chains.items()}),
        next_denominator_criterion=MappingProxyType({arm: of.next_criterion for arm, of in chains.items()}),
        split_criterion=criterion,
        next_split_criterion=criterion + min(margins) if margins else None,
        next_bound_split_criterion=found[0].next_bound,
    )


@dataclass(frozen=True, slots=True)
class PrintedRecord:
    """What one reading of a study file says about response.

    Parameters
    ----------
    name
        ``"default"``, or the name of the alternative reading.
    sizes
        From each arm, in the order of the study file, to its patients at month 0.
    cells
        From each arm to what is printed at each visit, with the whole numbers of patients that agree.
    constraints
        The p-values that must be met, by visit.
    """

    name: str
    sizes: Mapping[str, int]
    cells: Cells
    constraints: tuple[VisitConstraints, ...]


def printed_record(study: Study, alternative: str | None = None) -> PrintedRecord:
    """Return what a reading of the study file says about response.

    Raises
    ------
    ReconstructionError
        If the alternative is unknown, or no whole numbers of patients agree with what is printed of a visit.
    """
    reading = _alternative(study, alternative)
    constraints = _constraints(study, reading)
    cells = printed_cells(study, _denominator_reading(study, reading))
    _refuse_unprinted(cells, constraints, study)
    sizes = {arm.code: arm.size for arm in study.arms}
    return PrintedRecord(reading.name if reading else DEFAULT, MappingProxyType(sizes), cells, constraints)


def _alternative(study: Study, name: str | None) -> Alternative | None:
    if name is None or name == DEFAULT:
        return None
    named = {alternative.name: alternative for alternative in study.reconstruction.alternatives}
    if name not in named:
        raise ReconstructionError(
            "no such alternative reading",
            where=f"study {study.name}",
            got=repr(name),
            remedy=closest(name, [DEFAULT, *named], "the readings are"),
        )
    return named[name]


def _constraints(study: Study, reading: Alternative | None) -> tuple[VisitConstraints, ...]:
    bound = (*study.reconstruction.p_values, *(reading.p_values if reading else ()))
    return constraints_by_visit([(study.target(entry.target), entry.test) for entry in bound], study.visit_months)


def _refuse_unprinted(cells: Cells, constraints: Sequence[VisitConstraints], study: Study) -> None:
    """Refuse a p-value that binds arms at a visit where one of them prints no response."""
    for constraint in constraints:
        for arm, visits in cells.items():
            cell = visits[constraint.visit]
            if cell is None or not cell.targets:
                raise ReconstructionError(
                    "a p-value binds a visit at which an arm prints no response",
                    where=f"study {study.name}, arm {arm}, month {study.visit_months[constraint.visit]}",
                    got=constraint.described(),
                    remedy="take it out of the reconstruction section, or add a target of the arm at that visit",
                )


def _denominator_reading(study: Study, reading: Alternative | None) -> Reading:
    shared: dict[str, tuple[Target, ...]] = {}
    for entry in study.reconstruction.shared_denominators:
        shared[entry.target] = (*shared.get(entry.target, ()), study.target(entry.also_serves))
    fixed = {entry.target: entry.n for entry in reading.denominators} if reading else {}
    return Reading(shared, fixed)


def _listed_denominators(chains: Mapping[str, Chains], months: Sequence[int]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "arm": arm,
                "rank": np.repeat(np.arange(1, len(found.criterion) + 1), len(months)),
                "month": np.tile(np.array(months), len(found.criterion)),
                "assessed": found.assessed.ravel(),
                "criterion": np.repeat(found.criterion, len(months)),
            }
        )
        for arm, found in chains.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _counts(listed: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    best = listed[listed["rank"] == 1]
    ordered = pd.concat([best[best["arm"] == arm] for arm in cells], ignore_index=True)
    basis = ["not printed" if cell is None else cell.basis for visits in cells.values() for cell in visits]
    return ordered[["arm", "month", "assessed", "complete", "partial", "none"]].assign(basis=basis)


def _unattainable(study: Study, cells: Cells, counts: pd.DataFrame) -> pd.DataFrame:
    """List the printed numbers of response and of events that the chosen numbers of patients do not give back."""
    columns = (counts[name].tolist() for name in ("arm", "month", "assessed", "complete", "partial"))
    chosen = {
        (arm, month): Splits(n, np.array([complete]), np.array([partial]))
        for arm, month, n, complete, partial in zip(*columns, strict=True)
    }
    given: list[tuple[Target, int, int]] = []
    beside: dict[str, str] = {}
    for cell in (cell for visits in cells.values() for cell in visits if cell is not None):
        splits = chosen[cell.arm, cell.month]
        for target in cell.targets:
            given.append((target, int(splits.counts(target.measure)[0]), splits.n))
            beside[target.id] = described(other for other in cell.targets if other is not target)
    return unattained([*given, *counted_events(study)], beside)
