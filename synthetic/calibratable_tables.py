"""The admissible tables that the patient model can meet, each settled for population mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.errors import CalibrationError, UsageError
from cohort.record import Study
from cohort.seeds import SeedTree
from synthetic.admissible_tables import COUNTS, AdmissibleTable, iter_tables
from synthetic.design import design_of
from synthetic.scenario import Scenario
from synthetic.setting import Setting, settle

ENSEMBLE_POWER = 14
"""Two to this power patients calibrate each table.

What it costs: in three tables of Kim 2025, compared on 98,304 common patients, expected rates of response lie within
0.5 percentage points of those that two to the power of 18 patients give (root mean square 0.15), and patients assessed
within 0.01. Sampling error of one rate in a cohort of 179 is 3 to 7 percentage points, so that calibration adds less
than 1 % to its variance; only in the mean of some thousand cohorts of *one* table does it show.
"""
_DRAWS_A_TABLE = 20
"""Where fewer than one table in so many can be calibrated, the search is given up."""


@dataclass(frozen=True, slots=True)
class CalibratableTables:
    """Admissible tables settled for population mode, and those that were refused.

    Parameters
    ----------
    tables
        The tables, the default reconstruction first; ``name`` says which of the tables drawn each is, so that numbers
        are missing where tables were refused.
    settings
        The setting of each.
    refused
        Why tables were refused: ``reason``, ``where`` (arm and month, or dial) and ``tables`` (how many), the most
        frequent first; empty if none was.
    """

    tables: tuple[AdmissibleTable, ...]
    settings: tuple[Setting, ...]
    refused: pd.DataFrame

    @property
    def drawn(self) -> int:
        """How many tables were drawn, with those refused."""
        return len(self.tables) + int(self.refused["tables"].sum())

    def frame(self) -> pd.DataFrame:
        """Return every table as rows.

        Returns
        -------
        pandas.DataFrame
            One row per table, arm and visit: ``table``, ``arm``, ``month``, ``assessed``, ``complete``, ``partial``,
            ``none`` and ``flare_hazard``, the hazard of flare before that visit against the default table's. Above 1,
            so many responders lose their response in the table that the model had to let more of them flare.
        """
        default = self.settings[0].calibration.flare_ratio
        parts = []
        for table, setting in zip(self.tables, self.settings, strict=True):
            arms, months = setting.design.arms.tolist(), setting.design.months.tolist()
            hazard = pd.DataFrame(
                {
                    "arm": np.repeat(arms, len(months)),
                    "month": np.tile(months, len(arms)),
                    "flare_hazard": (setting.calibration.flare_ratio / default).ravel(),
                }
            )
            counts = table.counts[["arm", "month", *COUNTS]].assign(table=table.name)
            parts.append(counts.merge(hazard, on=["arm", "month"], validate="one_to_one"))
        return pd.concat(parts, ignore_index=True)[["table", "arm", "month", *COUNTS, "flare_hazard"]]


def calibratable_tables(
    study: Study,
    scenario: Scenario,
    number: int,
    tree: SeedTree,
    *,
    alternative: str | None = None,
    power: int = ENSEMBLE_POWER,
) -> CalibratableTables:
    """Draw admissible tables, settle the scenario for each, and draw again for those that cannot be calibrated.

    Since a table refused is replaced by a fresh draw, the tables after the first have the same probability each among
    those that the patient model can meet.

    Parameters
    ----------
    study
        The published record.
    scenario
        Dials of the patient model. If it asks for an effect on response, the confounding is solved anew for each.
    number
        How many tables, at least 1.
    tree
        Node of the seed tree. The same node gives the same tables, and asking it for more gives these first.
    alternative
        Name of an alternative reading of the study file; ``None`` for the default.
    power
        Base-two logarithm of the quasi-random patients that calibrate a table.

    Returns
    -------
    CalibratableTables
        Fewer than ``number`` tables if print admits fewer that can be calibrated.

    Raises
    ------
    UsageError
        If ``number`` is below 1.
    ReconstructionError
        If the alternative is unknown, or no table agrees with what is printed.
    CalibrationError
        If the default table cannot be calibrated, or fewer than one table in twenty can.

    Examples
    --------
    >>> from cohort.targets import load_study
    >>> from synthetic.scenario import DEFAULT_SCENARIO
    >>> found = calibratable_tables(load_study("bao2008"), DEFAULT_SCENARIO, 5, SeedTree(2025), power=10)
    >>> len(found.settings), found.drawn
    (1, 1)
    """
    if number < 1:
        raise UsageError("at least one table is needed", where="number of tables", got=str(number), remedy="ask for 1")
    tables: list[AdmissibleTable] = []
    settings: list[Setting] = []
    refusals: list[CalibrationError] = []
    for table in iter_tables(study, tree, alternative=alternative):
        try:
            settings.append(settle(design_of(study, table), scenario, power=power, limits=not tables))
            tables.append(table)
        except CalibrationError as error:
            if not tables:
                raise
            refusals.append(error)
        if len(tables) == number:
            break
        if len(tables) + len(refusals) == _DRAWS_A_TABLE * number:
            raise _too_few(study, len(tables), _refused(refusals))
    return CalibratableTables(tuple(tables), tuple(settings), _refused(refusals))


def _refused(refusals: Sequence[CalibrationError]) -> pd.DataFrame:
    """Count refusals by reason and place, the most frequent first, equally frequent ones in alphabetical order."""
    reasons = pd.DataFrame(
        {
            "reason": pd.Series([error.what for error in refusals], dtype="str"),
            "where": pd.Series([error.where for error in refusals], dtype="str"),
        }
    )
    counted = reasons.groupby(["reason", "where"], sort=True).size().rename("tables").reset_index()
    return counted.sort_values("tables", ascending=False, kind="stable", ignore_index=True)


def _too_few(study: Study, found: int, refused: pd.DataFrame) -> CalibrationError:
    most = refused.iloc[0]
    return CalibrationError(
        f"fewer than one admissible table in {_DRAWS_A_TABLE} can be calibrated",
        where=f"study {study.name}",
        got=f"{found} tables, and {refused['tables'].sum()} refused, of which {most['tables']} since {most['where']}: "
        f"{most['reason']}",
        remedy="use population mode, which takes the default table, or raise course.flare_rate",
    )
