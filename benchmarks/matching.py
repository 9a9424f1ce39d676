"""Compare matching with R's MatchIt, in alternating turns of one run, and time it alone on larger cohorts.

    OMP_NUM_THREADS=1 python benchmarks/matching.py [--turns 3] [--alone 100000 1000000]

Needs Rscript with MatchIt. Each turn times R, then ours, on the same file of 1,000 and of 10,000 patients, a third of
them treated; R's clock runs inside R and ours inside Python, after reading and one warm-up, in CPU seconds of one
thread. Both match on given values, in the order of patients, and return pairs and weights. Optimal and full matching
have no counterpart here (they need the R package optmatch). Only ratios travel between machines.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from analyses.propensity import match_patients

WAYS = {
    "nearest": {},
    "caliper": {"caliper": 0.2},
    "exact": {"caliper": 0.2, "exact": "kind"},
    "replacement": {"replace": True},
}
ALONE = WAYS | {"optimal": {"method": "optimal"}, "full": {"method": "full"}}
R_SCRIPT = """
suppressPackageStartupMessages(library(MatchIt))
data <- read.csv(commandArgs(TRUE)[1])
cpu <- function(...) {
  run <- function() suppressWarnings(matchit(treat ~ 1, data, distance = data$x, ...))
  run(); t <- proc.time(); run(); sum((proc.time() - t)[1:2])
}
cat(sprintf('{"nearest": %.6f, "caliper": %.6f, "exact": %.6f, "replacement": %.6f}', cpu(), cpu(caliper = 0.2),
            cpu(caliper = 0.2, exact = ~ kind), cpu(replace = TRUE)))
"""


def cohort(patients: int) -> pd.DataFrame:
    """Simulate one cohort with confounding."""
    rng = np.random.default_rng(patients)
    treat = rng.random(patients) < 1 / 3
    return pd.DataFrame(
        {
            "patient_id": [f"p{number:08d}" for number in range(patients)],
            "treat": treat.astype(int),
            "x": rng.normal(size=patients) + 0.5 * treat,
            "kind": rng.choice(["II", "III", "IV", "V"], patients),
        }
    )


def seconds(data: pd.DataFrame, options: dict[str, object]) -> float:
    """CPU seconds of one matching."""
    start = time.process_time()
    match_patients(data, treatment_col="treat", treated=1, distance="x", **options)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--alone", type=int, nargs="*", default=[100_000, 1_000_000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "matching.R"
        script.write_text(R_SCRIPT)
        for patients in (1_000, 10_000):
            data = cohort(patients)
            data.to_csv(Path(folder) / "data.csv", index=False)
            seconds(data, {})
            theirs, ours = [], []
            for _ in range(arguments.turns):
                done = subprocess.run(
                    ["Rscript", script, Path(folder) / "data.csv"], capture_output=True, text=True, check=True
                )
                theirs.append(json.loads(done.stdout))
                ours.append({way: seconds(data, options) for way, options in WAYS.items()})
            for way in WAYS:
                ratios = [their[way] / our[way] for their, our in zip(theirs, ours, strict=True)]
                medians = [statistics.median(turn[way] for turn in turns) * 1e3 for turns in (theirs, ours)]
                print(
                    f"{patients:>9} {way:<12} R {medians[0]:9.1f} ms, ours {medians[1]:7.1f} ms, "
                    f"median ratio {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
                )
    for patients in arguments.alone:
        data = cohort(patients)
        for way, options in ALONE.items():
            print(f"{patients:>9} {way:<12} alone {seconds(data, options):.2f} s")


if __name__ == "__main__":
    main()
