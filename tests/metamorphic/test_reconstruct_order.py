"""Protects the reconstruction against depending on the order of arms or targets, or on what it should not read."""

from __future__ import annotations

import pandas as pd

from cohort.targets import Measure, load_study
from synthetic.reconstruct import reconstruct

STUDY = load_study("kim2025")
BASE = reconstruct(STUDY).counts


def ordered(counts: pd.DataFrame) -> pd.DataFrame:
    return counts.sort_values(["arm", "month"], ignore_index=True)


def test_swapping_the_arms_changes_nothing() -> None:
    swapped = reconstruct(STUDY.model_copy(update={"arms": STUDY.arms[::-1]})).counts
    assert swapped["arm"].iloc[0] == "no_tacrolimus"
    pd.testing.assert_frame_equal(ordered(swapped), ordered(BASE))


def test_the_order_of_targets_does_not_matter() -> None:
    turned = reconstruct(STUDY.model_copy(update={"targets": STUDY.targets[::-1]})).counts
    pd.testing.assert_frame_equal(turned, BASE)


def test_p_values_outside_the_constraints_do_not_bend_the_table() -> None:
    bound = {entry.target for entry in STUDY.reconstruction.p_values}
    targets = tuple(
        target.model_copy(update={"value": "0.999"})
        if target.measure is Measure.P_VALUE and target.id not in bound
        else target
        for target in STUDY.targets
    )
    pd.testing.assert_frame_equal(reconstruct(STUDY.model_copy(update={"targets": targets})).counts, BASE)
