"""Draw the figure of docs/starts.md: python docs/figures/make_immortal_time.py DIR/performance.parquet.

DIR is what `lncohort simulate kim2025 --study immortal-time --replicates 200 --out DIR` wrote.
"""

import sys
from pathlib import Path

from analyses.figures import figure_svg
from analyses.figures.start_estimates import plot_start_estimates
from analyses.simulation.immortal_time import START_METHODS
from cohort.results import ResultTable

axes = plot_start_estimates(
    ResultTable.read(Path(sys.argv[1])),
    methods=[method.name for method in START_METHODS],
    naive=[method.name for method in START_METHODS if method.naive],
)
svg = figure_svg(
    axes,
    name="immortal-time",
    description="Mean estimated hazard ratio of starting a treatment that does nothing: about 0.4 to 0.55 if whoever "
    "ever starts counts as treated, near 1 in sequential trials, clones, and time-varying exposure with the "
    "latest state",
)
Path(__file__).with_name("immortal_time.svg").write_text(svg, encoding="utf-8", newline="\n")
