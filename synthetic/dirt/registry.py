"""A clean cohort and its registry twin: the files as a registry would hand them out, and every fault in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.codes import Drug, Fault
from cohort.errors import UsageError
from cohort.record import Study
from cohort.seeds import SeedTree
from cohort.store import Cohort
from synthetic.dirt.cells import Cell, CellFault, Place
from synthetic.dirt.dates import DATE_FAULTS
from synthetic.dirt.draft import Draft
from synthetic.dirt.draws import FloatArray, Pool
from synthetic.dirt.kinds import KINDS, DirtPlan
from synthetic.dirt.layout import PATIENT, Sheet, arm_codes
from synthetic.dirt.losses import plant_losses
from synthetic.dirt.numbers import NUMBER_FAULTS
from synthetic.dirt.planting import Planting
from synthetic.dirt.rendering import render
from synthetic.dirt.rows import plant_extra_rows, plant_identities
from synthetic.dirt.units import plant_units
from synthetic.dirt.wording import WORD_FAULTS, arm_swapped


@dataclass(frozen=True, slots=True)
class DirtyRegistry:
    """A registry twin.

    Attributes
    ----------
    files
        One frame of text per file, in the layout of :data:`synthetic.dirt.layout.FIELDS`.
    faults
        Every fault, columns of :data:`cohort.schema.TRUTH_FAULTS`: one row per cell changed and per row added or
        removed. :func:`synthetic.dirt.undo.undo_faults` takes them all back.
    kinds
        One row per kind: ``kind, rate, per, eligible, planted, recoverable, status, what, why``, where ``eligible``
        counts the units the kind could have befallen and ``planted`` the faults in the files.
    """

    files: dict[Sheet, pd.DataFrame]
    faults: pd.DataFrame
    kinds: pd.DataFrame


def make_registry(cohort: Cohort, study: Study, tree: SeedTree, plan: DirtPlan) -> DirtyRegistry:
    """Return the registry twin of a cohort held in memory.

    Losses come first, then units, then single cells (at most one such fault each), then identities and extra rows.
    Each kind draws from its own streams, so that changing one rate moves no other kind's faults; only what stands in
    rows that are lost goes with them. A higher rate keeps the faults of a lower one.

    Parameters
    ----------
    cohort
        Tables of the schema.
    study
        The study whose arms the cohort has.
    tree
        Node of the seed tree.
    plan
        Rates by kind (see :func:`synthetic.dirt.kinds.plan_at`).

    Returns
    -------
    DirtyRegistry
        Files, faults and counts by kind.

    Raises
    ------
    UsageError
        If the cohort has no visits, or a rate is not a number from 0 to 1.

    Examples
    --------
    >>> from cohort.codes import DirtLevel
    >>> from cohort.targets import load_study
    >>> from synthetic.dirt.kinds import plan_at
    >>> from synthetic.generate import generate_exact
    >>> study = load_study("kim2025")
    >>> cohort = generate_exact(study, seed=2025).cohort
    >>> twin = make_registry(cohort, study, SeedTree(2025).child("dirt"), plan_at(DirtLevel.NONE))
    >>> len(twin.files[Sheet.PATIENTS]), len(twin.faults)
    (179, 0)
    """
    _check(cohort, plan)
    clean = render(cohort, study)
    planting = Planting(Draft(clean), plan, tree)
    plant_losses(planting)
    plant_units(planting)
    corrections = _plant_cells(planting, study)
    plant_identities(planting)
    draft = planting.draft
    for fault_id, row, text in corrections:
        cells = draft.row(Sheet.LABS, row) | {"RESULT": text, "STATUS": "C"}
        patient = str(clean[Sheet.LABS][PATIENT].iloc[row])
        kind, what = Fault.CORRECTED_RESULT, "correction of the result above"
        draft.add(fault_id, kind, Sheet.LABS, row, cells, patient=patient, what=what)
    plant_extra_rows(planting)
    files, faults = draft.finish()
    return DirtyRegistry(files, faults, _kinds_frame(planting, faults))


def _check(cohort: Cohort, plan: DirtPlan) -> None:
    if cohort.patients.empty or cohort.visits.empty:
        raise UsageError("a registry twin needs patients and visits", where="cohort", remedy="generate a cohort first")
    for kind, rate in plan.rates.items():
        if not 0.0 <= rate <= 1.0:
            raise UsageError("a rate is a share from 0 to 1", where=f"rate of {kind.value}", got=f"{rate:g}")


def cell_weights(planting: Planting, study: Study) -> dict[Place, dict[Fault, FloatArray]]:
    """Return, for each column, the kinds of fault of single cells it can have and 1 for each eligible row, else 0."""
    kinds = _cell_faults(planting, study)
    places = dict.fromkeys(place for kind in kinds for place in kind.places)
    clean = planting.draft.clean
    return {
        (sheet, header): {
            kind.fault: kind.fits(clean[sheet], header).astype(np.float64)
            for kind in kinds
            if (sheet, header) in kind.places
        }
        for sheet, header in places
    }


def _cell_faults(planting: Planting, study: Study) -> tuple[CellFault, ...]:
    return (*NUMBER_FAULTS, *DATE_FAULTS, *WORD_FAULTS, _arm_fault(planting, study))


def _plant_cells(planting: Planting, study: Study) -> list[tuple[str, int, str]]:
    """Plant the faults of single cells; return fault, row and right text of the results to be corrected below."""
    draft = planting.draft
    places: dict[Fault, list[Pool]] = {}
    for (sheet, header), weights in cell_weights(planting, study).items():
        for fault, pool in planting.share(weights, sheet.value, header).items():
            places.setdefault(fault, []).append(pool)
    corrections = []
    for kind in _cell_faults(planting, study):
        for hit in planting.row_hits(kind.fault, places[kind.fault]):
            sheet, header = Sheet(hit.place[0]), hit.place[1]
            row = draft.clean_row(sheet, hit.unit)
            text = str(draft.current[sheet][header][hit.unit])
            change = kind.change(Cell(row[header], text, row, hit.variant))
            fault_id = draft.open(kind.fault)
            draft.change(
                fault_id,
                kind.fault,
                sheet,
                hit.unit,
                header,
                change.text,
                recoverable=change.recoverable,
                what=change.description,
            )
            if kind.fault is Fault.CORRECTED_RESULT:
                corrections.append((fault_id, hit.unit, text))
    return corrections


def _arm_fault(planting: Planting, study: Study) -> CellFault:
    patients, treatments = planting.draft.clean[Sheet.PATIENTS], planting.draft.clean[Sheet.TREATMENTS]
    takers = treatments.loc[treatments["DRUG"] == Drug.TACROLIMUS.value, PATIENT]
    codes = arm_codes(study)
    on_tacrolimus = {codes[arm.code]: arm.tacrolimus for arm in study.arms}
    shown = patients[PATIENT].isin(takers) == patients["ARM"].map(on_tacrolimus)
    return arm_swapped(list(codes.values()), len(codes) == 2 and bool(shown.all()))


def _kinds_frame(planting: Planting, faults: pd.DataFrame) -> pd.DataFrame:
    planted = faults.groupby("kind")["fault_id"].nunique()
    rows = [
        (
            kind.fault.value,
            planting.plan.rates[kind.fault],
            kind.per,
            planting.eligible[kind.fault],
            int(planted.get(kind.fault.value, 0)),
            kind.recoverable,
            kind.status.value,
            kind.what,
            kind.why,
        )
        for kind in KINDS
    ]
    columns = ["kind", "rate", "per", "eligible", "planted", "recoverable", "status", "what", "why"]
    return pd.DataFrame(rows, columns=columns)
