"""Print the tables of docs/simulation.md from the performance of a recorded run.

python benchmarks/simulation_document.py DIR/performance.parquet
"""

import sys
from pathlib import Path

import pandas as pd

from analyses.simulation import METHODS
from analyses.simulation.performance import setting_columns
from cohort.results import ResultTable

SHOWN = (("risk_difference", 100.0, 1), ("restricted_mean_difference", 365.25, 0), ("log_hazard_ratio", 1.0, 2))
STRENGTHS = (0.0, 1.0, 2.0)


def table_of(frame: pd.DataFrame, term: str, scale: float, digits: int) -> list[str]:
    """Return the Markdown table of one estimand: bias, coverage and type-I error of each method at three strengths."""
    rows = frame[frame["term"] == term]
    values = rows.set_index(["statistic", "world", "patients", "strength", "group"])["estimate"]
    names = [method.name for method in METHODS if method.target == term and method.name in set(rows["group"])]
    heads = [f"strength {strength:g}: bias | coverage | type-I error" for strength in STRENGTHS]
    lines = [f"| patients | method | {' | '.join(heads)} |", "|---|---|" + "---|" * (3 * len(STRENGTHS))]
    for size in sorted(rows["patients"].unique()):
        for name in names:
            if ("bias", "effect", size, STRENGTHS[0], name) not in values.index:
                continue
            cells = []
            for strength in STRENGTHS:
                bias = scale * values["bias", "effect", size, strength, name]
                coverage, size_of_test = (
                    100 * values[statistic, world, size, strength, name]
                    for statistic, world in (("coverage", "effect"), ("rejection", "null"))
                )
                cells += [f"{bias:+.{digits}f}", f"{coverage:.0f}", f"{size_of_test:.0f}"]
            lines.append(f"| {size:,.0f} | {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    found = setting_columns(ResultTable.read(Path(sys.argv[1])))
    for estimand in SHOWN:
        print("\n".join(table_of(found, *estimand)), end="\n\n")
