"""Compare Kaplan-Meier curves and log-rank tests with lifelines and R's survival, through the public functions.

    OMP_NUM_THREADS=1 python benchmarks/curves.py [--rows 1000000] [--turns 5] [--without-ties]

Each turn runs ours, lifelines and (where Rscript is found) R one after the other on the same rows: day-level times (or
times without ties), about half censored, two groups. Ours and lifelines are timed in this process, after one call each
to load what they need; R times itself in a process of its own, reading not counted. CPU seconds are printed, and the
ratios of each turn with their median: other work on the machine disturbs them less than seconds by the clock.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from analyses.survival import kaplan_meier, logrank

COLUMNS = {"duration_col": "day", "event_col": "event", "by": "arm"}
R_SCRIPT = """
library(survival)
rows <- read.csv(commandArgs(TRUE)[1])
cost <- function(task) sum(system.time(task())[1:2])
cat(cost(function() survfit(Surv(day, event) ~ arm, rows, conf.type = "log-log")), "\\n")
cat(cost(function() survdiff(Surv(day, event) ~ arm, rows)), "\\n")
"""


def sample(rows, ties=True):
    random = np.random.default_rng(2025)
    arm = random.integers(0, 2, rows)
    failure = random.exponential(2000 * np.exp(0.1 * arm))
    censoring = random.uniform(0, 4000, rows)
    day = np.minimum(failure, censoring)
    day = np.ceil(day) if ties else day
    return pd.DataFrame({"day": day, "event": (failure <= censoring).astype(int), "arm": arm})


def lifelines_curves(data):
    from lifelines import KaplanMeierFitter

    for _, rows in data.groupby("arm"):
        KaplanMeierFitter().fit(rows["day"], rows["event"])


def lifelines_test(data):
    from lifelines.statistics import multivariate_logrank_test

    return multivariate_logrank_test(data["day"], data["arm"], data["event"]).test_statistic


def cost(task, data):
    start = time.process_time()
    task(data)
    return time.process_time() - start


def r_costs(data):
    """CPU seconds of the curves and of the test in R, or None where there is no R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        rows, script = Path(folder) / "rows.csv", Path(folder) / "time.R"
        data.to_csv(rows, index=False)
        script.write_text(R_SCRIPT)
        done = subprocess.run(["Rscript", script, rows], capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--without-ties", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    small, data = sample(1000), sample(asked.rows, ties=not asked.without_ties)
    tasks = {
        "curves": (lambda d: kaplan_meier(d, **COLUMNS), lifelines_curves),
        "test": (lambda d: logrank(d, **COLUMNS), lifelines_test),
    }
    ratios = {f"{name}, {other}": [] for name in tasks for other in ("lifelines", "R")}
    for pair in tasks.values():
        for task in pair:
            task(small)
    for turn in range(asked.turns):
        theirs = r_costs(data)
        for place, (name, (ours, lifelines)) in enumerate(tasks.items()):
            own, other = cost(ours, data), cost(lifelines, data)
            ratios[f"{name}, lifelines"].append(other / own)
            line = f"turn {turn + 1}: {name} {own:.3f} s, lifelines {other:.3f} s"
            if theirs is not None:
                ratios[f"{name}, R"].append(theirs[place] / own)
                line += f", R {theirs[place]:.3f} s"
            print(line)
    for name, found in ratios.items():
        if found:
            print(f"{name} over ours: {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")


if __name__ == "__main__":
    main()
