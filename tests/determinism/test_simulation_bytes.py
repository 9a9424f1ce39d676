"""A simulation study gives the same estimates for any number of processes, and more replicates begin with the same."""

from __future__ import annotations

import pandas as pd
import pytest

from analyses.simulation import METHODS, Setting, SimulationPlan, run_simulation
from synthetic.sampler import ConfoundingSampler, confounding_sampler

SOME = tuple(method for method in METHODS if method.name in ("crude", "IPW, oracle"))
SETTINGS = (Setting(0.0, 4000), Setting(1.0, 179))


@pytest.fixture(scope="module")
def sampler() -> ConfoundingSampler:
    return confounding_sampler("kim2025", strengths=(0.0, 1.0), seed=11)


@pytest.fixture(scope="module")
def three(sampler: ConfoundingSampler) -> pd.DataFrame:
    return run_simulation(sampler, SimulationPlan(SETTINGS, 3, SOME))


@pytest.mark.slow
def test_processes_change_nothing(sampler: ConfoundingSampler, three: pd.DataFrame) -> None:
    steps: list[int] = []
    again = run_simulation(sampler, SimulationPlan(SETTINGS, 3, SOME), jobs=2, advance=lambda: steps.append(1))
    pd.testing.assert_frame_equal(again, three, check_exact=True)
    assert len(steps) == 2 + 1


def test_a_replicate_depends_neither_on_how_many_there_are_nor_on_other_settings(
    three: pd.DataFrame,
) -> None:
    alone = confounding_sampler("kim2025", strengths=(1.0,), seed=11)
    two = run_simulation(alone, SimulationPlan(SETTINGS[1:], 2, SOME))
    wanted = three[(three["patients"] == 179) & (three["replicate"] <= 2)].reset_index(drop=True)
    pd.testing.assert_frame_equal(two, wanted, check_exact=True)


def test_cohorts_of_a_block_differ_and_so_do_seeds(sampler: ConfoundingSampler) -> None:
    block = sampler.draw(1.0, 179, 0)
    assert block["replicate"].value_counts().eq(179).all()
    severity = block.groupby("replicate")["oracle_latent_severity"].mean()
    assert severity.nunique() == len(severity) == sampler.per_block(179)
    other = confounding_sampler("kim2025", strengths=(1.0,), seed=12).draw(1.0, 179, 0)
    assert not other["age_years"].equals(block["age_years"])
    assert sampler.draw(1.0, 179, 1)["replicate"].min() == block["replicate"].max() + 1
