"""Parameters that say where they come from.

A parameter set is a frozen dataclass whose fields are made with :func:`parameter`; :func:`provenance_table` lists
them, so that no number reaches a report without its status and source.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from cohort.codes import Status

PROVENANCE_COLUMNS = ("set", "parameter", "value", "unit", "status", "source")
"""Columns of :func:`provenance_table`."""


def parameter(default: Any, unit: str, status: Status, source: str) -> Any:
    """Declare a dataclass field with a unit and a provenance.

    Parameters
    ----------
    default
        Value used unless another is given.
    unit
        Unit, or what the number counts.
    status
        Where the number comes from.
    source
        Citation, or for an assumption the reasoning in a few words.
    """
    return dataclasses.field(default=default, metadata={"unit": unit, "status": status, "source": source})


def provenance_table(*parameter_sets: object) -> pd.DataFrame:
    """List the parameters of dataclass instances.

    Returns
    -------
    pandas.DataFrame
        One row per parameter: ``set`` (class name), ``parameter``, ``value`` (text), ``unit``, ``status``,
        ``source``. Fields without provenance (names) are left out.

    Examples
    --------
    >>> from cohort.definitions import KDIGO_2012
    >>> provenance_table(KDIGO_2012)["status"].unique().tolist()
    ['borrowed', 'assumed']
    """
    rows = [
        (type(group).__name__, field.name, _text(getattr(group, field.name)), *_origin(field))
        for group in parameter_sets
        for field in dataclasses.fields(group)  # type: ignore[arg-type]
        if "status" in field.metadata
    ]
    return pd.DataFrame(rows, columns=list(PROVENANCE_COLUMNS))


def _origin(field: dataclasses.Field[Any]) -> tuple[str, str, str]:
    metadata = field.metadata
    return str(metadata["unit"]), str(metadata["status"]), str(metadata["source"])


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
