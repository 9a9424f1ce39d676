"""Results in another unit: all results of an item in one clinic and period at once, with or without saying so."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from cohort.codes import Fault, Status
from cohort.provenance import parameter
from synthetic.dirt.draft import Draft
from synthetic.dirt.layout import ITEMS, PATIENT, VISIT, Sheet
from synthetic.dirt.planting import Planting

PERIOD_YEARS = 3
"""Years that one analyser serves, assumed."""


@dataclass(frozen=True, slots=True)
class UnitFactors:
    """What a result is multiplied by to stand in the other unit."""

    upcr: str = parameter("1000", "mg/g per g/g", Status.DERIVED, "decimal prefixes")
    creatinine: str = parameter("88.4", "umol/L per mg/dL", Status.DERIVED, "molar mass of creatinine, 113.12 g/mol")
    albumin: str = parameter("10", "g/L per g/dL", Status.DERIVED, "decimal prefixes")
    complement: str = parameter("0.01", "g/L per mg/dL", Status.DERIVED, "decimal prefixes")
    hemoglobin: str = parameter("10", "g/L per g/dL", Status.DERIVED, "decimal prefixes")


FACTORS = UnitFactors()
OTHER_UNITS: dict[str, tuple[str, str]] = {
    "UPCR": ("mg/g", FACTORS.upcr),
    "CR": ("umol/L", FACTORS.creatinine),
    "ALB": ("g/L", FACTORS.albumin),
    "C3": ("g/L", FACTORS.complement),
    "HB": ("g/L", FACTORS.hemoglobin),
}
"""Other unit and factor of each item that some laboratories report otherwise."""
STANDARD_UNITS = {item.code: item.unit for item in ITEMS}
"""Unit of each item in the codebook."""


def converted(text: str, factor: str) -> str:
    """Return a result in another unit, with the decimals by which it can be turned back.

    Factors that are powers of ten move the decimal point and lose nothing; for others one decimal less than the
    result has is enough as long as the factor is above 10.

    Examples
    --------
    >>> converted("0.91", "1000"), converted("0.91", "88.4"), converted("104", "0.01")
    ('910', '80.4', '1.04')
    """
    number = Decimal(text)
    if set(factor) <= set("01."):
        return f"{number.scaleb(Decimal(factor).adjusted()):f}"
    exponent = int(number.as_tuple().exponent)
    return f"{(number * Decimal(factor)).quantize(Decimal(1).scaleb(min(exponent + 1, 0))):f}"


def plant_units(planting: Planting) -> None:
    """Turn whole blocks of results into another unit; must come before the faults of single cells."""
    draft = planting.draft
    labs, alive = draft.clean[Sheet.LABS], draft.alive(Sheet.LABS)
    blocks = _blocks(draft)
    whole = np.ones(len(blocks))
    shared = planting.share({Fault.UNIT_STATED: whole, Fault.UNIT_NOT_STATED: whole}, Sheet.LABS.value, "UNIT")
    for kind, pool in shared.items():
        stated = kind is Fault.UNIT_STATED
        for hit in planting.hits(kind, [pool]):
            fault_id = draft.open(kind)
            for row in blocks[hit.unit]:
                if not alive[row]:
                    continue
                unit, factor = OTHER_UNITS[labs["ITEM"].iloc[row]]
                what = f"result in {unit}" + ("" if stated else ", unit not stated")
                text = converted(labs["RESULT"].iloc[row], factor)
                for header, value in (("RESULT", text), ("UNIT", unit if stated else "")):
                    draft.change(fault_id, kind, Sheet.LABS, row, header, value, recoverable=stated, what=what)


def _blocks(draft: Draft) -> list[list[int]]:
    """Return the rows of ``labs.csv`` in each block of item, clinic and period, blocks in the order of those names."""
    labs, visits, patients = (draft.clean[sheet] for sheet in (Sheet.LABS, Sheet.VISITS, Sheet.PATIENTS))
    year = visits["VISIT_DT"].str[:4].astype("int64")
    frame = labs[[PATIENT, VISIT, "ITEM"]].merge(
        pd.DataFrame({PATIENT: visits[PATIENT], VISIT: visits[VISIT], "period": year // PERIOD_YEARS}),
        on=[PATIENT, VISIT],
        how="left",
        validate="many_to_one",
    )
    clinic = dict(zip(patients[PATIENT], patients["CLINIC"], strict=True))
    frame = frame.assign(clinic=[clinic[patient] for patient in frame[PATIENT]])
    frame = frame[frame["ITEM"].isin(list(OTHER_UNITS))]
    found = frame.groupby(["ITEM", "clinic", "period"], sort=True).indices
    positions = frame.index.to_numpy()
    return [positions[rows].tolist() for rows in found.values()]
