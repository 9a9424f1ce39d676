"""Rows too many and numbers of patients gone wrong: duplicates, two identities, merged cells, repeated headers."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

import numpy as np

from cohort.codes import EndReason, Fault
from synthetic.dirt.draft import Row
from synthetic.dirt.layout import PATIENT, START, VISIT, Sheet
from synthetic.dirt.planting import Planting
from synthetic.dirt.rendering import UNSCHEDULED

HEADER_BLOCK = 50
"""Rows of a file between places where its header may be repeated."""
DAYS_BEFORE_START, DAYS_AFTER_DEATH = (14, 60), (7, 60)
"""From and to, assumed."""


def plant_identities(planting: Planting) -> None:
    """Give patients a second number, and take the number from rows of merged cells."""
    _two_ids(planting)
    _merged_cells(planting)


def plant_extra_rows(planting: Planting) -> None:
    """Add rows that copy others as they are by now; must come last."""
    _duplicated_visits(planting)
    _visits_before_start(planting)
    _visits_after_death(planting)
    _repeated_headers(planting)


def second_number(numbers: Sequence[str], position: int) -> str:
    """Return a new number for the patient at ``position``, in the form of the old one and given to nobody.

    Examples
    --------
    >>> second_number(["kim-08", "kim-09"], 1)
    'kim-11'
    """
    own = re.fullmatch(r"(.*?)(\d+)", numbers[position], flags=re.DOTALL)
    found = [re.search(r"\d+$", number) for number in numbers]
    if own is None:
        return f"{numbers[position]}-{len(numbers) + 1 + position}"
    highest = max(int(match.group()) for match in found if match)
    return f"{own[1]}{highest + 1 + position:0{len(own[2])}d}"


def _two_ids(planting: Planting) -> None:
    kind, what, draft = Fault.PATIENT_TWO_IDS, "under the patient's second number", planting.draft
    numbers = [str(number) for number in draft.clean[Sheet.PATIENTS][PATIENT]]
    visits, events = draft.clean[Sheet.VISITS], draft.clean[Sheet.EVENTS]
    visits_of = visits.groupby(PATIENT, sort=False).indices
    alive = {sheet: draft.alive(sheet) for sheet in Sheet}
    often = [len(visits_of.get(number, ())) >= 3 for number in numbers]
    for hit in planting.own_hits(kind, often, Sheet.PATIENTS):
        number, second, fault_id = numbers[hit.unit], second_number(numbers, hit.unit), draft.open(kind)
        rows = visits_of[number]
        later = rows[1 + int(hit.variant * (len(rows) - 1)) :]
        since = visits["VISIT_DT"].iloc[later[0]]
        moved = [(Sheet.VISITS, row) for row in later]
        for row in later:
            moved += [(Sheet.LABS, lab) for lab in planting.lab_rows.get((number, str(visits[VISIT].iloc[row])), ())]
        own = ((events[PATIENT] == number) & (events["EVENT_DT"] >= since)).to_numpy()
        moved += [(Sheet.EVENTS, row) for row in np.flatnonzero(own)]
        for sheet, row in moved:
            if alive[sheet][row]:
                draft.change(fault_id, kind, sheet, int(row), PATIENT, second, recoverable=True, what=what)
        again = draft.row(Sheet.PATIENTS, hit.unit) | {PATIENT: second}
        draft.add(fault_id, kind, Sheet.PATIENTS, len(numbers) - 1, again, patient=number, what="registered again")


def _merged_cells(planting: Planting) -> None:
    kind, what, draft = Fault.MERGED_CELLS, "number of the patient only in the first of the rows", planting.draft
    rows_of = draft.clean[Sheet.TREATMENTS].groupby(PATIENT, sort=False).indices
    numbers = [str(number) for number in draft.clean[Sheet.PATIENTS][PATIENT]]
    several = [len(rows_of.get(number, ())) >= 2 for number in numbers]
    for hit in planting.own_hits(kind, several, Sheet.PATIENTS):
        fault_id = draft.open(kind)
        for row in rows_of[numbers[hit.unit]][1:]:
            draft.change(fault_id, kind, Sheet.TREATMENTS, int(row), PATIENT, "", recoverable=True, what=what)


def _duplicated_visits(planting: Planting) -> None:
    kind = Fault.VISIT_DUPLICATED
    everyone = [True] * len(planting.draft.clean[Sheet.VISITS])
    for hit in planting.own_hits(kind, everyone, Sheet.VISITS):
        _copy_visit(planting, kind, hit.unit, {}, {}, "the same visit again")


def _visits_before_start(planting: Planting) -> None:
    kind, draft = Fault.VISIT_BEFORE_START, planting.draft
    patients, visits = draft.clean[Sheet.PATIENTS], draft.clean[Sheet.VISITS]
    first_of = dict(zip(visits[PATIENT].iloc[::-1], range(len(visits) - 1, -1, -1), strict=True))
    seen = [
        number in first_of and bool(start) for number, start in zip(patients[PATIENT], patients[START], strict=True)
    ]
    for hit in planting.own_hits(kind, seen, Sheet.PATIENTS):
        day = dt.date.fromisoformat(patients[START].iloc[hit.unit])
        date = (day - dt.timedelta(days=_between(DAYS_BEFORE_START, hit.variant))).isoformat()
        visit = {VISIT: "0", "VISIT": UNSCHEDULED, "VISIT_DT": date}
        row = first_of[patients[PATIENT].iloc[hit.unit]]
        _copy_visit(planting, kind, row, visit, {VISIT: "0"}, "a visit before the start of therapy")


def _visits_after_death(planting: Planting) -> None:
    kind, draft = Fault.VISIT_AFTER_DEATH, planting.draft
    patients, visits = draft.clean[Sheet.PATIENTS], draft.clean[Sheet.VISITS]
    alive = draft.alive(Sheet.VISITS)
    visits_of = visits.groupby(PATIENT, sort=False).indices
    died = (patients["END_CD"] == EndReason.DEATH.value).tolist()
    seen = [bool(dead) and number in visits_of for dead, number in zip(died, patients[PATIENT], strict=True)]
    for hit in planting.own_hits(kind, seen, Sheet.PATIENTS):
        rows = visits_of[patients[PATIENT].iloc[hit.unit]]
        left = [int(row) for row in rows if alive[row]]
        if not left:
            continue
        day = dt.date.fromisoformat(patients["LAST_FU"].iloc[hit.unit])
        date = (day + dt.timedelta(days=_between(DAYS_AFTER_DEATH, hit.variant))).isoformat()
        number = str(len(rows) + 1)
        visit = {VISIT: number, "VISIT": UNSCHEDULED, "VISIT_DT": date}
        _copy_visit(planting, kind, left[-1], visit, {VISIT: number}, "a visit after death")


def _copy_visit(planting: Planting, kind: Fault, row: int, visit: Row, lab: Row, what: str) -> None:
    """Add a copy of a visit and its results, with some cells replaced, below the originals."""
    draft = planting.draft
    visits = draft.clean[Sheet.VISITS]
    patient = str(visits[PATIENT].iloc[row])
    fault_id = draft.open(kind)
    draft.add(fault_id, kind, Sheet.VISITS, row, draft.row(Sheet.VISITS, row) | visit, patient=patient, what=what)
    alive = draft.alive(Sheet.LABS)
    own = planting.lab_rows.get((patient, str(visits[VISIT].iloc[row])), ())
    rows = [found for found in own if alive[found]]
    for found in rows:
        cells = draft.row(Sheet.LABS, found) | lab
        draft.add(fault_id, kind, Sheet.LABS, rows[-1], cells, patient=patient, what=what)


def _repeated_headers(planting: Planting) -> None:
    kind, draft = Fault.REPEATED_HEADER, planting.draft
    places = [
        planting.share({kind: np.ones((len(draft.clean[sheet]) - 1) // HEADER_BLOCK)}, sheet.value)[kind]
        for sheet in Sheet
        if len(draft.clean[sheet]) > HEADER_BLOCK
    ]
    for hit in planting.hits(kind, places):
        sheet = Sheet(hit.place[0])
        cells = {header: header for header in draft.current[sheet]}
        after = (hit.unit + 1) * HEADER_BLOCK - 1
        draft.add(draft.open(kind), kind, sheet, after, cells, patient=None, what="header line again")


def _between(limits: tuple[int, int], variant: float) -> int:
    return limits[0] + int(variant * (limits[1] - limits[0] + 1))
