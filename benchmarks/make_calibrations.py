"""Solve and write the shipped calibration of a study: python benchmarks/make_calibrations.py kim2025."""

import sys
import time
from pathlib import Path

import numpy as np

import synthetic
from cohort.targets import load_study
from synthetic.calibrate import calibrate
from synthetic.calibration_file import fingerprint, format_calibration
from synthetic.model import PatientModel
from synthetic.reconstruct import reconstruct
from synthetic.story import arm_sizes, study_counts

study = load_study(sys.argv[1])
settings = (
    arm_sizes(study),
    np.asarray(study.visit_months),
    study_counts(study, reconstruct(study)),
    PatientModel(),
)
start = time.perf_counter()
solved = calibrate(*settings)
print(f"solved in {time.perf_counter() - start:.1f} s")
target = Path(synthetic.__file__).parent / "calibrations" / f"{study.name}.toml"
target.write_text(format_calibration(study.name, fingerprint(*settings), solved), encoding="utf-8", newline="\n")
