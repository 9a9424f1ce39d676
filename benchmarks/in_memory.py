"""Time drawing in memory, by CPU seconds of one process: replicates of the 179-patient study, and patients.

    python benchmarks/in_memory.py [--turns 9]

Other work on the machine moves these numbers by a third and more, so the kinds alternate, and the ratios are those of
medians within one run. Printed: milliseconds a replicate of each mode with all tables, from which a thousand follow;
patients per second of a population with all tables, and with the tables patients and visits only, which hold the column
set of common simulators (ten covariates, six visits of five laboratory values) and more.
"""

import argparse
import statistics
import time

from cohort.seeds import SeedTree
from synthetic.coarse import CoarseNoise
from synthetic.population import BLOCK, draw_block
from synthetic.population_plan import PopulationPlan
from synthetic.replicates import ReplicateMode, ReplicatePlan, replicates_of
from synthetic.tables import patients_columns, visits_columns

STUDY, SEED, MANY = "kim2025", 2025, 1_000_000

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--turns", type=int, default=9)
turns = parser.parse_args().turns

population = PopulationPlan(STUDY, SEED, MANY).settle()
exact, varying = (
    ReplicatePlan(STUDY, SEED, MANY, mode).settle() for mode in (ReplicateMode.EXACT, ReplicateMode.POPULATION)
)


def patients_and_visits(block: int) -> None:
    """Draw a block of a population and lay out two of its tables."""
    tree = SeedTree(SEED).child("population")
    story = draw_block(population.setting, tree, block, MANY)
    patients_columns(story, population.setting.design)
    visits_columns(story, population.setting.model, tree.child("block", block), CoarseNoise)


kinds = {
    "exact replicates": exact.tables,
    "population replicates": varying.tables,
    "population, all tables": population.tables,
    "population, patients and visits": patients_and_visits,
}
seconds: dict[str, list[float]] = {name: [] for name in kinds}
for block in range(turns + 1):
    for name, draw in kinds.items():
        start = time.process_time()
        draw(block)
        taken = time.process_time() - start
        seconds[name].append(taken / len(replicates_of(block)) if "replicates" in name else taken)
median = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}
for name, taken in median.items():
    best = min(seconds[name])
    if "replicates" in name:
        print(f"{name:32} {1000 * taken:9.2f} ms each, {1000 * best:.2f} at best")
    else:
        print(f"{name:32} {BLOCK / taken:9,.0f} patients/s, {BLOCK / best:,.0f} at best")
print(f"an exact replicate costs {median['exact replicates'] / median['population replicates']:.1f} of population mode")
