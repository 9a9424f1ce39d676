"""True effects as readable files beside the carried calibrations, for the same designs and models."""

from __future__ import annotations

import csv
from importlib import resources

import numpy as np
import pandas as pd

from cohort.schema import TRUTH_ESTIMANDS
from synthetic.calibration_file import carried_stem, fingerprint
from synthetic.design import Design
from synthetic.model import PatientModel

_COLUMNS = ("estimand", "population", "measure", "month", "contrast", "value", "std_error", "note")
_TEXT = ("estimand", "population", "measure", "contrast", "note")
_WAY = "quadrature"


def format_effects(design: Design, model: PatientModel, effects: pd.DataFrame) -> str:
    """Return the effects of a quadrature as CSV after two lines of comment, values to seven digits."""
    lines = [
        "# True effects integrated by synthetic.quadrature; not published numbers.",
        f"# settings = {fingerprint(design, model)}",
        ",".join(_COLUMNS),
    ]
    for row in effects[list(_COLUMNS)].itertuples(index=False):
        cells = ("" if pd.isna(cell) else f"{cell:.7g}" if isinstance(cell, float) else str(cell) for cell in row)
        lines.append(",".join(f'"{cell}"' if "," in cell else cell for cell in cells))
    return "\n".join(lines) + "\n"


def carried_effects(design: Design, model: PatientModel) -> pd.DataFrame | None:
    """Return the carried effects of this design and model as a table ``truth/estimands``, ``None`` if there are none.

    Parameters
    ----------
    design, model
        As in :func:`synthetic.calibrate.calibrate`.
    """
    stem = carried_stem(design, model)
    source = resources.files("synthetic") / "calibrations" / f"{stem}.csv"
    if stem is None or not source.is_file():
        return None
    content = source.read_text(encoding="utf-8").splitlines()
    if content[1] != f"# settings = {fingerprint(design, model)}":
        return None
    header, *rows = csv.reader(content[2:])
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    text = {name: pd.array([cell or None for cell in cells[name]], dtype="string") for name in _TEXT}
    frame = pd.DataFrame(text).assign(
        month=np.array(cells["month"], dtype=np.int64),
        value=[float(cell) if cell else np.nan for cell in cells["value"]],
        std_error=[float(cell) if cell else np.nan for cell in cells["std_error"]],
        way=pd.array([_WAY] * len(rows), dtype="string"),
    )
    return frame[list(TRUTH_ESTIMANDS.column_names)]
