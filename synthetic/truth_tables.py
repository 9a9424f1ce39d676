"""Averages over the potential outcomes that a cohort directory holds in ``truth/``, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Response
from cohort.errors import CohortDirectoryError
from cohort.response import IntArray
from cohort.schema import TRUTH_OUTCOMES, TRUTH_PATIENTS, TRUTH_RESPONSES, Table
from cohort.store import read_manifest, read_table
from cohort.targets import load_study
from synthetic.course import COMPLETE, NO_DAY, NO_RESPONSE, PARTIAL
from synthetic.design import Design, design_of
from synthetic.estimands import Comparisons, comparisons_of
from synthetic.model import PatientModel
from synthetic.reconstruct import reconstruct
from synthetic.true_effects import average_effects
from synthetic.truth import PotentialOutcomes

FloatArray = npt.NDArray[np.float64]

_STATES = {Response.NR.value: NO_RESPONSE, Response.PR.value: PARTIAL, Response.CR.value: COMPLETE}


def cohort_effects(folder: Path) -> pd.DataFrame:
    """Return the effects among the patients of a cohort directory, averaged over their potential outcomes.

    Parts of a large directory are read one after the other.

    Parameters
    ----------
    folder
        A cohort directory with ``truth/``.

    Returns
    -------
    pandas.DataFrame
        As :func:`synthetic.true_effects.average_effects`. Among the patients of an exact cohort this is no estimate of
        the effect in the population: they were drawn again until they agreed with print.

    Raises
    ------
    CohortDirectoryError
        If the directory has no readable ``truth/``, or its tables do not list the same patients in the same order, or
        the probabilities of more than one arm with tacrolimus, or without, cannot be told apart.
    """
    manifest = read_manifest(folder)
    study = load_study(str(manifest["study"]))
    design = design_of(study, reconstruct(study))
    comparisons = comparisons_of(design, PatientModel())
    notes = manifest.get("notes")
    within = _shares_within(design, notes if isinstance(notes, Mapping) else {}, folder)
    return average_effects(comparisons, _samples(folder, design, comparisons, within))


def _samples(
    folder: Path, design: Design, comparisons: Comparisons, within: FloatArray
) -> Iterator[tuple[PotentialOutcomes, FloatArray]]:
    tables = (TRUTH_PATIENTS, TRUTH_RESPONSES, TRUTH_OUTCOMES)
    columns = [_parts(folder / table.path) for table in tables]
    if len({len(files) for files in columns}) != 1:
        raise CohortDirectoryError(
            "the tables of truth/ have different numbers of parts",
            where=str(folder / "truth"),
            got=", ".join(f"{table.name} {len(files)}" for table, files in zip(tables, columns, strict=True)),
            remedy="make the cohort directory again",
        )
    for files in zip(*columns, strict=True):
        patients, responses, outcomes = (read_table(*pair) for pair in zip(files, tables, strict=True))
        ids = patients["patient_id"].to_numpy()
        _check_order(responses, TRUTH_RESPONSES, ids, comparisons, files[1], visits=len(comparisons.months))
        _check_order(outcomes, TRUTH_OUTCOMES, ids, comparisons, files[2], visits=1)
        propensity = patients["propensity"].to_numpy()[:, None]
        yield (
            _outcomes(responses, outcomes, len(ids), comparisons),
            np.where(design.tacrolimus, propensity, 1.0 - propensity) * within,
        )


def _parts(path: Path) -> list[Path]:
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def _check_order(
    frame: pd.DataFrame, table: Table, ids: npt.NDArray[np.object_], wanted: Comparisons, path: Path, *, visits: int
) -> None:
    arms = len(wanted.arms)
    right = len(frame) == len(ids) * arms * visits
    right = right and bool((frame["patient_id"].to_numpy() == np.repeat(ids, arms * visits)).all())
    right = right and bool((frame["arm"].to_numpy() == np.tile(np.repeat(wanted.arms, visits), len(ids))).all())
    if right and "visit_month" in frame:
        right = bool((frame["visit_month"].to_numpy() == np.tile(wanted.months, len(ids) * arms)).all())
    if not right:
        raise CohortDirectoryError(
            f"table {table.name} does not list the patients of truth/patients by arm and visit, in their order",
            where=str(path),
            remedy="make the cohort directory again",
        )


def _outcomes(
    responses: pd.DataFrame, outcomes: pd.DataFrame, size: int, comparisons: Comparisons
) -> PotentialOutcomes:
    arms, visits = len(comparisons.arms), len(comparisons.months)
    codes = responses["response"].map(_STATES).to_numpy(dtype=np.int64)
    state: IntArray = np.asarray(codes, dtype=np.int64).reshape(size, arms, visits).transpose(1, 0, 2)

    def days(name: str) -> IntArray:
        return outcomes[name].to_numpy(dtype=np.int64, na_value=NO_DAY).reshape(size, arms).T

    return PotentialOutcomes(state, days("flare_day"), days("eskd_day"), days("death_day")[0])


def _shares_within(design: Design, notes: Mapping[str, object], folder: Path) -> FloatArray:
    """Return the probability of each arm given whether it takes tacrolimus, the same for every patient, ``(arms,)``."""
    alone = np.array([(design.tacrolimus == mine).sum() == 1 for mine in design.tacrolimus])
    if alone.all():
        return np.ones(len(alone))
    recorded = notes.get("intercepts")
    if not isinstance(recorded, list) or len(recorded) != len(alone):
        raise CohortDirectoryError(
            "the probabilities of arms that agree on tacrolimus are not recorded",
            where=f"{folder}, notes of cohort.json",
            got=f"intercepts {recorded}",
            remedy="give a directory that population mode wrote",
        )
    odds = np.exp(np.asarray(recorded, dtype=np.float64))
    together = [odds[design.tacrolimus == mine].sum() for mine in design.tacrolimus]
    return np.asarray(odds / together)
