"""Faults of codes and words: spelling, synonyms, doses as prescribed, swapped arms, treatments closed late."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Drug, Fault, IsnRpsClass
from synthetic.dirt.cells import Cell, CellFault, Change, Place, where_text
from synthetic.dirt.draws import pick
from synthetic.dirt.layout import PATIENT, START, Sheet
from synthetic.dirt.numbers import DOSE

CODES: tuple[Place, ...] = (
    (Sheet.PATIENTS, "CLINIC"),
    (Sheet.PATIENTS, "ETHNIC"),
    (Sheet.PATIENTS, "IND_TX"),
    (Sheet.PATIENTS, "MT_BG"),
    (Sheet.PATIENTS, "END_CD"),
    (Sheet.TREATMENTS, "DRUG"),
    (Sheet.TREATMENTS, "PHASE"),
    (Sheet.TREATMENTS, "STOP_RSN"),
    (Sheet.EVENTS, "EVENT"),
    (Sheet.EVENTS, "GRADE"),
)
"""Columns of codes that people type."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    Drug.TACROLIMUS.value: ("TAC", "FK506", "FK-506", "Prograf"),
    Drug.MYCOPHENOLATE.value: ("MMF", "CellCept", "mycophenolate mofetil"),
    Drug.AZATHIOPRINE.value: ("AZA", "Imuran"),
    Drug.MIZORIBINE.value: ("MZR", "Bredinin"),
    Drug.CYCLOPHOSPHAMIDE.value: ("CYC", "CTX", "Endoxan"),
    Drug.CYCLOSPORINE.value: ("CSA", "ciclosporin", "Neoral"),
    Drug.VOCLOSPORIN.value: ("VCS", "Lupkynis"),
    Drug.PREDNISOLONE.value: ("PSL", "PDL", "PRD"),
    Drug.HYDROXYCHLOROQUINE.value: ("HCQ", "Plaquenil"),
    Drug.RAAS_INHIBITOR.value: ("ARB", "ACEi", "losartan"),
}
"""Other words for the drugs; none stands for two drugs."""
SEX_CODES: dict[str, tuple[str, ...]] = {
    "F": ("여", "여자", "f", "Female"),
    "M": ("남", "남자", "m", "Male"),
}
"""Other words for the sexes."""
RESIDENT_DIGITS: dict[str, tuple[str, str]] = {"F": ("2", "4"), "M": ("1", "3")}
"""Seventh digit of the resident number of those born before 2000 and since."""
CLASS_SPELLINGS: dict[str, tuple[str, ...]] = {
    IsnRpsClass.II.value: ("2", "class II", "Class 2", "ii"),
    IsnRpsClass.III.value: ("3", "class III", "III (A)", "III (A/C)", "iii"),
    IsnRpsClass.IV.value: ("4", "class IV", "IV (A)", "IV-G (A/C)", "IV-S (A)", "iv"),
    IsnRpsClass.V.value: ("5", "class V", "Class 5", "v"),
    IsnRpsClass.III_V.value: ("III + V", "class III + V", "3+5", "III & V", "V+III"),
    IsnRpsClass.IV_V.value: ("IV + V", "class IV + V", "4+5", "IV & V", "V+IV"),
}
"""Other spellings of the classes; none stands for two classes."""


def respelled(text: str, variant: float) -> str:
    """Return a code as somebody types it who means the same.

    Examples
    --------
    >>> respelled("renal_flare", 0.0), respelled("death", 0.99)
    ('renal_flare ', 'Death')
    """
    forms = [f"{text} ", f" {text}", text.upper(), text.replace("_", " ").capitalize()]
    return pick([form for form in forms if form != text], variant)


def _spelling(cell: Cell) -> Change:
    return Change(respelled(cell.text, cell.variant), True, "blanks or letter case")


def _synonym(cell: Cell) -> Change:
    return Change(pick(SYNONYMS[cell.text], cell.variant), True, "another word for the drug")


def _sex(cell: Cell) -> Change:
    born_since_2000 = int(cell.row[START][:4]) - float(cell.row["AGE"] or "nan") >= 2000
    digit = RESIDENT_DIGITS[cell.text][born_since_2000]
    return Change(pick([*SEX_CODES[cell.text], digit], cell.variant), True, "another code of the sex")


def _class(cell: Cell) -> Change:
    return Change(pick(CLASS_SPELLINGS[cell.text], cell.variant), True, "another spelling of the class")


def _prescribed(cell: Cell) -> Change:
    dose = Decimal(cell.text)
    half = f"{dose / 2:f}"
    forms = [f"{half} mg bid", f"{half}mg q12h", f"{dose:f} mg qd", f"{dose:f}mg/d"]
    return Change(pick(forms, cell.variant), True, "dose as prescribed")


def _continued(frame: pd.DataFrame, _: str) -> npt.NDArray[np.bool_]:
    """Return which treatment rows the next row of the file continues the day after."""
    following = frame.shift(-1)
    same = (frame[[PATIENT, "DRUG", "PHASE"]] == following[[PATIENT, "DRUG", "PHASE"]]).all(axis=1)
    stop = pd.to_datetime(frame["STOP_DT"], format="%Y-%m-%d")
    start = pd.to_datetime(following["START_DT"], format="%Y-%m-%d")
    return (same & (start - stop == pd.Timedelta(days=1))).to_numpy(dtype=bool)


def _closed_late(cell: Cell) -> Change:
    late = dt.date.fromisoformat(cell.text) + dt.timedelta(days=8 + int(cell.variant * 60))
    return Change(late.isoformat(), True, "stops after the next row of the drug has begun")


def arm_swapped(arms: list[str], shown_by_drugs: bool) -> CellFault:
    """Return the fault by which a patient gets the code of the next arm.

    Parameters
    ----------
    arms
        Codes of the arms.
    shown_by_drugs
        Whether ``treatments.csv`` tells the arm of every patient, so that a swap can be found out.
    """

    def change(cell: Cell) -> Change:
        return Change(arms[(arms.index(cell.text) + 1) % len(arms)], shown_by_drugs, "code of another arm")

    return CellFault(Fault.ARM_SWAPPED, ((Sheet.PATIENTS, "ARM"),), where_text(bool), change)


WORD_FAULTS: tuple[CellFault, ...] = (
    CellFault(Fault.CODE_SPELLING, CODES, where_text(bool), _spelling),
    CellFault(Fault.DRUG_SYNONYM, ((Sheet.TREATMENTS, "DRUG"),), where_text(lambda text: text in SYNONYMS), _synonym),
    CellFault(Fault.SEX_CODE, ((Sheet.PATIENTS, "SEX"),), where_text(lambda text: text in SEX_CODES), _sex),
    CellFault(
        Fault.CLASS_SPELLING,
        ((Sheet.PATIENTS, "LN_CLASS"),),
        where_text(lambda text: text in CLASS_SPELLINGS),
        _class,
    ),
    CellFault(Fault.DOSE_TEXT, (DOSE,), where_text(bool), _prescribed),
    CellFault(Fault.OVERLAPPING_TREATMENT, ((Sheet.TREATMENTS, "STOP_DT"),), _continued, _closed_late),
)
"""Faults of codes and words."""
