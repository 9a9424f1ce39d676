"""Which units are at fault: one stream per kind and place, so that changing one rate moves no other kind's faults.

Kinds that exclude each other in a unit (a cell, a row, a block) each draw a claim on it, and the highest claim among
the kinds the unit is eligible for owns it, whatever the rates. The owner then hits with its rate times the number of
such kinds, so that every eligible unit is at fault independently with the rate itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import Fault
from cohort.seeds import SeedTree

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pool:
    """The units of one place that one kind owns.

    Attributes
    ----------
    place
        Names of the place: a file, or a file and a column.
    eligible
        Number of units the kind could befall, owned or not.
    units, urgency, variant
        Owned units, the rate above which each is at fault, and a uniform number that picks the form of the fault.
    """

    place: tuple[str, ...]
    eligible: int
    units: IntArray
    urgency: FloatArray
    variant: FloatArray


@dataclass(frozen=True, slots=True)
class Hit:
    """A unit at fault."""

    place: tuple[str, ...]
    unit: int
    variant: float


def pools(weights: Mapping[Fault, FloatArray], tree: SeedTree, place: tuple[str, ...]) -> dict[Fault, Pool]:
    """Share the units of a place among kinds.

    Parameters
    ----------
    weights
        For each kind one number per unit: 0 where the unit is not eligible, else the relative chance (mean 1).
    tree
        Node whose children are the streams of the kinds.
    place
        Names of the place.

    Returns
    -------
    dict
        One pool per kind.
    """
    kinds = list(weights)
    weight = np.stack([weights[kind] for kind in kinds])
    draws = np.stack([tree.child(kind.value, *place).generator().random((weight.shape[1], 3)) for kind in kinds])
    eligible = weight > 0
    rivals = eligible.sum(axis=0)
    owner = np.where(eligible, draws[:, :, 0], -1.0).argmax(axis=0)
    shared = {}
    for number, kind in enumerate(kinds):
        units = np.flatnonzero(eligible[number] & (owner == number))
        shared[kind] = Pool(
            place,
            int(eligible[number].sum()),
            units,
            draws[number, units, 1] / (rivals[units] * weight[number, units]),
            draws[number, units, 2],
        )
    return shared


def hits(candidates: Sequence[Pool], rate: float, *, at_least_once: bool) -> Iterator[Hit]:
    """Yield the units at fault, place by place in order; with ``at_least_once`` the most urgent one if none is."""
    if rate <= 0.0:
        return
    limit = rate
    urgencies = [float(pool.urgency.min()) for pool in candidates if len(pool.units)]
    if at_least_once and urgencies and min(urgencies) >= rate:
        limit = float(np.nextafter(min(urgencies), np.inf))
    for pool in candidates:
        for position in np.flatnonzero(pool.urgency < limit):
            yield Hit(pool.place, int(pool.units[position]), float(pool.variant[position]))


def remaining(pool: Pool, alive: BoolArray) -> Pool:
    """Return the pool without the units that are gone."""
    kept = alive[pool.units]
    return Pool(pool.place, pool.eligible, pool.units[kept], pool.urgency[kept], pool.variant[kept])


def pick(options: Sequence[str], variant: float) -> str:
    """Return the option that a uniform number points to.

    Examples
    --------
    >>> pick(["a", "b"], 0.75)
    'b'
    """
    return options[int(variant * len(options))]
