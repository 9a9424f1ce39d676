"""How many patients of each arm were assessed at each visit: the smoothest loss that the printed numbers allow.

Visits about which nothing is printed take no part in the choice; they follow it (:mod:`synthetic.unprinted`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cohort.admissible import Splits
from cohort.errors import ReconstructionError
from cohort.rounding import Booleans, Floats, Integers
from synthetic.p_value_masks import VisitConstraints
from synthetic.printed_cells import PrintedCell
from synthetic.unprinted import all_denominators

MOST_CHAINS = 200_000
"""An arm whose printed percentages leave more chains of denominators than this is refused."""


@dataclass(frozen=True, slots=True)
class Chains:
    """The admissible chains of denominators of one arm, the smoothest first.

    Parameters
    ----------
    assessed
        Patients assessed, shape (chains, visits); never rising along a row.
    criterion
        Sum over the printed visits of the squared change in annual loss, shape (chains,). Equal values are ordered by
        the larger denominators.
    chosen
        Place of the chain chosen: the first, unless a p-value that binds two arms excludes it beside the other's.
    """

    assessed: Integers
    criterion: Floats
    chosen: int = 0

    @property
    def next_criterion(self) -> float | None:
        """Criterion of the best chain not chosen, ``None`` if there is no other."""
        others = np.delete(self.criterion, self.chosen)
        return float(others[0]) if len(others) else None

    def kept(self, keep: Booleans, chosen: int) -> Chains:
        """Return the chains to ``keep``, with the one now at ``chosen`` chosen."""
        return Chains(self.assessed[keep], self.criterion[keep], int(keep[:chosen].sum()))


def choose_denominators(
    cells: Mapping[str, Sequence[PrintedCell | None]],
    months: Sequence[int],
    sizes: Mapping[str, int],
    constraints: Sequence[VisitConstraints],
) -> dict[str, Chains]:
    """List every admissible chain of each arm and choose those with the smallest sum of criteria.

    Parameters
    ----------
    cells
        From each arm to its cells, one a visit; ``None`` where nothing is printed.
    months
        Month of each visit.
    sizes
        From each arm to its patients at month 0.
    constraints
        The p-values that bind the two arms, by visit, at which both print response; a chain is admissible if some
        chain of the other arm meets them with it.

    Raises
    ------
    ReconstructionError
        If an arm has no chain that never rises, no pair of chains meets the p-values, or the chains are too many.
    """
    chains = {arm: _smoothest_first(visits, months, sizes[arm]) for arm, visits in cells.items()}
    if not constraints:
        return chains
    (arm_1, first), (arm_2, second) = chains.items()
    visits = [constraint.visit for constraint in constraints]
    keys_1, best_1, place_1 = np.unique(first.assessed[:, visits], axis=0, return_index=True, return_inverse=True)
    keys_2, best_2, place_2 = np.unique(second.assessed[:, visits], axis=0, return_index=True, return_inverse=True)
    together = np.ones((len(keys_1), len(keys_2)), dtype=bool)
    for column, constraint in enumerate(constraints):
        n_1, row_of = np.unique(keys_1[:, column], return_inverse=True)
        n_2, column_of = np.unique(keys_2[:, column], return_inverse=True)
        splits_1 = _splits_at(cells[arm_1][constraint.visit], n_1)
        splits_2 = _splits_at(cells[arm_2][constraint.visit], n_2)
        together &= constraint.denominator_pairs(splits_1, splits_2)[np.ix_(row_of, column_of)]
        if not together.any():
            raise ReconstructionError(
                "no whole numbers of patients give this p-value",
                where=f"arms {arm_1} and {arm_2}",
                got=constraint.described(),
                remedy="take it out of the reconstruction section, or read it as another test",
            )
    total = np.where(together, first.criterion[best_1][:, None] + second.criterion[best_2], np.inf)
    best_row, best_column = divmod(int(total.argmin()), total.shape[1])
    partnered_1, partnered_2 = np.logical_or.reduce(together, axis=1), np.logical_or.reduce(together, axis=0)
    return {
        arm_1: first.kept(partnered_1[place_1.ravel()], int(best_1[best_row])),
        arm_2: second.kept(partnered_2[place_2.ravel()], int(best_2[best_column])),
    }


def annual_loss_criterion(assessed: Integers, months: Sequence[int], size: int) -> Floats:
    """Return the sum over visits of the squared change in annual loss, counted from ``size`` at month 0.

    Parameters
    ----------
    assessed
        Patients assessed, shape (chains, visits).
    months
        Month of each visit.
    size
        Patients at month 0.

    Returns
    -------
    float array, shape (chains,)
        0 for a constant annual loss (and for a single visit).

    Examples
    --------
    >>> annual_loss_criterion(np.array([[91, 88, 79, 69, 48]]), [6, 12, 24, 36, 60], 92)
    array([26.25])
    """
    years = np.diff(np.array([0, *months])) / 12
    start = np.full((len(assessed), 1), size, dtype=np.int64)
    loss = -np.diff(np.hstack([start, assessed]), axis=1) / years
    criterion: Floats = (np.diff(loss, axis=1) ** 2).sum(axis=1)
    return criterion


def _splits_at(cell: PrintedCell | None, denominators: Integers) -> list[Splits]:
    return [] if cell is None else [cell.by_n[n] for n in denominators.tolist()]


def _smoothest_first(visits: Sequence[PrintedCell | None], months: Sequence[int], size: int) -> Chains:
    printed = [cell for cell in visits if cell is not None]
    printed_months = [cell.month for cell in printed]
    assessed = _never_rising(printed)
    criterion = annual_loss_criterion(assessed, printed_months, size)
    order = np.lexsort((*(-assessed[:, ::-1].T), criterion))
    return Chains(all_denominators(assessed[order], printed_months, months, size), criterion[order])


def _never_rising(visits: Sequence[PrintedCell]) -> Integers:
    """Return every chain of admissible denominators that never rises, shape (chains, visits)."""
    chains = np.array(list(visits[0].by_n), dtype=np.int64)[:, None]
    for cell in visits[1:]:
        options = np.array(list(cell.by_n), dtype=np.int64)
        rows, columns = np.nonzero(chains[:, -1:] >= options)
        if not len(rows):
            raise ReconstructionError(
                "every admissible number assessed exceeds that of the visit before",
                where=f"arm {cell.arm}, month {cell.month}",
                got=cell.described(),
                remedy="check these percentages and those of the earlier visits",
            )
        if len(rows) > MOST_CHAINS:
            raise ReconstructionError(
                f"the printed percentages leave more than {MOST_CHAINS} chains of denominators",
                where=f"arm {cell.arm}, month {cell.month}",
                got=cell.described(),
                remedy="give the printed denominators (n), or percentages with more decimals",
            )
        chains = np.hstack([chains[rows], options[columns, None]])
    return chains
