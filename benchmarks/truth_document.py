"""Write the tables of docs/truth.md anew from the carried true effects: python benchmarks/truth_document.py."""

from pathlib import Path

import pandas as pd

from cohort.targets import load_study
from synthetic.design import design_of
from synthetic.estimands import response_bias
from synthetic.reconstruct import reconstruct
from synthetic.scenario import available_scenarios, load_scenario
from synthetic.setting import settle
from synthetic.true_effects import true_effects

DOCUMENT = Path(__file__).parents[1] / "docs" / "truth.md"
BEGIN, END = "<!-- tables: benchmarks/truth_document.py -->", "<!-- end of tables -->"


def response_rows(scenario: str, effects: pd.DataFrame) -> list[str]:
    """Return, for each measure, effect on everybody, crude difference and bias at each visit in percentage points."""
    bias, rows = response_bias(effects), []
    for measure in bias["measure"].unique():
        cells = bias[(bias["measure"] == measure) & (bias["population"] == "ATE")]
        for name, column in (("true effect", "effect"), ("expected crude difference", "crude"), ("bias", "bias")):
            values = " | ".join(f"{100 * value:+.1f}" for value in cells[column])
            rows.append(f"| {scenario} | {measure.replace('_', ' ')} | {name} | {values} |")
    return rows


def event_rows(scenario: str, effects: pd.DataFrame) -> list[str]:
    """Return hazard ratios, differences of restricted means in days, and incidence of flare in percentage points."""
    rows = []
    for population in ("ATE", "ATT", "ATO"):
        last = effects[(effects["population"] == population) & (effects["month"] == effects["month"].max())]
        cell = last.set_index(["measure", "estimand"])["value"]
        rows.append(
            f"| {scenario} | {population} "
            f"| {cell['flare_free_survival', 'hazard_ratio']:.3f} "
            f"| {365.25 * cell['flare_free_survival', 'restricted_mean_difference']:+.1f} "
            f"| {cell['poor_outcome', 'hazard_ratio']:.2f} "
            f"| {365.25 * cell['poor_outcome', 'restricted_mean_difference']:+.1f} "
            f"| {100 * cell['renal_flare', 'cumulative_incidence']:.1f} "
            f"| {100 * cell['renal_flare', 'cumulative_incidence_difference']:+.1f} |"
        )
    return rows


def tables() -> str:
    """Return the tables as Markdown."""
    study = load_study("kim2025")
    design = design_of(study, reconstruct(study))
    effects = {name: true_effects(settle(design, load_scenario(name))) for name in available_scenarios()}
    months = " | ".join(f"month {month}" for month in design.months)
    lines = [
        "Response, percentage points, everybody (ATE):",
        "",
        f"| scenario | measure | | {months} |",
        "|---|---|---|" + "---|" * len(design.months),
        *(row for name, table in effects.items() for row in response_rows(name, table)),
        "",
        "Events up to the last visit; differences of restricted means in days, incidence in per cent:",
        "",
        "| scenario | population | event-free: hazard ratio | restricted mean | poor outcome: hazard ratio "
        "| restricted mean | flare on tacrolimus | difference |",
        "|---|---|---|---|---|---|---|---|",
        *(row for name, table in effects.items() for row in event_rows(name, table)),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}", encoding="utf-8", newline="\n")
