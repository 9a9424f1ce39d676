"""Rows of spells in states turned into the checked arrays that multi-state estimators take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.design_matrix import existing_column, ordered_levels
from analyses.kernels.spells import Spells
from cohort.errors import AnalysisError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

NAMED = 5
"""How many patients an error names."""


@dataclass(frozen=True, slots=True)
class SpellColumns:
    """Names of the columns of a frame of spells; the defaults are those of ``response_history``."""

    subject_col: str = "patient_id"
    start_col: str = "start"
    stop_col: str = "stop"
    from_col: str = "from_state"
    to_col: str = "to_state"


@dataclass(frozen=True, slots=True, eq=False)
class StateSpells:
    """Checked spells; ``n`` rows in the order of the data.

    Attributes
    ----------
    starts, stops, weights
        Shape ``(n,)``.
    subjects
        Shape ``(n,)``: subjects numbered from 0.
    sources, destinations
        Shape ``(n,)``: positions in ``states``, equal where the state does not change at the stop.
    states
        Names of the states.
    levels
        Levels of the groups, None alone when there is no grouping.
    group_codes
        Shape ``(n,)``: positions in ``levels``.
    """

    starts: FloatArray
    stops: FloatArray
    weights: FloatArray
    subjects: IntArray
    sources: IntArray
    destinations: IntArray
    states: tuple[str, ...]
    levels: tuple[str | None, ...]
    group_codes: IntArray

    def kernel_rows(self, chosen: IntArray) -> tuple[Spells, IntArray]:
        """Return chosen rows as the kernel takes them, their subjects numbered anew, and their destinations."""
        known, subjects = np.unique(self.subjects[chosen], return_inverse=True)
        sources, destinations = self.sources[chosen], self.destinations[chosen]
        spells = Spells(
            self.starts[chosen],
            self.stops[chosen],
            subjects,
            sources,
            sources != destinations,
            self.weights[chosen],
            len(known),
        )
        return spells, destinations

    def of_group(self, level: str | None) -> IntArray:
        """Rows of a group."""
        return np.flatnonzero(self.group_codes == self.levels.index(level))


def state_spells(
    data: pd.DataFrame,
    columns: SpellColumns,
    *,
    by: str | None,
    weights_col: str | None,
    where: str,
) -> StateSpells:
    """Read and check spells.

    Raises
    ------
    AnalysisError
        No rows; an unknown or incomplete column; times that are not finite numbers from 0 or a stop not after its
        start; weights not above zero; a patient whose rows overlap, whose state changes between one row and the next,
        or who is in two groups: the message names the patients.
    """
    if not len(data):
        raise AnalysisError("no rows", where=where, remedy="check how the data were filtered")
    subject_values = existing_column(data, columns.subject_col, role=f"{where}, subject_col")
    names, subjects = ordered_levels(subject_values)
    starts = spell_numbers(data, columns.start_col, f"{where}, start_col")
    stops = spell_numbers(data, columns.stop_col, f"{where}, stop_col")
    patients = np.array(names, dtype=object)[subjects]
    refuse(starts < 0, patients, where=f"{where}, start_col {columns.start_col!r}", what="times must not be negative")
    refuse(
        stops <= starts,
        patients,
        where=f"{where}, columns {columns.start_col}, {columns.stop_col}",
        what="a row must stop after it starts",
    )
    states, sources, destinations = _states(data, columns, where)
    _check_sequence(starts, stops, subjects, sources, destinations, patients, where)
    levels, codes = spell_groups(data, by, subjects, patients, where)
    weights = spell_weights(data, weights_col, patients, where)
    return StateSpells(starts, stops, weights, subjects, sources, destinations, states, levels, codes)


def spell_numbers(data: pd.DataFrame, name: str, role: str) -> FloatArray:
    """Return a complete numeric column of finite values.

    Raises
    ------
    AnalysisError
        Naming the column.
    """
    column = existing_column(data, name, role=role)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise AnalysisError(
            "the column must be numeric", where=f"{role} {name!r}", got=str(column.dtype), remedy="convert it first"
        )
    values = column.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise AnalysisError(
            "values must be finite",
            where=f"{role} {name!r}",
            got=f"{np.count_nonzero(~np.isfinite(values))} rows",
            remedy="correct these rows or leave them out",
        )
    return values


def spell_weights(data: pd.DataFrame, weights_col: str | None, patients: NDArray[np.object_], where: str) -> FloatArray:
    """Return the weights, ones without a column.

    Raises
    ------
    AnalysisError
        When a weight is not above zero.
    """
    if weights_col is None:
        return np.ones(len(data))
    weights = spell_numbers(data, weights_col, f"{where}, weights_col")
    refuse(weights <= 0, patients, where=f"{where}, weights_col {weights_col!r}", what="weights must be above zero")
    return weights


def spell_groups(
    data: pd.DataFrame, by: str | None, subjects: IntArray, patients: NDArray[np.object_], where: str
) -> tuple[tuple[str | None, ...], IntArray]:
    """Return the levels of the groups and each row's, after checking that a patient is in one group.

    Raises
    ------
    AnalysisError
        Naming patients in two groups.
    """
    if by is None:
        return (None,), np.zeros(len(data), dtype=np.intp)
    levels, codes = ordered_levels(existing_column(data, by, role=f"{where}, by"))
    first = np.full(subjects.max() + 1, -1, dtype=np.intp)
    first[subjects[::-1]] = codes[::-1]
    refuse(first[subjects] != codes, patients, where=f"{where}, by {by!r}", what="a patient is in two groups")
    return levels, codes


def refuse(bad: BoolArray, patients: NDArray[np.object_], *, where: str, what: str) -> None:
    """Raise an AnalysisError that names the patients of the bad rows, if there are any."""
    if bad.any():
        named = sorted({str(patient) for patient in patients[bad]})
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        raise AnalysisError(
            what,
            where=where,
            got=f"patients {', '.join(named[:NAMED])}{more} ({np.count_nonzero(bad)} rows)",
            remedy="correct these rows or leave the patients out",
        )


def _states(data: pd.DataFrame, columns: SpellColumns, where: str) -> tuple[tuple[str, ...], IntArray, IntArray]:
    """Names of the states, in the order an ordered categorical declares, else sorted, and both ends of each row."""
    source = existing_column(data, columns.from_col, role=f"{where}, from_col")
    target = existing_column(data, columns.to_col, role=f"{where}, to_col")
    texts = [np.array([str(value) for value in column.tolist()], dtype=object) for column in (source, target)]
    found = set(texts[0]) | set(texts[1])
    if isinstance(source.dtype, pd.CategoricalDtype) and source.dtype.ordered:
        declared = [str(name) for name in source.dtype.categories]
        states = tuple([name for name in declared if name in found] + sorted(found - set(declared)))
    else:
        states = tuple(sorted(found))
    place = {name: position for position, name in enumerate(states)}
    sources, destinations = (np.array([place[text] for text in column], dtype=np.intp) for column in texts)
    return states, sources, destinations


def _check_sequence(
    starts: FloatArray,
    stops: FloatArray,
    subjects: IntArray,
    sources: IntArray,
    destinations: IntArray,
    patients: NDArray[np.object_],
    where: str,
) -> None:
    order = np.lexsort((starts, subjects))
    earlier, later = order[:-1], order[1:]
    same = subjects[earlier] == subjects[later]
    overlap, jump = np.zeros(len(starts), dtype=bool), np.zeros(len(starts), dtype=bool)
    overlap[later] = same & (starts[later] < stops[earlier])
    refuse(overlap, patients, where=where, what="rows of a patient overlap in time")
    jump[later] = same & (sources[later] != destinations[earlier])
    refuse(jump, patients, where=where, what="a row does not start in the state in which the patient's last one ended")
