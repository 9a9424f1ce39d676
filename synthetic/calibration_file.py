"""Calibrations as small readable files: solved once per study and settings, shipped for the scenarios carried."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from importlib import resources

import numpy as np
import numpy.typing as npt

from synthetic.calibrate import POWER, Calibration, calibrated_population
from synthetic.design import Design
from synthetic.model import PatientModel

FloatArray = npt.NDArray[np.float64]

_ARRAYS = tuple(field.name for field in dataclasses.fields(Calibration))


def fingerprint(design: Design, model: PatientModel) -> str:
    """Return a digest of everything a calibration depends on."""
    parts = (
        model.baseline, model.assignment, model.calendar, model.missing, model.effect, model.centres, model.course
    )  # fmt: skip
    settings = {
        "sizes": design.sizes.tolist(),
        "tacrolimus": design.tacrolimus.tolist(),
        "months": design.months.tolist(),
        "randomised": design.randomised,
        "flares": [dataclasses.astuple(target) for target in design.flares],
        "counts": {name: getattr(design.counts, name).tolist() for name in ("assessed", "complete", "partial")},
        "model": [dataclasses.asdict(part) for part in parts],
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def format_calibration(design: Design, model: PatientModel, calibration: Calibration) -> str:
    """Return a calibration as TOML: rows are arms, the reference last; columns are scheduled visits after day 0."""
    lines = [
        "# Constants solved by synthetic.calibrate; not published numbers.",
        f"# Rows: {', '.join(design.arms.tolist())}. Columns: months {', '.join(map(str, design.months.tolist()))}.",
        f'study = "{design.study}"',
        f'settings = "{fingerprint(design, model)}"',
    ]
    for name in _ARRAYS:
        values = getattr(calibration, name)
        if values.ndim == 1:
            lines.append(f"{name} = [{_numbers(values)}]")
        else:
            lines += [f"{name} = [", *(f"    [{_numbers(row)}]," for row in values), "]"]
    return "\n".join(lines) + "\n"


def carried_stem(design: Design, model: PatientModel) -> str | None:
    """Return the name, without ending, of the carried files of this design and model; ``None`` if there are none."""
    line = f'settings = "{fingerprint(design, model)}"'
    for entry in sorted((resources.files("synthetic") / "calibrations").iterdir(), key=lambda entry: entry.name):
        stem, _, ending = entry.name.rpartition(".")
        if ending == "toml" and stem.split("-")[0] == design.study and line in entry.read_text(encoding="utf-8"):
            return stem
    return None


def calibration_for(
    design: Design, model: PatientModel, *, rate_is_free: bool = True, power: int = POWER
) -> Calibration:
    """Return the shipped calibration if there is one of this design and model, and solve one otherwise.

    Parameters
    ----------
    design, model, rate_is_free, power
        As in :func:`synthetic.calibrate.calibrated_population`; the shipped calibrations are of the default power.
    """
    stem = carried_stem(design, model) if power == POWER else None
    if stem is None:
        return calibrated_population(design, model, rate_is_free=rate_is_free, power=power).calibration
    text = (resources.files("synthetic") / "calibrations" / f"{stem}.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    return Calibration(**{name: np.asarray(content[name], dtype=np.float64) for name in _ARRAYS})


def _numbers(values: FloatArray) -> str:
    return ", ".join(repr(float(value)) for value in values)
