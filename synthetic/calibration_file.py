"""Calibrations as small readable files: solved once per study and settings, shipped for the default model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from importlib import resources

import numpy as np
import numpy.typing as npt

from cohort.response import IntArray
from synthetic.calibrate import Calibration, calibrate
from synthetic.cuts import Counts
from synthetic.model import PatientModel

FloatArray = npt.NDArray[np.float64]

_ARRAYS = ("share_assessed", "no_response_below", "complete_from")


def fingerprint(arm_sizes: tuple[int, int], months: IntArray, counts: Counts, model: PatientModel) -> str:
    """Return a digest of everything a calibration depends on."""
    settings = {
        "arm_sizes": arm_sizes,
        "months": months.tolist(),
        "counts": {name: getattr(counts, name).tolist() for name in ("assessed", "complete", "partial")},
        "model": [dataclasses.asdict(part) for part in (model.baseline, model.assignment, model.course)],
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def format_calibration(study: str, digest: str, calibration: Calibration) -> str:
    """Return a calibration as TOML, the arm on tacrolimus first, one value per scheduled visit."""
    lines = [
        "# Constants solved by synthetic.calibrate for the default patient model; not published numbers.",
        "# Rows: the arm on tacrolimus, then the arm without; columns: scheduled visits after day 0.",
        f'study = "{study}"',
        f'settings = "{digest}"',
        f"intercept = {calibration.intercept!r}",
    ]
    for name in _ARRAYS:
        rows = [f"    [{', '.join(repr(float(value)) for value in row)}]," for row in getattr(calibration, name)]
        lines += [f"{name} = [", *rows, "]"]
    return "\n".join(lines) + "\n"


def calibration_for(
    study: str, arm_sizes: tuple[int, int], months: IntArray, counts: Counts, model: PatientModel
) -> Calibration:
    """Return the shipped calibration if it is of these settings, and solve one otherwise.

    Parameters
    ----------
    study
        Name of the study.
    arm_sizes, months, counts, model
        As in :func:`synthetic.calibrate.calibrate`.
    """
    shipped = resources.files("synthetic") / "calibrations" / f"{study}.toml"
    if shipped.is_file():
        content = tomllib.loads(shipped.read_text(encoding="utf-8"))
        if content["settings"] == fingerprint(arm_sizes, months, counts, model):
            arrays = {name: np.asarray(content[name], dtype=np.float64) for name in _ARRAYS}
            return Calibration(intercept=float(content["intercept"]), **arrays)
    return calibrate(arm_sizes, months, counts, model)
