"""Writing a registry twin beside its clean cohort."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cohort.record import Study
from cohort.schema import TRUTH_FAULTS
from cohort.store import write_table
from synthetic.dirt.layout import codebook
from synthetic.dirt.registry import DirtyRegistry

FOLDER = "registry"
"""Folder of the registry's files in a cohort directory."""


def write_registry(twin: DirtyRegistry, study: Study, folder: Path) -> None:
    """Write a registry twin into the cohort directory ``folder``, which is being made.

    ``registry/`` gets what a registry hands out: the files and their codebook, CSV in UTF-8. What nobody could know
    goes where analyses never look: ``truth/faults.parquet``, the same as ``truth/faults.csv``, and
    ``truth/fault_kinds.csv`` with rates, counts and provenance of each kind. No file of the clean cohort changes.
    """
    registry, truth = folder / FOLDER, folder / "truth"
    registry.mkdir()
    truth.mkdir(exist_ok=True)
    for sheet, frame in twin.files.items():
        _write_csv(frame, registry / sheet.value)
    _write_csv(codebook(study), registry / "codebook.csv")
    write_table(twin.faults, TRUTH_FAULTS, folder / TRUTH_FAULTS.path)
    _write_csv(twin.faults, truth / "faults.csv")
    _write_csv(twin.kinds, truth / "fault_kinds.csv")


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
