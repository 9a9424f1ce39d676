"""Compare writing a population with its floor: the same tables and files, filled without any model.

    python benchmarks/floor.py [--patients 1000000] [--turns 5]

The floor takes one block of real patients and fills every column of every table by independent draws, with
replacement, from the values of that column: same columns, marginal distributions, rows per patient, encodings,
compression and manifest, but no model. What is drawn with numpy's fastest generator costs about a nanosecond a cell,
so the floor is little else than laying out and encoding. Each turn runs ours and the floor one after the other, each
in a fresh process, timed inside it without start-up. Only the ratio of a turn travels between machines.

Printed: patients per second, CPU seconds, peak memory and bytes written of each run, and the ratios of each turn with
their median: by wall-clock seconds and by CPU seconds, which other work on the machine disturbs less.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cohort.columns import Coded, Identifiers, Nullable, arrow_table
from cohort.store import write_manifest
from synthetic.population import BLOCK
from synthetic.population_plan import PopulationPlan
from synthetic.story import patient_ids
from synthetic.stream import parts_of, write_population, write_tables

STUDY, SEED, POOL = "kim2025", 2025, 1 << 15


def write_floor(plan: PopulationPlan, folder: Path) -> None:
    """Write as many patients of independent draws, in the parts that ``plan`` has."""
    work = plan.settle()
    setting, pools = work.setting, work.columns(0)
    random = np.random.Generator(np.random.SFC64(plan.seed))
    folder.mkdir()
    for part in range(parts_of(plan)):
        numbers = range(part * plan.blocks_per_part, min((part + 1) * plan.blocks_per_part, plan.blocks))
        tables = []
        for block in numbers:
            ids = patient_ids(setting.design, block * BLOCK + 1, BLOCK, plan.patients)
            tables.append(
                {table.name: arrow_table(independent(pools[table.name], ids, random), table) for table in work.declared}
            )
        write_tables(tables, work.declared, folder, part)
    write_manifest(folder, study=plan.study, seed=plan.seed, mode="population", notes={})


def independent(columns, ids, random):
    """Fill the columns of a block anew, each by draws of its own."""
    per_patient = np.bincount(columns["patient_id"].position, minlength=BLOCK)
    per_patient = per_patient[random.integers(0, BLOCK, BLOCK)]
    rows = int(per_patient.sum())

    def drawn(values):
        if isinstance(values, Identifiers):
            return Identifiers(np.repeat(np.arange(BLOCK), per_patient), ids)
        size = len(
            values.position if isinstance(values, Coded) else values.values if isinstance(values, Nullable) else values
        )
        pick = random.integers(0, min(size, POOL), rows, dtype=np.uint16)
        if isinstance(values, Coded):
            return Coded(values.position[pick], values.names)
        if isinstance(values, Nullable):
            return Nullable(values.values[pick], values.missing[pick])
        return values[pick]

    return {name: drawn(values) for name, values in columns.items()}


def one_run(which: str, patients: int) -> None:
    """Write once, in this process; print seconds, megabytes at peak and megabytes written as JSON."""
    plan = PopulationPlan(STUDY, SEED, patients)
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "out"
        write_population(PopulationPlan(STUDY, SEED, 10), Path(place) / "warm")
        start, busy = time.perf_counter(), time.process_time()
        write_population(plan, target) if which == "ours" else write_floor(plan, target)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": busy, "peak": peak, "written": size / 1e6}))


def measured(which: str, patients: int) -> dict[str, float]:
    """Run :func:`one_run` in a fresh process."""
    command = [sys.executable, __file__, "--patients", str(patients), "--run", which]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(
        f"  {which:5}  {patients / found['seconds']:10,.0f} patients/s  {found['cpu']:6.1f} s CPU  "
        f"{found['peak']:6.0f} MB at peak  {found['written']:7.1f} MB written",
        flush=True,
    )
    return found


def main() -> None:
    """Alternate ours and the floor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--run", choices=["ours", "floor"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        one_run(given.run, given.patients)
        return
    ratios = {"seconds": [], "cpu": []}
    for turn in range(given.turns):
        order = ("ours", "floor") if turn % 2 == 0 else ("floor", "ours")
        found = {which: measured(which, given.patients) for which in order}
        for clock, ratio in ratios.items():
            ratio.append(found["floor"][clock] / found["ours"][clock])
        print(
            f"turn {turn + 1}: " + ", ".join(f"{ratio[-1]:.2f} by {clock}" for clock, ratio in ratios.items()),
            flush=True,
        )
    print(
        "median share of the floor's speed: "
        + ", ".join(f"{statistics.median(ratio):.2f} by {clock}" for clock, ratio in ratios.items())
    )


if __name__ == "__main__":
    main()
