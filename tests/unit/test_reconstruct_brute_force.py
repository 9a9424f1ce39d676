"""Protects the reconstruction's search against a naive one that writes the rule down and tries every table."""

from __future__ import annotations

import itertools
import math
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from cohort.targets import Study
from synthetic.reconstruct import reconstruct

Cell = tuple[int, int, int]  # assessed, complete, partial


def percent(events: int, n: int, decimals: int, rule: str = ROUND_HALF_UP) -> str:
    return str((Decimal(100 * events) / n).quantize(Decimal(1).scaleb(-decimals), rule))


def prints(events: int, n: int, printed: str) -> bool:
    decimals = len(printed.partition(".")[2])
    return printed in {percent(events, n, decimals, rule) for rule in (ROUND_HALF_UP, ROUND_HALF_EVEN)}


def pearson(a: int, m: int, c: int, k: int) -> float:
    margin = m * k * (a + c) * (m + k - a - c)
    return math.erfc(math.sqrt((m + k) * (a * k - c * m) ** 2 / margin / 2)) if margin else math.nan


def counted(cell: Cell, measure: str) -> int:
    return {"complete_response": cell[1], "partial_response": cell[2], "overall_response": cell[1] + cell[2]}[measure]


class Printed:
    """A random record: true tables of two small arms, and what a paper would print of them."""

    def __init__(self, seed: int, months: tuple[int, ...], largest: int) -> None:
        random = np.random.default_rng(seed)
        self.months = months
        self.sizes = [int(random.integers(4, largest + 1)) for _ in range(2)]
        self.decimals = int(random.integers(0, 2))
        self.percentages: dict[tuple[int, int, str], str] = {}
        self.p_values: dict[tuple[int, str], str] = {}
        patterns = [("complete_response",), ("overall_response",), ("complete_response", "partial_response")]
        truth: list[list[Cell]] = []
        for arm, size in enumerate(self.sizes):
            n, cells = size, []
            for visit in range(len(months)):
                n = int(random.integers(max(1, n - 2), n + 1))
                complete = int(random.integers(0, n + 1))
                partial = int(random.integers(0, n - complete + 1))
                cells.append((n, complete, partial))
                for measure in patterns[int(random.integers(3))]:
                    self.percentages[arm, visit, measure] = percent(counted(cells[-1], measure), n, self.decimals)
            truth.append(cells)
        if random.random() < 0.7:
            visit = int(random.integers(len(months)))
            measure = ("complete_response", "overall_response")[int(random.integers(2))]
            one, other = truth[0][visit], truth[1][visit]
            p = pearson(counted(one, measure), one[0], counted(other, measure), other[0])
            if not math.isnan(p):
                self.p_values[visit, measure] = f"{p:.1f}"

    def study(self) -> Study:
        common = {"status": "reported", "source": "s"}
        targets: list[dict[str, object]] = [
            {
                "id": f"{measure}_{visit}_{arm}", "kind": "number", "measure": measure, "arm": f"arm{arm}",
                "month": self.months[visit], "value": value, "unit": "percent", **common,
            }
            for (arm, visit, measure), value in self.percentages.items()
        ]  # fmt: skip
        targets += [
            {
                "id": f"p_{visit}", "kind": "number", "measure": "p_value", "compares": measure,
                "month": self.months[visit], "value": value, "unit": "probability", **common,
            }
            for (visit, measure), value in self.p_values.items()
        ]  # fmt: skip
        plan = {"p_value": [{"target": f"p_{visit}", "test": "pearson", "reason": "r"} for visit, _ in self.p_values]}
        arms = [
            {"code": f"arm{arm}", "label": "x", "size": size, "tacrolimus": False, **common}
            for arm, size in enumerate(self.sizes)
        ]
        return Study.model_validate(
            {
                "name": "random", "title": "t", "citation": "c", "doi": "d", "visit_months": self.months,
                "source": [{"key": "s", "citation": "c", "url": "u"}], "arm": arms, "target": targets,
                "reconstruction": plan,
            }
        )  # fmt: skip

    def cells(self, arm: int, visit: int) -> list[Cell]:
        """Return every admissible cell, by trying all."""
        return [
            (n, complete, partial)
            for n in range(1, self.sizes[arm] + 1)
            for complete in range(n + 1)
            for partial in range(n - complete + 1)
            if all(
                prints(counted((n, complete, partial), measure), n, printed)
                for (of_arm, of_visit, measure), printed in self.percentages.items()
                if (of_arm, of_visit) == (arm, visit)
            )
        ]

    def meets(self, visit: int, one: Cell, other: Cell) -> bool:
        """Say whether a pair of cells prints the p-value of the visit, if there is one."""
        return all(
            abs(pearson(counted(one, measure), one[0], counted(other, measure), other[0]) - float(printed)) <= 0.05
            for (of_visit, measure), printed in self.p_values.items()
            if of_visit == visit
        )


def loss_criterion(chain: tuple[int, ...], months: tuple[int, ...], size: int) -> float:
    n, years = [size, *chain], [0.0, *(month / 12 for month in months)]
    loss = [(n[i] - n[i + 1]) / (years[i + 1] - years[i]) for i in range(len(chain))]
    return sum((after - before) ** 2 for before, after in itertools.pairwise(loss))


def split_criterion(cells: tuple[Cell, ...], months: tuple[int, ...]) -> float:
    def logits(cell: Cell) -> tuple[float, float]:
        n, complete, partial = cell
        overall = complete + partial
        return math.log((overall + 0.5) / (n - overall + 0.5)), math.log((complete + 0.5) / (partial + 0.5))

    total = 0.0
    for place, (before, after) in enumerate(itertools.pairwise(cells)):
        gap = (months[place + 1] - months[place]) / 12
        total += sum((y - x) ** 2 for x, y in zip(logits(before), logits(after), strict=True)) / gap
    return total


CASES = [(seed, (6, 12), 12) for seed in range(20)] + [(seed, (6, 12, 36), 6) for seed in range(20, 35)]


@pytest.mark.parametrize(("seed", "months", "largest"), CASES)
def test_against_trying_every_table(seed: int, months: tuple[int, ...], largest: int) -> None:
    record = Printed(seed, months, largest)
    found = reconstruct(record.study())
    visits = range(len(months))
    cells = [[record.cells(arm, visit) for visit in visits] for arm in range(2)]

    # Rule 2: every pair of chains that never rise and leaves, at each visit, cells that meet the p-value.
    possible = [
        {
            (one[0], other[0])
            for one, other in itertools.product(cells[0][visit], cells[1][visit])
            if record.meets(visit, one, other)
        }
        for visit in visits
    ]
    pairs = [
        (tuple(one for one, _ in chosen), tuple(other for _, other in chosen))
        for chosen in itertools.product(*possible)
    ]
    pairs = [pair for pair in pairs if all(list(chain) == sorted(chain, reverse=True) for chain in pair)]
    sums = {
        pair: sum(loss_criterion(chain, months, size) for chain, size in zip(pair, record.sizes, strict=True))
        for pair in pairs
    }
    counts = [found.counts[found.counts["arm"] == f"arm{arm}"] for arm in range(2)]
    chosen_n = tuple(tuple(table["assessed"].tolist()) for table in counts)
    assert sums[chosen_n] == pytest.approx(min(sums.values()))
    assert sum(found.denominator_criterion.values()) == pytest.approx(min(sums.values()))
    listed = found.solutions.denominators
    for arm in range(2):
        ranks = listed[listed["arm"] == f"arm{arm}"].groupby("rank")
        assert {tuple(chain["assessed"]) for _, chain in ranks} == {pair[arm] for pair in pairs}

    # Rule 3, at the chosen denominators.
    options = [
        [
            (one, other)
            for one, other in itertools.product(cells[0][visit], cells[1][visit])
            if (one[0], other[0]) == (chosen_n[0][visit], chosen_n[1][visit]) and record.meets(visit, one, other)
        ]
        for visit in visits
    ]
    criteria = sorted(
        sum(split_criterion(tuple(pair[arm] for pair in table), months) for arm in range(2))
        for table in itertools.product(*options)
    )
    assert found.solutions.admissible_splits == len(criteria)
    assert found.split_criterion == pytest.approx(criteria[0], abs=1e-12)
    tables = [tuple(zip(table["assessed"], table["complete"], table["partial"], strict=True)) for table in counts]
    assert sum(split_criterion(table, months) for table in tables) == pytest.approx(criteria[0], abs=1e-12)
    assert all(record.meets(visit, tables[0][visit], tables[1][visit]) for visit in visits)
    if len(criteria) == 1:
        assert found.next_split_criterion is None
    else:
        assert found.next_split_criterion == pytest.approx(criteria[1], abs=1e-12)
    if record.p_values:
        best = found.solutions.splits.drop_duplicates("rank")["criterion"].tolist()
        assert best == pytest.approx(criteria[:10], abs=1e-12)
