"""Whole patients behind rounded percentages: one table chosen by a stated rule, with the whole solution set beside it.

1. *Admissible* are whole numbers of patients that print as every percentage (half up or half even), with denominators
   that never rise within an arm, denominators that the study file says are shared, and the p-values it lists.
2. *Denominators*: among these, the smallest sum over visits of the squared change in annual loss, counted from the
   arm size at month 0.
3. *Splits* that are not printed: the smallest sum of squared changes in the logits of overall response and of complete
   response among responders, divided by the years between visits, with 0.5 added to counts.
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
from cohort.p_values import ONE_SIDED, ComparisonTest, three_category, two_by_two
from cohort.rounding import Floats, probability_prints_as
from cohort.targets import RESPONSE_MEASURES, Alternative, Measure, Study, Target
from cohort.toml_document import closest
from synthetic.denominators import Chains, choose_denominators
from synthetic.p_value_masks import VisitConstraints, constraints_by_visit
from synthetic.printed_cells import Reading, printed_cells
from synthetic.splits import SplitChoice, choose_splits

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
        How many tables of splits the printed numbers allow at the chosen denominators.
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
        The chosen table: ``arm``, ``month``, ``assessed``, ``complete``, ``partial``, ``none`` (int64), arms in the
        order of the study file, months increasing.
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
    reading = _alternative(study, alternative)
    constraints = _constraints(study, reading)
    sizes = {arm.code: arm.size for arm in study.arms}
    cells = printed_cells(study, _denominator_reading(study, reading))
    chains = choose_denominators(cells, sizes, constraints)
    splits = {
        arm: [cell.by_n[n] for cell, n in zip(visits, chains[arm].assessed[chains[arm].chosen].tolist(), strict=True)]
        for arm, visits in cells.items()
    }
    years = (np.diff(study.visit_months) / 12).tolist()
    together = [tuple(sizes)] if constraints else [(arm,) for arm in sizes]
    choices = [choose_splits(arms, [splits[arm] for arm in arms], years, constraints) for arms in together]

    listed = _listed_splits(choices, splits, study.visit_months)
    counts = _counts(listed, tuple(sizes))
    margins = [choice.criterion[1] - choice.criterion[0] for choice in choices if len(choice.criterion) > 1]
    criterion = math.fsum(choice.criterion[0] for choice in choices)
    return Reconstruction(
        study=study.name,
        name=reading.name if reading else DEFAULT,
        arm_sizes=MappingProxyType(sizes),
        counts=counts,
        solutions=SolutionSet(
            denominators=_listed_denominators(chains, study.visit_months),
            splits=listed,
            admissible_splits=math.prod(choice.admissible for choice in choices),
        ),
        p_values=_p_values(study, counts),
        denominator_criterion=MappingProxyType(
            {arm: float(found.criterion[found.chosen]) for arm, found in chains.items()}
        ),
        next_denominator_criterion=MappingProxyType({arm: found.next_criterion for arm, found in chains.items()}),
        split_criterion=criterion,
        next_split_criterion=criterion + min(margins) if margins else None,
        next_bound_split_criterion=choices[0].next_bound,
    )


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


def _listed_splits(
    choices: Sequence[SplitChoice], splits: Mapping[str, Sequence[Splits]], months: Sequence[int]
) -> pd.DataFrame:
    rows = [
        (
            "+".join(choice.arms),
            rank,
            criterion,
            arm,
            month,
            splits[arm][visit].n,
            int(splits[arm][visit].complete[places[visit][lane]]),
            int(splits[arm][visit].partial[places[visit][lane]]),
        )
        for choice in choices
        for rank, (criterion, places) in enumerate(zip(choice.criterion, choice.places, strict=True), start=1)
        for lane, arm in enumerate(choice.arms)
        for visit, month in enumerate(months)
    ]
    columns = ["arms", "rank", "criterion", "arm", "month", "assessed", "complete", "partial"]
    listed = pd.DataFrame(rows, columns=columns)
    return listed.assign(none=listed["assessed"] - listed["complete"] - listed["partial"])


def _counts(listed: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    best = listed[listed["rank"] == 1]
    ordered = pd.concat([best[best["arm"] == arm] for arm in arms], ignore_index=True)
    return ordered[["arm", "month", "assessed", "complete", "partial", "none"]]


_P_VALUE_COLUMNS = {
    "target_id": "str",
    "measure": "str",
    "month": "int64",
    "printed": "str",
    "test": "str",
    "sides": "int64",
    "p_value": "float64",
    "prints": "bool",
}


def _p_values(study: Study, counts: pd.DataFrame) -> pd.DataFrame:
    """Return what every test gives at the chosen counts, for each printed p-value in force."""
    targets = _printed_p_values(study)
    if len(study.arms) != 2 or not targets:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _P_VALUE_COLUMNS.items()})
    chosen = {
        (arm, month): Splits(n, np.array([complete]), np.array([partial]))
        for arm, month, n, complete, partial in zip(
            *(counts[name].tolist() for name in ("arm", "month", "assessed", "complete", "partial")), strict=True
        )
    }
    first, second = ([chosen[arm.code, target.month] for target in targets] for arm in study.arms)
    p = _every_test(targets, first, second)
    values = np.column_stack(list(p.values()))
    prints = [probability_prints_as(row, target.printed) for row, target in zip(values, targets, strict=True)]
    many = len(p)
    return pd.DataFrame(
        {
            "target_id": np.repeat([target.id for target in targets], many),
            "measure": np.repeat([str(target.compares) for target in targets], many),
            "month": np.repeat([target.month or 0 for target in targets], many),
            "printed": np.repeat([target.printed for target in targets], many),
            "test": [str(test) for test in p] * len(targets),
            "sides": [1 if test in ONE_SIDED else 2 for test in p] * len(targets),
            "p_value": values.ravel(),
            "prints": np.concatenate(prints),
        }
    )


def _printed_p_values(study: Study) -> list[Target]:
    return [
        target
        for target in study.targets
        if target.measure is Measure.P_VALUE
        and target.compares in RESPONSE_MEASURES
        and target.month in study.visit_months
        and target.superseded_by is None
    ]


def _every_test(
    targets: Sequence[Target], first: Sequence[Splits], second: Sequence[Splits]
) -> dict[ComparisonTest, Floats]:
    """Return the p-value of every test for each target, whose splits stand at the same place of both lists."""
    measures = [target.compares or Measure.OVERALL_RESPONSE for target in targets]
    n_1, n_2 = (np.array([splits.n for splits in arm]) for arm in (first, second))
    events_1, events_2 = (
        np.concatenate([splits.counts(measure) for splits, measure in zip(arm, measures, strict=True)])
        for arm in (first, second)
    )
    complete_1, complete_2 = (np.concatenate([splits.complete for splits in arm]) for arm in (first, second))
    partial_1, partial_2 = (np.concatenate([splits.partial for splits in arm]) for arm in (first, second))
    return two_by_two(events_1, n_1, events_2, n_2) | three_category(
        complete_1, partial_1, n_1, complete_2, partial_2, n_2
    )
