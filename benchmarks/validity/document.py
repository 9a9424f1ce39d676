"""The gates, and docs/validity.md as written from the record."""

from __future__ import annotations

from pathlib import Path

from scipy.stats import binom
from validity.cohorts import DESIGNS
from validity.entries import ENTRIES
from validity.entry import Entry, Gate
from validity.record import SIZES, Counts, read_record

DOCUMENT = Path(__file__).parents[2] / "docs" / "validity.md"
BEGIN, END = "<!-- tables: benchmarks/validity_document.py -->", "<!-- end of tables -->"
FAMILY_WISE = 1e-4
"""Probability that any gate closes on methods that all have exactly their nominal size and coverage."""
NOMINAL = {"size": 0.05, "coverage": 0.95}
STRIKING = 3.0
"""Monte Carlo standard errors from the nominal value at which a number gets a star."""


def gates() -> int:
    """Return the number of gated numbers: measures with a gate, at each size."""
    return len(SIZES) * sum(bool(measure.gate) for entry in ENTRIES for measure in entry.measures.values())


def bounds(gate: Gate, nominal: float, replicates: int) -> tuple[int, int]:
    """Return the smallest and largest count that pass, by exact binomial tails at ``FAMILY_WISE`` over all gates."""
    share = FAMILY_WISE / gates()
    if gate == "upper":
        return 0, int(binom.isf(share, replicates, nominal))
    return int(binom.ppf(share / 2, replicates, nominal)), int(binom.isf(share / 2, replicates, nominal))


def passes(counts: Counts) -> bool:
    """Return whether a gated count is within its bounds; what is not gated passes."""
    if not counts.of.gate:
        return True
    low, high = bounds(counts.of.gate, NOMINAL[counts.of.kind], counts.replicates)
    return low <= sum(counts.hits) <= high


def cell(counts: Counts) -> str:
    """Return a percentage with its Monte Carlo standard error, starred when far from the nominal value."""
    nominal = NOMINAL[counts.of.kind]
    far = abs(counts.share - nominal) > STRIKING * (nominal * (1 - nominal) / counts.replicates) ** 0.5
    error = (counts.share * (1 - counts.share) / counts.replicates) ** 0.5
    lacking = f" ({counts.undefined} of {counts.replicates:,} without)" if counts.undefined else ""
    return f"{100 * counts.share:.1f} ± {100 * error:.1f}{' *' if far else ''}{lacking}"


def entry_lines(entry: Entry, found: dict[tuple[str, str, int], Counts]) -> list[str]:
    """Return the table of one entry."""
    lines = [
        f"### {entry.name[0].upper()}{entry.name[1:]}",
        "",
        f"Cohorts: `{entry.design}`, {entry.replicates:,} of each size.",
        "",
        "| | asked | " + " | ".join(f"n = {size:,}" for size in SIZES) + " | gate | |",
        "|---|---|" + "---|" * len(SIZES) + "---|---|",
    ]
    words = {"both": "both sides", "upper": "upper bound", "": ""}
    for name, measure in entry.measures.items():
        cells = " | ".join(cell(found[entry.name, name, size]) for size in SIZES)
        asked = f"{measure.kind} {100 * NOMINAL[measure.kind]:.0f}"
        lines.append(f"| {name} | {asked} | {cells} | {words[measure.gate]} | {measure.remark} |")
    return [*lines, ""]


def tables() -> str:
    """Return the generated part of the document as Markdown."""
    found = {(one.entry, one.measure, one.size): one for one in read_record()}
    limits = []
    for kind, nominal in NOMINAL.items():
        low, high = bounds("both", nominal, 4000)
        limits.append(f"{kind} {low / 40:.2f} to {high / 40:.2f} %")
    limits.append(f"size at most {bounds('upper', NOMINAL['size'], 4000)[1] / 40:.2f} % where only that side is held")
    lines = [
        f"{gates()} numbers are gated. With 4,000 cohorts the bounds are: {'; '.join(limits)}.",
        "",
        "| cohorts | model |",
        "|---|---|",
        *(f"| `{design.name}` | {design.words} |" for design in DESIGNS.values()),
        "",
        "All numbers in per cent, ± one Monte Carlo standard error.",
        "",
        *(line for entry in ENTRIES for line in entry_lines(entry, found)),
    ]
    return "\n".join(lines).rstrip()


def write_document() -> None:
    """Put the tables of the record into the document."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}", encoding="utf-8", newline="\n")
