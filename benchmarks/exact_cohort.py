"""Time the generation of the exact cohort in process: reconstruction, drawing, tables; median of 20 seeds."""

import statistics
import time

from cohort.targets import load_study
from synthetic.generate import generate_exact
from synthetic.reconstruct import reconstruct

study = load_study("kim2025")
generate_exact(study, seed=0)


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


whole = [seconds(lambda seed=seed: generate_exact(study, seed=seed)) for seed in (2025, *range(1, 20))]
rebuilt = [seconds(lambda: reconstruct(study)) for _ in range(20)]
print(f"exact cohort, seed 2025       {whole[0] * 1000:7.1f} ms")
print(f"exact cohort, median of 20    {statistics.median(whole) * 1000:7.1f} ms")
print(f"  of which reconstruction     {statistics.median(rebuilt) * 1000:7.1f} ms")
