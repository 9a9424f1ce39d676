"""Faults of numbers: notation, slips of the hand, codes for missing, limits of an assay."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Fault, Status
from cohort.provenance import parameter
from synthetic.dirt.cells import Cell, CellFault, Change, Place, where_text
from synthetic.dirt.draws import pick
from synthetic.dirt.layout import CASTS, Sheet

RESULT: Place = (Sheet.LABS, "RESULT")
DOSE: Place = (Sheet.TREATMENTS, "DOSE")
NUMBERS: tuple[Place, ...] = (
    RESULT,
    DOSE,
    (Sheet.VISITS, "SLEDAI"),
    (Sheet.VISITS, "PSL_MG"),
    (Sheet.PATIENTS, "AGE"),
    (Sheet.PATIENTS, "SLE_DUR_Y"),
    (Sheet.PATIENTS, "AI"),
    (Sheet.PATIENTS, "CI"),
)
"""Columns of numbers."""
FLAGS: tuple[Place, ...] = tuple((Sheet.PATIENTS, header) for header in ("HTN", "DM", "REFRACT", "HCQ", "RAASI"))
MISSING_CODES = ("-9", "999", "NA", "n/a", ".", "")
"""What stands for a missing value; the codebook names none of them."""


@dataclass(frozen=True, slots=True)
class AssayLimits:
    """Limits beyond which some laboratories print text."""

    upcr_low: str = parameter("0.10", "g/g, below", Status.ASSUMED, "protein near the limit of the urine assay")
    dsdna_low: str = parameter("10", "IU/mL, below", Status.ASSUMED, "a common cut-off of commercial assays")
    dsdna_high: str = parameter("300", "IU/mL, above", Status.ASSUMED, "end of the calibration of common assays")
    urine_trace: str = parameter("2", "per field, up to", Status.ASSUMED, "few cells are called a trace")
    urine_high: str = parameter("100", "per field, above", Status.ASSUMED, "nobody counts further")
    trough_low: str = parameter("2.0", "ng/mL, below", Status.ASSUMED, "lower end of common immunoassays")


LIMITS = AssayLimits()
_LOW = {"UPCR": LIMITS.upcr_low, "DSDNA": LIMITS.dsdna_low, "FK_C0": LIMITS.trough_low}
_HIGH = {"DSDNA": LIMITS.dsdna_high, "URBC": LIMITS.urine_high}


def is_number(text: str) -> bool:
    """Whether a clean cell holds a number."""
    return text not in CASTS.values()


def digits(text: str) -> str:
    """Return the digits of a number."""
    return text.replace(".", "").replace("-", "")


def mistyped(text: str) -> str:
    """Return ``text`` with the first two neighbouring digits that differ transposed, else the last digit changed.

    Examples
    --------
    >>> mistyped("1.04"), mistyped("33")
    ('0.14', '34')
    """
    places = [place for place, letter in enumerate(text) if letter.isdigit()]
    for one, other in pairwise(places):
        if text[one] != text[other]:
            return text[:one] + text[other] + text[one + 1 : other] + text[one] + text[other + 1 :]
    last = places[-1]
    return f"{text[:last]}{(int(text[last]) + 1) % 10}{text[last + 1 :]}"


def _mistyped(cell: Cell) -> Change:
    return Change(mistyped(cell.text), False, "digits mistyped")


def slipped(clean: str, text: str, right: bool) -> str:
    """Return ``text`` with its decimal point moved by one place, never to the clean value.

    Examples
    --------
    >>> slipped("0.91", "0.91", right=True), slipped("3.6", "36", right=False)
    ('9.1', '360')
    """
    moved = Decimal(text).scaleb(1 if right else -1)
    if moved == Decimal(clean):
        moved = Decimal(text).scaleb(-1 if right else 1)
    return f"{moved:f}"


def _slip(cell: Cell) -> Change:
    return Change(slipped(cell.clean, cell.text, cell.variant < 0.5), False, "decimal point misplaced")


def _comma(cell: Cell) -> Change:
    text = cell.text.replace(".", ",") if "." in cell.text else f"{cell.text},0"
    return Change(text, True, "decimal comma")


def _thousands(cell: Cell) -> Change:
    whole, point, rest = cell.text.partition(".")
    return Change(f"{int(whole):,}{point}{rest}", True, "comma between thousands")


def _missing(cell: Cell) -> Change:
    codes = [code for code in MISSING_CODES if code not in (cell.clean, cell.text)]
    return Change(pick(codes, cell.variant), False, "code for a missing value")


def _beyond_limit(frame: pd.DataFrame, header: str) -> npt.NDArray[np.bool_]:
    return np.asarray(
        [_limit_text(item, text) is not None for item, text in zip(frame["ITEM"], frame[header], strict=True)], bool
    )


def _limit_text(item: str, text: str) -> str | None:
    """Return what a laboratory prints for a result beyond its limits, in the standard unit, else ``None``."""
    if item not in _LOW and item not in _HIGH:
        return None
    value = Decimal(text)
    if item == "URBC" and value == 0:
        return "neg"
    if item == "URBC" and value <= Decimal(LIMITS.urine_trace):
        return "trace"
    if item in _LOW and value < Decimal(_LOW[item]):
        return f"<{_LOW[item]}"
    if item in _HIGH and value > Decimal(_HIGH[item]):
        return f">{_HIGH[item]}"
    return None


def _limit(cell: Cell) -> Change:
    text = _limit_text(cell.row["ITEM"], cell.clean) or ""
    if text[0] in "<>" and cell.text != cell.clean and Decimal(cell.clean):
        ratio = Decimal(cell.text) / Decimal(cell.clean)
        text = f"{text[0]}{Decimal(text[1:]) * ratio:f}"
    return Change(text, text == "neg", "limit of the assay in place of a number")


NUMBER_FAULTS: tuple[CellFault, ...] = (
    CellFault(Fault.ASSAY_LIMIT, (RESULT,), _beyond_limit, _limit),
    CellFault(Fault.DECIMAL_COMMA, NUMBERS, where_text(lambda text: is_number(text) and "." in text), _comma),
    CellFault(
        Fault.THOUSANDS_SEPARATOR,
        (RESULT, DOSE),
        where_text(lambda text: is_number(text) and Decimal(text) >= 1000),
        _thousands,
    ),
    CellFault(
        Fault.MISTYPED_DIGITS, NUMBERS, where_text(lambda text: is_number(text) and len(digits(text)) > 1), _mistyped
    ),
    CellFault(Fault.DECIMAL_SLIP, NUMBERS, where_text(lambda text: is_number(text) and Decimal(text) != 0), _slip),
    CellFault(Fault.MISSING_CODE, (*NUMBERS, *FLAGS), where_text(bool), _missing),
    CellFault(
        Fault.CORRECTED_RESULT,
        (RESULT,),
        where_text(lambda text: is_number(text) and Decimal(text) != 0),
        lambda cell: Change(
            slipped(cell.clean, cell.text, cell.variant < 0.5), True, "decimal point misplaced, corrected below"
        ),
    ),
)
"""Faults of numbers; a corrected result is followed by a row with the right one (see planting)."""
