"""Solve and write the shipped calibration of studies: python benchmarks/make_calibrations.py kim2025 [NAME ...]."""

import sys
import time
from pathlib import Path

import synthetic
from cohort.targets import load_study
from synthetic.calibrate import calibrate
from synthetic.calibration_file import format_calibration
from synthetic.design import design_of
from synthetic.model import PatientModel
from synthetic.reconstruct import reconstruct

for name in sys.argv[1:]:
    study = load_study(name)
    design, model = design_of(study, reconstruct(study)), PatientModel()
    start = time.perf_counter()
    solved = calibrate(design, model)
    print(f"{name}: solved in {time.perf_counter() - start:.1f} s")
    target = Path(synthetic.__file__).parent / "calibrations" / f"{name}.toml"
    target.write_text(format_calibration(design, model, solved), encoding="utf-8", newline="\n")
