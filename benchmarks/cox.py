"""Compare the Cox model with lifelines and with R's coxph in one run, on the same data, taking turns.

    python benchmarks/cox.py [--sizes 179 10000 100000 1000000] [--turns 5]

Data: five normal covariates, day-level times with ties, about half of the rows events, Efron's handling. Timed are CPU
seconds (user and system) of one thread: the kernel (rows sorted and fitted from arrays), the public call
``fit_cox(...).tidy()`` with and without reading its frame, the same with robust standard errors, lifelines
(``CoxPHFitter().fit(frame, ...)`` and its ``summary``) and ``survival::coxph`` (also with ``robust = TRUE``, up to
100,000 rows and there twice) in a waiting R process, if there is an ``Rscript``. At each turn everyone fits once
(small sizes: several times, divided); printed are medians over the turns and the ratios of the medians. Then 500
bootstrap refits of a weighted one-covariate model at n = 179 in one call, and what loading the compiled code costs.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from analyses.kernels.cox import maximise  # noqa: E402
from analyses.kernels.cox_problem import cox_problem  # noqa: E402
from analyses.kernels.cox_replicates import fit_replicates  # noqa: E402
from analyses.survival import fit_cox  # noqa: E402

NAMES = ["age", "sex", "upcr", "egfr", "index"]
FORMULA = " + ".join(NAMES)
R_PROGRAM = """
suppressPackageStartupMessages(library(survival))
inputs <- file("stdin", "r")
repeat {
  line <- readLines(inputs, 1)
  if (!length(line)) break
  word <- strsplit(line, " ")[[1]]
  if (word[1] == "read") {
    n <- as.integer(word[2])
    d <- as.data.frame(matrix(readBin(word[3], "double", 7 * n), n))
    names(d) <- c("t", "d", "age", "sex", "upcr", "egfr", "index")
    cat("ready\\n")
  } else {
    robust <- word[2] == "robust"
    gc(FALSE)
    began <- proc.time()
    for (k in seq_len(as.integer(word[3])))
      fit <- coxph(Surv(t, d) ~ age + sex + upcr + egfr + index, d, robust = robust)
    spent <- proc.time() - began
    cat(sprintf("%.9f %.15g\\n", (spent[1] + spent[2]) / as.integer(word[3]), coef(fit)[1]))
  }
}
"""


def sample(size, seed=2025):
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(size, 5))
    failing = np.ceil(random.exponential(600, size) * np.exp(-matrix @ [0.3, -0.2, 0.1, 0.0, 0.2]))
    leaving = np.ceil(random.uniform(100, 1800, size))
    return matrix, np.minimum(failing, leaving), failing <= leaving


class R:
    """A waiting R process that fits what it has read when it is told to."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["Rscript", "-e", R_PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def read(self, matrix, times, events, folder):
        path = Path(folder) / "data.bin"
        np.column_stack([times, events, matrix]).T.astype(np.float64).tofile(path)
        self.ask(f"read {len(times)} {path}")

    def fit(self, how, repeats):
        seconds, coefficient = self.ask(f"fit {how} {repeats}").split()
        return float(seconds), float(coefficient)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(function, repeats):
    """Return CPU seconds of one call and the last result."""
    began = time.process_time()
    for _ in range(repeats):
        result = function()
    return (time.process_time() - began) / repeats, result


def one_size(size, turns, r, folder):
    from lifelines import CoxPHFitter

    matrix, times, events = sample(size)
    frame = pd.DataFrame(matrix, columns=NAMES).assign(t=times, d=events.astype(int))
    columns = {"duration_col": "t", "event_col": "d"}

    def kernel():
        if size < 1000:  # the replicate kernel, of one replicate
            return fit_replicates(matrix, times, events).coefficients[0, 0]
        return maximise(cox_problem(matrix, times, events)).coefficients[0]

    def lifelines():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CoxPHFitter().fit(frame, "t", "d").summary["coef"].iloc[0]

    ours = {
        "kernel": kernel,
        "tidy": lambda: fit_cox(frame, FORMULA, **columns).tidy(),
        "tidy, frame read": lambda: fit_cox(frame, FORMULA, **columns).tidy().frame["estimate"].iloc[0],
        "robust": lambda: fit_cox(frame, FORMULA, **columns, robust=True).tidy(),
    }
    if r is not None:
        r.read(matrix, times, events, folder)
    many = 20 if size < 1000 else 3 if size < 50_000 else 1
    spent, found = {}, {}
    for turn in range(turns + 1):  # the first warms up
        for name, function in ours.items():
            seconds, result = timed(function, many)
            found[name] = result
            spent.setdefault(name, []).append(seconds)
        seconds, found["lifelines"] = timed(lifelines, max(1, many // 10))
        spent.setdefault("lifelines", []).append(seconds)
        for how in ("plain", "robust") if r is not None else ():
            if how == "robust" and (size > 100_000 or (size > 50_000 and turn not in (1, 2))):
                continue  # its time grows with the square of the number of rows
            seconds, found[f"R {how}"] = r.fit(how, max(1, many // 2))
            spent.setdefault(f"R {how}", []).append(seconds)
        if turn == 0:
            spent = {name: [] for name in spent}
    return {name: statistics.median(values) for name, values in spent.items()}, found


def report(size, medians, found):
    print(f"\nn = {size}")
    for name, seconds in medians.items():
        print(f"  {name:18s} {seconds * 1e3:12.3f} ms")
    for name in ("kernel", "tidy", "tidy, frame read"):
        line = f"  {name}: {medians['lifelines'] / medians[name]:.0f} x lifelines"
        if "R plain" in medians:
            line += f", {medians['R plain'] / medians[name]:.1f} x R"
        print(line)
    if "R robust" in medians:
        print(f"  robust: {medians['R robust'] / medians['robust']:.0f} x R")
        gap = abs(found["kernel"] / found["R plain"] - 1)
        print(f"  first coefficient against R's default stop rule: relative {gap:.1e}")


def bootstrap(turns):
    matrix, times, events = sample(179)
    random = np.random.default_rng(1)
    copies = random.multinomial(179, np.full(179, 1 / 179), 500)
    weights = random.uniform(0.5, 2.0, (500, 179))
    one = np.ascontiguousarray(matrix[:, :1])
    fit_replicates(one, times, events, copies=copies, weights=weights)
    spent = [
        timed(lambda: fit_replicates(one, times, events, copies=copies, weights=weights), 1)[0] for _ in range(turns)
    ]
    print(f"\n500 weighted bootstrap refits, one covariate, n = 179: {statistics.median(spent) * 1e3:.1f} ms")


LOADING = """
import time, numpy as np
from analyses.kernels.cox_replicates import fit_replicates
began = time.process_time()
import numba
imported = time.process_time()
fit_replicates(np.arange(8.0)[:, None] % 3, np.arange(8.0), np.arange(8) > 1)
print(imported - began, time.process_time() - imported)
"""


def loading():
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "NUMBA_CACHE_DIR": place}
        for when in ("first call on a machine", "first call of a later process"):
            done = subprocess.run([sys.executable, "-c", LOADING], env=environment, capture_output=True, text=True)
            imported, called = map(float, done.stdout.split())
            print(f"{when}: importing numba {imported:.2f} s, the replicate kernel {called:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[179, 10_000, 100_000, 1_000_000])
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    r = R() if shutil.which("Rscript") else None
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            report(size, *one_size(size, arguments.turns, r, folder))
    bootstrap(arguments.turns)
    loading()
    if r is not None:
        r.close()


if __name__ == "__main__":
    main()
