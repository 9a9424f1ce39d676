"""Time of GEE fits against statsmodels and, where R is installed, geepack, in one run.

Run ``python benchmarks/gee.py [subjects] [visits]``. Every contender fits the same logistic model (four covariates and
an intercept) to the same rows in alternating turns, on one thread; medians. ``kernel`` takes arrays, ``fit_gee`` a
frame, formula and text ids, up to the tidy table. Times are CPU times of the process, geepack's by R's own clock around
the fit alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # read when numpy is first imported
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from analyses.kernels.gee import gee_problem, solve_gee  # noqa: E402
from analyses.kernels.gee_variance import gee_variance  # noqa: E402
from analyses.longitudinal import fit_gee  # noqa: E402

STRUCTURES = ("independence", "exchangeable", "ar1", "unstructured")
COVARIATES = ["treated", "age", "log_upcr", "year"]
TURNS = 3
R_SCRIPT = """
suppressPackageStartupMessages(library(geepack))
arguments <- commandArgs(TRUE)
data <- read.csv(arguments[1])
time <- system.time(geeglm(y ~ treated + age + log_upcr + year, id = id, data = data, family = binomial,
                           corstr = arguments[2], waves = visit, control = geese.control(epsilon = 1e-10)))
cat(time[["user.self"]] + time[["sys.self"]])
"""


def visits(subjects: int, seen: int) -> pd.DataFrame:
    """Draw correlated binary outcomes."""
    rng = np.random.default_rng(7)
    own = pd.DataFrame(
        {
            "treated": rng.integers(0, 2, subjects),
            "age": rng.normal(36, 11, subjects),
            "log_upcr": rng.normal(1, 0.5, subjects),
        }
    )
    data = own.loc[np.repeat(np.arange(subjects), seen)].reset_index(drop=True)
    data["id"] = np.repeat(np.arange(subjects), seen)
    data["visit"] = np.tile(np.arange(1, seen + 1), subjects)
    data["year"] = 2000 + np.repeat(rng.integers(0, 21, subjects), seen) + data["visit"] / 2
    eta = 0.4 * data["treated"] - 0.4 * data["log_upcr"] + np.repeat(rng.normal(size=subjects), seen)
    data["y"] = (rng.random(len(data)) < 1 / (1 + np.exp(-eta))).astype(int)
    return data.assign(patient_id=data["id"].map("P{:06d}".format))


def seconds(run: Callable[[], object]) -> float:
    """Time one call by the CPU, which other work on the machine disturbs least."""
    start = time.process_time()
    run()
    return time.process_time() - start


def statsmodels_fit(data: pd.DataFrame, structure: str) -> object:
    """Fit as a user of statsmodels would."""
    import statsmodels.api as sm

    kinds = {"independence": sm.cov_struct.Independence, "exchangeable": sm.cov_struct.Exchangeable}
    design = sm.add_constant(data[COVARIATES].to_numpy(dtype=float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GEE(data["y"].to_numpy(), design, groups=data["id"].to_numpy(), family=sm.families.Binomial(),
                       cov_struct=kinds[structure]())  # fmt: skip
        return model.fit()


def main(subjects: int, seen: int) -> None:
    """Print milliseconds and how many times as long the others take."""
    data = visits(subjects, seen)
    design = np.column_stack([np.ones(len(data)), data[COVARIATES].to_numpy(dtype=float)])
    outcome, cluster = data["y"].to_numpy(dtype=float), data["id"].to_numpy()
    position = data["visit"].to_numpy() - 1

    def kernel(structure: str) -> None:
        problem = gee_problem(design, outcome, cluster, family="binomial", correlation=structure, position=position)  # type: ignore[arg-type]
        gee_variance(problem, solve_gee(problem), "robust")

    def public(structure: str, variance: str = "robust") -> None:
        fit_gee(
            data, "y ~ treated + age + log_upcr + year", subject_col="patient_id", time_col="visit",
            correlation=structure, variance=variance,
        ).tidy()  # type: ignore[arg-type]  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder) / "visits.csv", Path(folder) / "fit.R"
        data.to_csv(table, index=False)
        script.write_text(R_SCRIPT)

        def geepack(structure: str) -> float:
            done = subprocess.run(["Rscript", str(script), str(table), structure], capture_output=True, check=True)
            return float(done.stdout)

        print(f"{subjects} subjects of {seen} visits, {len(COVARIATES) + 1} coefficients, medians of {TURNS} turns")
        for structure in STRUCTURES:
            contenders: dict[str, Callable[[], float]] = {
                "kernel": lambda s=structure: seconds(lambda: kernel(s)),
                "fit_gee": lambda s=structure: seconds(lambda: public(s)),
            }
            if structure == "exchangeable":
                contenders["Mancl-DeRouen"] = lambda: seconds(lambda: public("exchangeable", "mancl_derouen"))
            if structure in ("independence", "exchangeable"):
                contenders["statsmodels"] = lambda s=structure: seconds(lambda: statsmodels_fit(data, s))
            if shutil.which("Rscript"):
                contenders["geepack"] = lambda s=structure: geepack(s)
            times: dict[str, list[float]] = {name: [] for name in contenders}
            kernel(structure)
            public(structure)
            for _ in range(TURNS):
                for name, run in contenders.items():
                    times[name].append(run())
            medians = {name: float(np.median(values)) for name, values in times.items()}
            print(structure.ljust(14), *(f"{n} {v * 1e3:.1f} ms" for n, v in medians.items()), sep="  ")
            ratios = [f"{n} {v / medians['kernel']:.0f} v kernel, {v / medians['fit_gee']:.1f} v fit_gee"
                      for n, v in medians.items() if n in ("statsmodels", "geepack")]  # fmt: skip
            print(" " * 14, *ratios, sep="  ")


if __name__ == "__main__":
    main(*(int(value) for value in (sys.argv[1:3] if len(sys.argv) > 2 else ("10000", "5"))))
