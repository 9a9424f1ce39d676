"""What a case is: an estimator, how to call it on a small frame, and which invariants are theorems for it.

**To add an estimator**, add an entry to the module of its room in this folder (`survival.py`, `longitudinal.py`, ...; a
new room gets a new module with a tuple `CASES`, which is found by itself):

    Case("nelson_aalen", lambda d, _: nelson_aalen(d, **EVENTS, by="arm"), of=(nelson_aalen,), half_weights=NO_WEIGHTS)

- `run(data, unit)` calls it. `data` is a rewritten copy of the rows of `table`; `unit` says how many of the data's
  time units there now are in an original one, so multiply every time *argument* by it (`tau=20 * unit`). It returns a
  ResultTable, or a dict of ResultTables and of arrays with one value per row of the data.
- `of` names the public objects it covers. For a class (a fit), every public method must be a key of the dict returned
  (`"tidy"`, or `"tidy: exponentiated"`).
- `table` is the rows it runs on: `PATIENTS` (one row a patient), `VISITS` (one a patient and visit), `SPELLS` (several
  consecutive spells a patient) or one of your own, with columns `patient_id`, `arm` (`a` and `b`) and, for
  `half_weights`, `w`.
- Every invariant holds unless the case says otherwise, and it then says by which theorem (`Exempt("...")`).
- `refuses` names the degenerate inputs (`DEGENERATE`) that it answers with a documented error; on all others it must
  give rows, and a note on every row without an estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd

from cohort.results import ResultTable

Output = ResultTable | Mapping[str, ResultTable | np.ndarray]


class Exempt(str):
    """Why an invariant is not a theorem for an estimator, in a sentence."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class Table:
    """Rows that cases run on.

    Attributes
    ----------
    make
        Makes the frame, the same at every call.
    times
        Columns in units of time; the first is the one that `DEGENERATE` makes the same in every row.
    quiet
        Outcome columns, each with its value when nothing has happened to a row.
    loud
        The same columns, each with its value when the event has happened to every row.
    """

    make: Callable[[], pd.DataFrame]
    times: tuple[str, ...]
    quiet: Mapping[str, object]
    loud: Mapping[str, object]

    def rows(self) -> pd.DataFrame:
        """Return a frame of one's own."""
        return self.make().copy()


@cache
def _patients() -> pd.DataFrame:
    stream = np.random.default_rng(20250301)
    n = 72
    x = stream.normal(size=n).round(2)
    arm = stream.choice(["a", "b"], n, p=[0.45, 0.55])
    t = np.ceil(stream.exponential(20 * np.exp(-0.4 * x)))
    patients = pd.DataFrame(
        {
            "patient_id": [f"p{i:03d}" for i in range(n)],
            "arm": arm,
            "kind": stream.choice(["III", "IV", "V"], n),
            "site": stream.choice(["north", "south"], n),
            "x": x,
            "age": stream.integers(20, 70, n),
            "t": t,
            "event": (stream.uniform(size=n) < 0.7).astype(np.int64),
            "cause": stream.integers(0, 3, n),
            "entry": np.floor(t * stream.uniform(0, 0.9, n)),
            "w": stream.uniform(0.3, 3, n).round(3),
            "responder": stream.uniform(size=n) < 1 / (1 + np.exp(-0.5 * x)),
            "score": stream.uniform(0.1, 0.9, n),
        }
    )
    seen = np.floor(t / 6) * 6  # between the visits `lower` and `upper`, or not until `lower`
    return patients.assign(lower=seen, upper=np.where(patients["event"] == 1, seen + 6, np.inf))


PATIENTS = Table(
    _patients,
    times=("t", "entry", "lower", "upper"),
    quiet={"event": 0, "cause": 0, "responder": False, "upper": np.inf},
    loud={"event": 1, "cause": 1, "responder": True, "upper": 1000.0},
)


@cache
def _visits() -> pd.DataFrame:
    stream = np.random.default_rng(20250302)
    patients = _patients()[["patient_id", "arm", "site", "x", "w"]]
    frailty = stream.normal(size=len(patients))
    rows = []
    for month in (6, 12, 24):
        latent = patients["x"] + 0.4 * (patients["arm"] == "b") + frailty + stream.logistic(size=len(patients))
        rows.append(
            patients.assign(
                visit_month=month,
                response=np.select([latent > 0.9, latent > -0.3], ["CR", "PR"], "NR"),
                responder=latent > -0.3,
                value=latent.round(3),
                count=np.floor(np.exp(0.3 * latent)).astype(np.int64),
            )
        )
    visits = pd.concat(rows, ignore_index=True)
    seen = stream.uniform(size=len(visits)) < 0.85
    return visits[seen].reset_index(drop=True)


VISITS = Table(
    _visits,
    times=("visit_month",),
    quiet={"response": "NR", "responder": False, "value": 0.0, "count": 0},
    loud={"response": "CR", "responder": True, "value": 1.0, "count": 1},
)


@cache
def _spells() -> pd.DataFrame:
    stream = np.random.default_rng(20250303)
    rows = []
    for patient in _patients().itertuples():
        start, state, end = 0.0, "NR", float(patient.t) + 4
        while start < end:
            stop = min(start + float(np.ceil(stream.exponential(12))), end)
            last = stop == end
            entered = "dead" if last and patient.cause == 2 else stream.choice(["NR", "PR", "CR"])
            rows.append(
                {
                    "patient_id": patient.patient_id,
                    "arm": patient.arm,
                    "x": patient.x,
                    "w": patient.w,
                    "start": start,
                    "stop": stop,
                    "from_state": state,
                    "to_state": entered,
                    "event": int(stream.uniform() < 0.4),
                    "terminal": int(entered == "dead"),
                }
            )
            start, state = stop, entered
    return pd.DataFrame(rows)


SPELLS = Table(
    _spells,
    times=("stop", "start"),
    quiet={"event": 0, "terminal": 0, "from_state": "NR", "to_state": "NR"},
    loud={"event": 1, "terminal": 0, "from_state": "NR", "to_state": "NR"},
)
"""A row from each event, or change of state, of a patient to the next."""


@cache
def _due_visits() -> pd.DataFrame:
    patients = _patients()[["patient_id", "arm", "x"]]
    due = patients.merge(pd.DataFrame({"visit_month": [6, 12, 24]}), how="cross")
    seen = due.merge(_visits()[["patient_id", "visit_month", "response"]], how="left").assign(due=True)
    return seen.assign(status=np.where(seen["response"].notna(), "assessed", "missed visit"))


DUE_VISITS = Table(
    _due_visits,
    times=("visit_month",),
    quiet={"response": "NR", "status": "assessed"},
    loud={"response": "CR", "status": "assessed"},
)
"""A row for each visit that a patient was due for, seen or not."""


@cache
def _seen_between() -> pd.DataFrame:
    stream = np.random.default_rng(20250304)
    patients = _patients()[["patient_id", "arm", "w"]]
    visits = np.array([0.0, 6, 12, 24, 36, 60])
    place = np.minimum(stream.geometric(0.5, len(patients)) - 1, 4)
    width = np.minimum(stream.integers(1, 3, len(patients)), 5 - place)
    seen = stream.uniform(size=len(patients)) < 0.8
    return patients.assign(low=visits[place], high=np.where(seen, visits[place + width], np.nan))


SEEN_BETWEEN = Table(_seen_between, times=("high", "low"), quiet={"high": np.nan}, loud={"high": 60.0})
"""A row a patient: the event lies between two visits, or after the first where there is no second."""

DEGENERATE: dict[str, Callable[[pd.DataFrame, Table], pd.DataFrame]] = {
    "empty": lambda data, _: data.iloc[:0],
    "one_row": lambda data, _: data.iloc[:1],
    "one_arm": lambda data, _: data[data["arm"] == "b"],
    "no_events": lambda data, table: data.assign(**table.quiet),
    "no_events_in_an_arm": lambda data, table: data.assign(
        **{name: data[name].mask(data["arm"] == "a", value) for name, value in table.quiet.items()}
    ),
    "one_event": lambda data, table: data.assign(
        **{
            name: pd.Series(np.where(np.arange(len(data)) == 5, table.loud[name], value), index=data.index)
            for name, value in table.quiet.items()
        }
    ),
    "events_only": lambda data, table: data.assign(**table.loud),
    "one_time": lambda data, table: data.drop_duplicates("patient_id").assign(
        **{table.times[0]: data[table.times[0]].max()}
    ),
}
"""Inputs with too little in them."""


@dataclass(frozen=True, eq=False)
class Case:
    """An estimator as the invariants see it; see the top of this module.

    Attributes
    ----------
    half_weights
        Columns that stay the same when every row is entered twice with half its weight (column ``w`` of the table),
        or why none does.
    relative
        Largest relative difference between runs on reordered rows: 1e-12 for sums, more for iterated fits, which stop
        at a tolerance of their own.
    time_unit
        Power of the time unit by which numbers of a ``statistic`` or ``term`` scale (0 for those not named; ``time``
        itself always scales), or why there is no such rule.
    swapped_arms
        Why exchanging the labels of the arms does not turn contrasts round (``*_difference``, ``log_*`` and ``smd_*``
        negated, ``*_ratio`` and ``odds`` inverted, on rows with a ``contrast`` or the term ``arm=b``), if it does not.
    missing
        Why missing values in the columns used are not refused, if they are not.
    """

    name: str
    run: Callable[[pd.DataFrame, float], Output]
    of: tuple[object, ...]
    half_weights: tuple[str, ...] | Exempt
    table: Table = PATIENTS
    relative: float = 1e-12
    time_unit: Mapping[str, int] | Exempt = field(default_factory=dict)
    swapped_arms: Exempt | None = None
    missing: Exempt | None = None
    refuses: tuple[str, ...] = ("empty",)

    def outputs(self, data: pd.DataFrame, unit: float = 1.0) -> dict[str, ResultTable | np.ndarray]:
        """Run the case and return its outputs by name."""
        found = self.run(data, unit)
        return {"result": found} if isinstance(found, ResultTable) else dict(found)
