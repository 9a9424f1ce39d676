"""The printed percentages and p-values of a study, each with the counts that may stand behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cohort.admissible import Splits, admissible_denominators, admissible_splits
from cohort.attainability import Comparison
from cohort.candidates import candidate_counts
from cohort.record import RESPONSE_MEASURES, Measure, Study, Target, TargetKind, Unit
from cohort.rounding import Integers


@dataclass(frozen=True, slots=True)
class PrintedPercentage:
    """A printed percentage; ``n`` is its denominator if that is printed, ``n_max`` the largest it can be.

    ``kaplan_meier`` marks an estimate behind which no whole number of patients need stand.
    """

    target_id: str
    measure: str
    arm: str
    printed: str
    n_max: int
    n: int | None = None
    month: int | None = None
    status: str = ""
    kaplan_meier: bool = False

    def candidates(self) -> tuple[Integers, Integers]:
        """Return events and denominators of every candidate, by increasing denominator."""
        return candidate_counts(self.printed, self.n or self.n_max, min_n=self.n or 1)


@dataclass(frozen=True, slots=True)
class PrintedPValue:
    """A printed p-value: what it compares, and the counts to try it at."""

    measure: str
    comparison: Comparison
    month: int | None = None
    status: str = ""


def percentages_of(study: Study) -> list[PrintedPercentage]:
    """Return every printed percentage of an arm, superseded ones included, in the order of the study file."""
    return [
        PrintedPercentage(
            target_id=target.id,
            measure=str(target.measure),
            arm=target.arm,
            printed=target.printed,
            n_max=study.arm(target.arm).size,
            n=target.n,
            month=target.month,
            status=str(target.status),
            kaplan_meier=target.kaplan_meier,
        )
        for target in study.targets
        if target.kind is TargetKind.NUMBER and target.unit is Unit.PERCENT and target.arm is not None
    ]


def p_values_of(study: Study) -> list[PrintedPValue]:
    """Return every printed p-value, in the order of the study file.

    A p-value in force is tried at the percentages in force, a superseded one at those of its own source.
    """
    return [
        PrintedPValue(str(target.compares), _comparison(study, target), target.month, str(target.status))
        for target in study.targets
        if target.kind is TargetKind.NUMBER and target.measure is Measure.P_VALUE
    ]


def _comparison(study: Study, p_value: Target) -> Comparison:
    nothing = Comparison(p_value.id, p_value.printed)
    if p_value.compares not in RESPONSE_MEASURES or len(study.arms) != 2:
        return nothing
    printed = [_percentages_beside(study, p_value, arm.code) for arm in study.arms]
    if not all(printed):
        return nothing
    sizes = [arm.size for arm in study.arms]
    splits = [_splits(targets.values(), size) for targets, size in zip(printed, sizes, strict=True)]
    measure = p_value.compares
    alone = [targets[measure] for targets in printed if measure in targets]
    own = [_own(target, size) for target, size in zip(alone, sizes, strict=True)] if len(alone) == 2 else []
    only_these = own and all(len(targets) == 1 for targets in printed)
    return Comparison(
        p_value.id,
        p_value.printed,
        own=own,
        shared=() if only_these else [_shared(by_n, measure) for by_n in splits],
        splits=splits,
    )


def _percentages_beside(study: Study, p_value: Target, arm: str) -> dict[Measure, Target]:
    """Return the percentages of an arm that were printed beside a p-value, by measure."""
    if p_value.superseded_by is None:
        found = [study.printed(measure, arm=arm, month=p_value.month) for measure in RESPONSE_MEASURES]
        return {target.measure: target for target in found if target is not None}
    return {
        target.measure: target
        for target in study.targets
        if target.kind is TargetKind.NUMBER
        and target.measure in RESPONSE_MEASURES
        and (target.arm, target.month, target.source) == (arm, p_value.month, p_value.source)
    }


def _splits(targets: Iterable[Target], size: int) -> dict[int, Splits]:
    targets = list(targets)
    shared = frozenset.intersection(*(admissible_denominators(target, size) for target in targets))
    return admissible_splits(targets, shared, size)


def _own(target: Target, size: int) -> tuple[Integers, Integers]:
    return candidate_counts(target.printed, target.n or size, min_n=target.n or 1)


def _shared(by_n: Mapping[int, Splits], measure: Measure) -> tuple[Integers, Integers]:
    counts = {n: np.unique(splits.counts(measure)) for n, splits in by_n.items()}
    empty = np.zeros(0, dtype=np.int64)
    events = np.concatenate([empty, *counts.values()])
    return events, np.repeat(np.array(list(counts), dtype=np.int64), [len(found) for found in counts.values()])
