"""Every combination of defensible choices as one analysis each: what the estimate owes to who analysed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

ALL_SPECIFICATIONS = "all specifications"
"""``population`` of the summary."""
SUMMARIES = ("specifications", "specifications_fitted", "median", "smallest", "largest", "share_excluding_null")
"""Statistics of the summary, in order."""

_WHERE = "multiverse"
_NOT_INDEPENDENT = (
    "the same patients throughout: specifications are no independent tests and their number adds no evidence; no joint "
    "p-value is computed, since reshuffling the arms would break the confounding that the specifications differ about"
)
_SHAPES = ("; ", "=")

Choices = Mapping[str, Mapping[str, object]]
"""Name of each choice to its options, by name."""


def multiverse(
    choices: Choices,
    estimate: Callable[[Mapping[str, object]], ResultTable],
    *,
    statistic: str,
    null: float = 0.0,
) -> ResultTable:
    """Make every combination of choices one specification, estimate each, and summarise what they find.

    Parameters
    ----------
    choices
        Choice to options, and option to what ``estimate`` gets for it:
        ``{"adjustment": {"none": None, "weights": "ATE"}, "visit": {"6": 6, "12": 12}}``. Combinations are made in
        this order, the last choice changing fastest.
    estimate
        From the options of one specification (choice to value) to a table with one row of ``statistic``; its other
        rows play no part. A refusal (AnalysisError, UsageError) becomes the reason in the row of the specification.
    statistic
        What is followed. Options that change its meaning (another estimand) stand on one curve all the same: say so.
    null
        Its value without effect.

    Returns
    -------
    ResultTable
        One row per specification, in the order of the combinations: ``population`` reads ``adjustment=none; visit=6``
        and the other columns are those of the row found. A specification without estimate keeps its row, and ``note``
        says why. Then ``population`` "all specifications" with the rows ``specifications``,
        ``specifications_fitted``, ``median``, ``smallest``, ``largest`` (of the estimates) and
        ``share_excluding_null`` (of the specifications with an interval), each with a note that specifications are
        not independent.

    Raises
    ------
    UsageError
        No choice, a choice without options, a name that holds "; " or "=".

    Notes
    -----
    The median and the range describe the choices that were listed, equally weighted; they are no estimate and no
    interval. Permutation tests of all specifications together (Simonsohn et al.) are left out on purpose: under
    confounding the arms are not exchangeable, so that the reshuffled data do not show what no effect looks like.

    References
    ----------
    Steegen S, Tuerlinckx F, Gelman A, Vanpaemel W. Increasing transparency through a multiverse analysis. Perspect
    Psychol Sci 2016;11:702-712. doi:10.1177/1745691616658637. Simonsohn U, Simmons JP, Nelson LD. Specification curve
    analysis. Nat Hum Behav 2020;4:1208-1214. doi:10.1038/s41562-020-0912-z

    Examples
    --------
    >>> table = multiverse(
    ...     {"scale": {"once": 1, "twice": 2}, "sign": {"plus": 1, "minus": -1}},
    ...     lambda one: result_table([{"statistic": "value", "estimate": float(one["scale"] * one["sign"])}]),
    ...     statistic="value",
    ... )
    >>> table.frame["estimate"].tolist()[:4], table.frame["population"].iloc[3]
    ([1.0, -1.0, 2.0, -2.0], 'scale=twice; sign=minus')
    >>> summary = table.frame[table.frame["population"] == "all specifications"].set_index("statistic")["estimate"]
    >>> summary[["median", "smallest", "largest"]].tolist()
    [0.0, -2.0, 2.0]
    """
    _require_choices(choices)
    rows = [
        _specification(dict(zip(choices, names, strict=True)), choices, estimate, statistic)
        for names in itertools.product(*choices.values())
    ]
    spec = {"function": _WHERE, "choices": {name: list(options) for name, options in choices.items()},
            "statistic": statistic, "null": null}  # fmt: skip
    return result_table([*rows, *_summary(rows, null)], metadata={"spec": spec}, analysis="sensitivity")


def _specification(
    chosen: Mapping[str, str],
    choices: Choices,
    estimate: Callable[[Mapping[str, object]], ResultTable],
    statistic: str,
) -> dict[str, object]:
    name = "; ".join(f"{choice}={option}" for choice, option in chosen.items())
    try:
        table = estimate({choice: choices[choice][option] for choice, option in chosen.items()})
    except (AnalysisError, UsageError) as error:
        return {"population": name, "statistic": statistic, "note": f"not estimated: {error}"}
    found = table.frame[(table.frame["statistic"] == statistic).fillna(False).to_numpy(dtype=bool)]
    if len(found) != 1:
        said = "; ".join(dict.fromkeys(table.frame["note"].dropna())) or f"{len(found)} rows of {statistic}"
        return {"population": name, "statistic": statistic, "note": f"not estimated: {said}"}
    return {str(key): value for key, value in found.iloc[0].items() if key != "analysis"} | {"population": name}


def _summary(rows: Sequence[Mapping[str, object]], null: float) -> list[dict[str, object]]:
    fitted = [value for row in rows if math.isfinite(value := _number(row, "estimate"))]
    limits = [(_number(row, "conf_low"), _number(row, "conf_high")) for row in rows]
    whole = [(low, high) for low, high in limits if low <= high]
    values: dict[str, float] = {"specifications": len(rows), "specifications_fitted": len(fitted)}
    if fitted:
        values |= {"median": float(np.median(fitted)), "smallest": min(fitted), "largest": max(fitted)}
    if whole:
        values["share_excluding_null"] = sum(not low <= null <= high for low, high in whole) / len(whole)
    made: list[dict[str, object]] = []
    for name in SUMMARIES:
        row: dict[str, object] = {"population": ALL_SPECIFICATIONS, "statistic": name, "n": len(rows)}
        if name == "share_excluding_null":
            row |= {"n": len(whole), "n_events": sum(not low <= null <= high for low, high in whole)}
        note = _NOT_INDEPENDENT if name in values else "no specification could be estimated"
        made.append(row | {"estimate": values.get(name, math.nan), "note": note})
    return made


def _number(row: Mapping[str, object], column: str) -> float:
    value = row.get(column)
    return math.nan if value is None else float(str(value))


def _require_choices(choices: Choices) -> None:
    empty = [name for name, options in choices.items() if not options]
    if not choices or empty:
        raise UsageError(
            "a multiverse is made of choices with options", where=_WHERE,
            got=f"no option of {', '.join(empty)}" if empty else "no choice", remedy="give every choice an option",
        )  # fmt: skip
    names = [*choices, *(option for options in choices.values() for option in options)]
    faulty = [name for name in names if any(shape in name for shape in _SHAPES)]
    if faulty:
        raise UsageError(
            "the names of choices and options hold neither '=' nor '; '", where=_WHERE, got=", ".join(faulty),
            remedy="name them otherwise: specifications read choice=option; choice=option",
        )  # fmt: skip
