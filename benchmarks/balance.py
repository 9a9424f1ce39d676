"""How long balance takes as cohorts grow: ours alone, CPU seconds of one thread.

    python benchmarks/balance.py [--sizes 120000 1000000]

Ten measurements and four categorical covariates of five levels, before and after weighting: means, standardised
differences, variance ratios, Kolmogorov-Smirnov distances and overlapping coefficients.
"""

import argparse
import os
import resource
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from analyses.propensity import covariate_balance  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[120_000, 1_000_000])
    for patients in parser.parse_args().sizes:
        rng = np.random.default_rng(1)
        data = pd.DataFrame(rng.normal(size=(patients, 10)), columns=[f"x{k}" for k in range(10)])
        for k in range(4):
            data[f"c{k}"] = rng.choice(list("abcde"), patients)
        arm, weights = np.where(rng.random(patients) < 0.4, "t", "r"), rng.uniform(0.5, 3, patients)
        variables = list(data.columns)
        start = time.process_time()
        smd = covariate_balance(data.assign(arm=arm), variables, treatment_col="arm", treated="t", weights=weights,
                                measures=["smd", "variance_ratio"])  # fmt: skip
        middle = time.process_time()
        table = covariate_balance(data.assign(arm=arm), variables, treatment_col="arm", treated="t", weights=weights)
        end = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{patients:9,d} patients: {middle - start:.2f} s for {len(smd)} SMD and variance ratios, "
            f"{end - middle:.2f} s for all {len(table)} rows, peak {peak:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
