"""Draw the README's figure from the results of `lncohort reproduce`: python docs/figures/make.py RESULTS."""

import sys
from pathlib import Path

from analyses.figures import figure_svg, plot_response_states
from cohort.results import ResultTable

ARMS = {"tacrolimus": "Tacrolimus", "no_tacrolimus": "No tacrolimus"}

table = ResultTable.read(Path(sys.argv[1]) / "response_states.parquet")
first, *_ = plot_response_states(table, arms=ARMS)
svg = figure_svg(first, name="response-states", description="Renal response of all enrolled patients at each visit")
Path(__file__).with_name("response_states.svg").write_text(svg, encoding="utf-8", newline="\n")
