"""What every test gives at the chosen counts, for each printed p-value of response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cohort.admissible import Splits
from cohort.p_values import ONE_SIDED, ComparisonTest, three_category, two_by_two
from cohort.rounding import Floats, probability_prints_as
from cohort.targets import RESPONSE_MEASURES, Measure, Study, Target

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


def printed_p_values(study: Study, counts: pd.DataFrame) -> pd.DataFrame:
    """Return what every test gives at the chosen counts, for each printed p-value in force.

    Parameters
    ----------
    study
        The published record.
    counts
        Columns ``arm, month, assessed, complete, partial``, one row per arm and visit.

    Returns
    -------
    pandas.DataFrame
        The columns of ``Reconstruction.p_values``. Empty unless there are two arms.
    """
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
