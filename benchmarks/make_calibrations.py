"""Solve and write the shipped calibrations and true effects of studies: a pair of files for the default scenario.

The flagship study has a pair for every carried scenario, and for the strengths of confounding between them that
``lncohort simulate`` sweeps by default.

python benchmarks/make_calibrations.py kim2025 [NAME ...]
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import synthetic
from cohort.targets import load_study
from synthetic.calibrate import calibrate
from synthetic.calibration_file import format_calibration
from synthetic.design import design_of
from synthetic.reconstruct import reconstruct
from synthetic.sampler import strength_scenario
from synthetic.scenario import DEFAULT_SCENARIO, Scenario, available_scenarios, load_scenario
from synthetic.setting import settle
from synthetic.true_effects import CARRIED, solve_effects
from synthetic.true_values import format_effects

FLAGSHIP = "kim2025"
BETWEEN = (0.5, 1.5)


def scenarios(name: str) -> list[Scenario]:
    """Return the scenarios whose constants are carried for a study."""
    if name != FLAGSHIP:
        return [DEFAULT_SCENARIO]
    return [*map(load_scenario, available_scenarios()), *map(strength_scenario, BETWEEN)]


for name in sys.argv[1:]:
    study = load_study(name)
    design = design_of(study, reconstruct(study))
    for scenario in scenarios(name):
        start = time.perf_counter()
        stem = name if scenario.name == DEFAULT_SCENARIO.name else f"{name}-{scenario.name}"
        setting = settle(design, scenario)
        # Solved again even where a carried calibration was found.
        setting = replace(setting, calibration=calibrate(design, setting.model))
        effects = solve_effects(setting, CARRIED)
        folder = Path(synthetic.__file__).parent / "calibrations"
        for ending, text in (
            ("toml", format_calibration(design, setting.model, setting.calibration)),
            ("csv", format_effects(design, setting.model, effects)),
        ):
            (folder / f"{stem}.{ending}").write_text(text, encoding="utf-8", newline="\n")
        print(f"{stem}: solved in {time.perf_counter() - start:.1f} s")
