"""Faults of dates."""

from __future__ import annotations

import datetime as dt

from cohort.codes import Fault
from synthetic.dirt.cells import Cell, CellFault, Change, Place, where_text
from synthetic.dirt.draws import pick
from synthetic.dirt.layout import START, Sheet

DATES: tuple[Place, ...] = (
    (Sheet.PATIENTS, START),
    (Sheet.PATIENTS, "LAST_FU"),
    (Sheet.VISITS, "VISIT_DT"),
    (Sheet.TREATMENTS, "START_DT"),
    (Sheet.TREATMENTS, "STOP_DT"),
    (Sheet.EVENTS, "EVENT_DT"),
)
"""Every column of dates."""
SPREADSHEET_ORIGIN = dt.date(1899, 12, 30)
"""Day 0 of the serial numbers by which spreadsheets count days."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _two_readings(text: str) -> bool:
    """Whether day and month can be taken for each other."""
    date = _date(text)
    return date.day <= 12 and date.day != date.month


def _other_form(cell: Cell) -> Change:
    date = _date(cell.text)
    forms = [
        f"{date:%Y.%m.%d}",
        f"{date:%Y%m%d}",
        f"{date.day:02d}-{_MONTHS[date.month - 1]}-{date.year}",
        f"{date.year}년 {date.month}월 {date.day}일",
        str((date - SPREADSHEET_ORIGIN).days),
    ]
    if date.day > 12:
        forms.append(f"{date:%d/%m/%Y}")
    return Change(pick(forms, cell.variant), True, "date in another form")


def _ambiguous(cell: Cell) -> Change:
    date = _date(cell.text)
    forms = [f"{date:%d/%m/%Y}", f"{date:%m/%d}/{date.year % 100:02d}"]
    return Change(pick(forms, cell.variant), False, "day and month cannot be told apart")


def _swapped(cell: Cell) -> Change:
    date = _date(cell.text)
    return Change(f"{date.year}-{date.day:02d}-{date.month:02d}", False, "month and day swapped")


def _impossible(cell: Cell) -> Change:
    date = _date(cell.text)
    if date.month == 2:
        text = f"{date.year}-02-30"
    elif date.month in (4, 6, 9, 11):
        text = f"{date.year}-{date.month:02d}-31"
    else:
        text = f"{date.year}-{date.month + 12}-{date.day:02d}"
    return Change(text, False, "no such date")


def _wrong_year(cell: Cell) -> Change:
    off = int(pick(["-10", "-1", "1", "10"], cell.variant))
    return Change(f"{int(cell.text[:4]) + off:04d}{cell.text[4:]}", False, f"year off by {off}")


DATE_FAULTS: tuple[CellFault, ...] = (
    CellFault(Fault.DATE_FORMAT, DATES, where_text(bool), _other_form),
    CellFault(Fault.DATE_AMBIGUOUS, DATES, where_text(_two_readings), _ambiguous),
    CellFault(Fault.DATE_SWAPPED, DATES, where_text(_two_readings), _swapped),
    CellFault(Fault.DATE_IMPOSSIBLE, DATES, where_text(bool), _impossible),
    CellFault(Fault.DATE_WRONG_YEAR, DATES, where_text(bool), _wrong_year),
)
"""Faults any date can have."""
