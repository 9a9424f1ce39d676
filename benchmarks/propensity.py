"""Compare the propensity chain with lifelines' and R's in one run, on the same data, taking turns.

    python benchmarks/propensity.py [--sizes 179 100000] [--turns 5]

The chain: a logistic score of six covariates, ATE weights, a weighted Cox model of the treatment and its robust error.
Timed are CPU seconds of one thread: at the kernel (arrays in), through ``fit_propensity``, ``.weights()`` and
``fit_cox(..., robust=True).tidy()``, lifelines' chain (statsmodels' Logit, CoxPHFitter with weights and
``robust=True``, its summary) and R's (``glm``, ``coxph(weights=, robust = TRUE)``) in a waiting process. At each turn
everyone runs once (small sizes: several times, divided); printed are medians and the ratios of the medians. Then a
bootstrap at n = 179 that fits the score again each time, 500 times, against R and (20 times, multiplied) lifelines.
"""

import argparse
import os
import statistics
import subprocess
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
from analyses.kernels.cox_residuals import robust_variance  # noqa: E402
from analyses.kernels.logistic import fit_logistic  # noqa: E402
from analyses.kernels.logistic_batch import fit_logistic_batch  # noqa: E402
from analyses.propensity import fit_propensity  # noqa: E402
from analyses.survival import fit_cox  # noqa: E402

COVARIATES = ["a", "b", "c", "d", "e", "f"]
FORMULA = " + ".join(COVARIATES)
REFITS = 500
COMPILED_UP_TO = 10_000
R_PROGRAM = """
suppressPackageStartupMessages(library(survival))
chain <- function(d, robust = TRUE) {
  e <- fitted(glm(z ~ a + b + c + d + e + f, binomial, d))
  d$w <- ifelse(d$z == 1, 1 / e, 1 / (1 - e))
  fit <- coxph(Surv(years, event) ~ z, d, weights = w, robust = robust)
  if (robust) sqrt(fit$var) else coef(fit)
}
cpu <- function(expression, times) {
  began <- proc.time()
  for (k in seq_len(times)) value <- expression()
  spent <- proc.time() - began
  cat(sprintf("%.9f %.15g\\n", (spent[1] + spent[2]) / times, value[1]))
}
inputs <- file("stdin", "r")
repeat {
  line <- readLines(inputs, 1)
  if (!length(line)) break
  word <- strsplit(line, " ")[[1]]
  if (word[1] == "read") {
    data <- read.csv(word[2]); cat("ready\\n")
  } else if (word[1] == "chain") cpu(function() chain(data), as.integer(word[2]))
  else cpu(function() sapply(1:500, function(k) suppressWarnings(
    chain(data[sample.int(nrow(data), replace = TRUE), ], FALSE))), 1)
}
"""


def cohort(patients: int) -> pd.DataFrame:
    """Simulate one cohort."""
    rng = np.random.default_rng(patients)
    frame = pd.DataFrame(rng.normal(size=(patients, 6)), columns=COVARIATES)
    frame["b"] = (frame["b"] > 0.5).astype(float)
    treated = rng.random(patients) < 1 / (1 + np.exp(-0.5 * frame["a"] - 0.5 * frame["b"]))
    failure = rng.exponential(4 * np.exp(-0.3 * frame["a"] - 0.3 * treated))
    censoring = rng.uniform(0, 5, patients)
    return frame.assign(
        z=treated.astype(float),
        years=np.ceil(365 * np.minimum(failure, censoring)) / 365,
        event=(failure <= censoring).astype(int),
    )


class Waiting:
    """A waiting R process."""

    def __init__(self, folder: Path) -> None:
        script = folder / "chain.R"
        script.write_text(R_PROGRAM)
        self.process = subprocess.Popen(
            ["Rscript", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


def kernel_chain(design, treated, years, events):
    """Return the robust error of the weighted log hazard ratio, from arrays."""
    if len(treated) < COMPILED_UP_TO:
        score = fit_logistic_batch(design, treated, np.ones((1, len(treated)))).probability(design)[0]
    else:
        score = fit_logistic(design, treated).probability
    weights = 1 / np.where(treated == 1, score, 1 - score)
    if len(treated) < COMPILED_UP_TO:
        fit = fit_replicates(treated[:, None], years, events, weights=weights[None, :], robust=True)
        return np.sqrt(fit.robust_variance[0, 0, 0])
    problem = cox_problem(treated[:, None], years, events, weights=weights)
    solution = maximise(problem)
    return np.sqrt(robust_variance(problem, solution.coefficients, solution.variance, None)[0, 0])


def public_chain(data: pd.DataFrame) -> float:
    """Return the same through the public functions."""
    fit = fit_propensity(data, FORMULA, treatment_col="z", treated=1.0)
    weighted = data.assign(weight=fit.weights())
    cox = fit_cox(weighted, "z", duration_col="years", event_col="event", weights_col="weight", robust=True)
    return cox.tidy().frame["std_error"].item()


def lifelines_chain(data: pd.DataFrame, *, robust: bool = True) -> float:
    """Return the same by statsmodels and lifelines."""
    import statsmodels.api as sm
    from lifelines import CoxPHFitter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = sm.Logit(data["z"], sm.add_constant(data[COVARIATES])).fit(disp=0).predict()
        frame = data[["years", "event", "z"]].assign(w=np.where(data["z"] == 1, 1 / score, 1 / (1 - score)))
        fit = CoxPHFitter().fit(frame, "years", "event", weights_col="w", robust=robust)
        return fit.summary["se(coef)"].item() if robust else fit.params_.item()


def batched_bootstrap(design, treated, years, events, counts):
    """Return the standard deviation of the refitted weighted log hazard ratios."""
    first = fit_logistic(design, treated).coefficients
    score = fit_logistic_batch(design, treated, counts, start=first).probability(design)
    weights = counts / np.where(treated == 1, score, 1 - score)
    return fit_replicates(treated[:, None], years, events, weights=weights).coefficients[:, 0].std()


def seconds(call, repeats: int) -> float:
    """Return mean CPU seconds of a call."""
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def report(title: str, spent: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in spent.items()}
    print(f"{title:22s} " + "  ".join(f"{name} {1000 * value:.2f} ms" for name, value in medians.items()))
    for own in ("kernel", "public"):
        if own in medians:
            print(
                f"{'':22s} {own}: "
                + ", ".join(f"{medians[other] / medians[own]:.1f} times {other}" for other in ("lifelines", "R")),
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[179, 100_000])
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        r = Waiting(Path(place))
        for patients in arguments.sizes:
            data, small = cohort(patients), patients < 10_000
            path = Path(place) / "cohort.csv"
            data.to_csv(path, index=False)
            r.ask(f"read {path}")
            design = np.column_stack([np.ones(patients), data[COVARIATES].to_numpy()])
            arrays = (design, data["z"].to_numpy(), data["years"].to_numpy(), data["event"].to_numpy() == 1)
            calls = {
                "kernel": (lambda: kernel_chain(*arrays), 200 if small else 3),  # noqa: B023
                "public": (lambda: public_chain(data), 50 if small else 3),  # noqa: B023
                "lifelines": (lambda: lifelines_chain(data), 5 if small else 1),  # noqa: B023
            }
            ours = [call() for call, _ in calls.values()]
            theirs = float(r.ask("chain 1").split()[1])
            np.testing.assert_allclose(ours, theirs, rtol=1e-3)
            spent: dict[str, list[float]] = {name: [] for name in [*calls, "R"]}
            for _ in range(arguments.turns if small else min(arguments.turns, 3)):
                for name, (call, repeats) in calls.items():
                    spent[name].append(seconds(call, repeats))
                spent["R"].append(float(r.ask(f"chain {20 if small else 1}").split()[0]))
            report(f"chain, n = {patients}", spent)
            if small:
                counts = np.random.default_rng(1).multinomial(patients, np.full(patients, 1 / patients), REFITS)
                counts = counts.astype(np.float64)
                draws = [data.iloc[np.repeat(np.arange(patients), row)] for row in counts[:20].astype(int)]
                batched_bootstrap(*arrays, counts)
                spent = {"kernel": [], "score alone": [], "lifelines": [], "R": []}
                for _ in range(min(arguments.turns, 3)):
                    spent["kernel"].append(seconds(lambda: batched_bootstrap(*arrays, counts), 3))  # noqa: B023
                    spent["score alone"].append(
                        seconds(lambda: fit_logistic_batch(arrays[0], arrays[1], counts), 3)  # noqa: B023
                    )
                    few = seconds(lambda: [lifelines_chain(draw, robust=False) for draw in draws], 1)  # noqa: B023
                    spent["lifelines"].append(few * REFITS / len(draws))
                    spent["R"].append(float(r.ask("bootstrap").split()[0]))
                report(f"{REFITS} refits, n = {patients}", spent)
        r.process.stdin.close()
        r.process.wait()


if __name__ == "__main__":
    main()
