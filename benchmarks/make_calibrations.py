"""Solve and write the shipped calibrations and true effects of studies: a pair of files for the default scenario.

The flagship study has a pair for every carried scenario.

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
from synthetic.scenario import DEFAULT_SCENARIO, available_scenarios, load_scenario
from synthetic.setting import settle
from synthetic.true_effects import CARRIED, solve_effects
from synthetic.true_values import format_effects

FLAGSHIP = "kim2025"

for name in sys.argv[1:]:
    study = load_study(name)
    design = design_of(study, reconstruct(study))
    for scenario in available_scenarios() if name == FLAGSHIP else (DEFAULT_SCENARIO.name,):
        start = time.perf_counter()
        stem = name if scenario == DEFAULT_SCENARIO.name else f"{name}-{scenario}"
        setting = settle(design, load_scenario(scenario))
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
