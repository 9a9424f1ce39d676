"""Compare Fine-Gray models and Gray's test with R's survival and cmprsk, in alternating turns of one run.

    OMP_NUM_THREADS=1 python benchmarks/competing.py [--turns 3] [--alone 100000 1000000]

Needs Rscript with survival and cmprsk. Simulated cohorts of 179 and 10,000: five covariates, follow-up in whole days
up to five years, the cause, a competing cause and censoring. Each turn times R, then ours, on the same file; R's clock
runs inside R and ours inside Python, after reading and one warm-up, in CPU seconds of one thread. What is timed:

- ``finegray``: ``finegray() + coxph(cluster = id)`` against ``fit_fine_gray(...).tidy()``;
- ``crr``: ``crr()`` against ``fit_fine_gray(..., variant="crr").tidy()``;
- ``gray``: ``cuminc()`` with two groups (which also estimates the curves) against ``gray_test()`` of both causes and
  ``cumulative_incidence()`` of both groups, their frames read, or unread: tables are laid out at the first reading.

Printed: medians of each in milliseconds, ours also at the kernel (arrays in, estimates and variance out), and the
median ratio of a turn. Then ours alone at the larger sizes. Only ratios travel between machines.
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

from analyses.kernels import fine_gray as kernel
from analyses.kernels import gray as gray_kernel
from analyses.kernels.fine_gray_likelihood import fine_gray_problem, risk_averages
from analyses.survival import cumulative_incidence, fit_fine_gray, gray_test
from cohort.results import ResultTable

TERMS = ["a", "b", "c", "d", "e"]
COLUMNS = {"duration_col": "days", "event_col": "cause"}
R_SCRIPT = """
suppressPackageStartupMessages({library(survival); library(cmprsk)})
arguments <- commandArgs(TRUE)
data <- read.csv(arguments[1]); data$id <- seq_len(nrow(data)); data$end <- factor(data$cause, 0:2)
covariates <- as.matrix(data[c("a", "b", "c", "d", "e")])
small <- nrow(data) < 1000
cpu <- function(f) {
  times <- sapply(seq_len(if (small) 20 else 1), function(k) { t <- proc.time(); f(); sum((proc.time() - t)[1:2]) })
  if (small) mean(times) else times
}
survival_finegray <- function() {
  long <- finegray(Surv(days, end) ~ ., data, etype = "1")
  coxph(Surv(fgstart, fgstop, fgstatus) ~ a + b + c + d + e, long, weights = fgwt, cluster = id)
}
if (small) survival_finegray()
cat(sprintf('{"finegray": %.6f, "crr": %.6f, "gray": %.6f}', cpu(survival_finegray),
            cpu(function() crr(data$days, data$cause, covariates)),
            cpu(function() cuminc(data$days, data$cause, data$a))))
"""


def cohort(patients: int) -> pd.DataFrame:
    """Simulate one cohort."""
    rng = np.random.default_rng(patients)
    x = rng.normal(size=(patients, 5))
    x[:, 0] = rng.integers(0, 2, patients)
    failure = rng.exponential(1000 * np.exp(-0.3 * x[:, 0] - 0.2 * x[:, 1]))
    censoring = rng.uniform(0, 1825, patients)
    cause = np.where(failure <= censoring, 1 + (rng.uniform(size=patients) < 0.4), 0)
    days = np.ceil(np.minimum(failure, censoring))
    return pd.DataFrame(x, columns=TERMS).assign(days=days, cause=cause)


def ours(data: pd.DataFrame) -> dict[str, object]:
    """Return the calls to time, by name."""
    formula, matrix = " + ".join(TERMS), data[TERMS].to_numpy()
    days, cause = data["days"].to_numpy(), data["cause"].to_numpy()
    ones, zeros = np.ones(len(data)), np.zeros(len(data), dtype=np.intp)
    arms = data["a"].to_numpy().astype(np.intp)

    def at_the_kernel(variant: str) -> None:
        problem = fine_gray_problem(
            matrix,
            days,
            cause == 1,
            cause == 2,
            weights=ones,
            entries=None,
            strata=zeros,
            censoring_groups=zeros,
            ties="efron" if variant == "finegray" else "breslow",
            failures_leave_first=variant == "finegray",
        )
        solution = kernel.maximise(problem)
        averages = risk_averages(problem, solution.coefficients)
        if variant == "finegray":
            kernel.robust_variance(problem, averages, solution.variance, None)
        else:
            kernel.censoring_aware_variance(
                problem,
                averages,
                solution.variance,
                None,
                durations=days,
                censored=cause == 0,
                censoring_groups=zeros,
                all_events=False,
            )

    def gray() -> list[ResultTable]:
        tests = [gray_test(data, **COLUMNS, by="a", cause=code) for code in (1, 2)]
        return [*tests, cumulative_incidence(data, **COLUMNS, by="a")]

    return {
        "finegray": lambda: fit_fine_gray(data, formula, **COLUMNS).tidy().frame,
        "crr": lambda: fit_fine_gray(data, formula, **COLUMNS, variant="crr").tidy().frame,
        "gray": lambda: [table.frame for table in gray()],
        "gray unread": gray,
        "finegray kernel": lambda: at_the_kernel("finegray"),
        "crr kernel": lambda: at_the_kernel("crr"),
        "gray kernel": lambda: [
            gray_kernel.gray_test(days, np.where(cause == 0, 0, 1 + (cause != code)), arms, n_groups=2, strata=zeros)
            for code in (1, 2)
        ],
    }


def seconds(call, repeats: int) -> float:
    """Return mean CPU seconds of a call."""
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def one_turn(folder: Path, data: pd.DataFrame) -> tuple[dict[str, float], dict[str, float]]:
    """Time R, then ours."""
    path, script = folder / "cohort.csv", folder / "time.R"
    data.to_csv(path, index=False)
    script.write_text(R_SCRIPT)
    answer = subprocess.run(["Rscript", str(script), str(path)], capture_output=True, text=True, check=True).stdout
    theirs = json.loads(answer[answer.index("{") :])
    return theirs, {name: seconds(call, 20 if len(data) < 1000 else 3) for name, call in ours(data).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[179, 10_000])
    parser.add_argument("--alone", type=int, nargs="*", default=[100_000, 1_000_000])
    arguments = parser.parse_args()
    for call in ours(cohort(179)).values():
        call()
    print("patients  what              R ms       ours ms   ratio")
    with tempfile.TemporaryDirectory() as place:
        for patients in arguments.sizes:
            data = cohort(patients)
            turns = [one_turn(Path(place), data) for _ in range(arguments.turns)]
            for name in turns[0][1]:
                mine = [turn[1][name] for turn in turns]
                theirs = [turn[0][name.split()[0]] for turn in turns]
                ratio = statistics.median(r / m for r, m in zip(theirs, mine, strict=True))
                print(
                    f"{patients:8d}  {name:16s} {1000 * statistics.median(theirs):10.1f} "
                    f"{1000 * statistics.median(mine):9.1f} {ratio:8.1f}",
                    flush=True,
                )
    for patients in arguments.alone:
        for name, call in ours(cohort(patients)).items():
            print(f"{patients:8d}  {name:16s} {'':10s} {1000 * seconds(call, 2):9.1f}", flush=True)


if __name__ == "__main__":
    main()
