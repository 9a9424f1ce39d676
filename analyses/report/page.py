"""One self-contained HTML page from a results folder."""

from __future__ import annotations

from pathlib import Path

from analyses.report.adjusted import adjusted_section
from analyses.report.baseline import flow_section, table_one_section
from analyses.report.content import Part
from analyses.report.course import course_section, laboratory_section
from analyses.report.design import design_section
from analyses.report.effects import balance_section, effects_section
from analyses.report.first_response import first_response_section
from analyses.report.inputs import Facts, Results, read_results
from analyses.report.later_events import after_response_section, poor_outcome_section, recurrent_section
from analyses.report.ledger import ledger_section
from analyses.report.origin import making_section, provenance_section
from analyses.report.overlap import overlap_section
from analyses.report.realism import realism_section
from analyses.report.repeated import missed_visits_section, ordered_response_section
from analyses.report.response import response_rates_section, response_states_section
from analyses.report.sensitivity import sensitivity_section
from analyses.report.starts import starts_section
from analyses.report.subgroups import subgroups_section
from analyses.report.survival import incidence_section, survival_section


def build_report(folder: Path) -> str:
    """Build the report of a results folder.

    Parameters
    ----------
    folder
        Holds ``results.json``, result tables ``NAME.parquet`` and, optionally, ``ledger.parquet`` and
        ``provenance.parquet``, as ``lncohort reproduce`` and ``lncohort analyze`` write them. Nothing else is read.

    Returns
    -------
    str
        A complete HTML document with its style and figures inside: no script, and nothing from the network. The same
        folder gives the same text. A section whose table is absent says that the analysis was not run.

    Raises
    ------
    AnalysisError
        When the folder is not a results folder, or a table in it cannot be read or has other columns.

    Examples
    --------
    >>> build_report(Path("no-such-folder"))
    Traceback (most recent call last):
    ...
    cohort.errors.AnalysisError: no-such-folder: not a results folder; got no file results.json; ...
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    results = read_results(folder)
    environment = Environment(
        loader=PackageLoader("analyses.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    compared = results.ledger is not None
    return environment.get_template("template.html").render(
        facts=results.facts,
        summary=summary(results.facts, compared=compared),
        compared=compared,
        parts=_parts(results),
    )


def summary(facts: Facts, *, compared: bool) -> str:
    """Say in one sentence what the page is about.

    Parameters
    ----------
    facts
        What ``results.json`` says.
    compared
        Whether published numbers are set beside those of the cohort.
    """
    patients = sum(arm.size for arm in facts.arms)
    arms = ", ".join(f"{arm.label} {arm.size}" for arm in facts.arms)
    if facts.synthetic:
        return (
            f"{patients} synthetic patients ({arms}), generated from the published results of the study named above, "
            "are analysed like the patients of a registry"
            + (", and every published number is set beside what they give." if compared else ".")
            + _left_aside(facts)
        )
    return (
        f"Recorded patients of a registry, analysed like the study named above, which had {patients} ({arms})."
        + _left_aside(facts)
    )


def _left_aside(facts: Facts) -> str:
    """Name the arms of the study that the page leaves aside, with a space before; empty without any."""
    if not facts.other_arms:
        return ""
    named = ", ".join(f"{arm.label} {arm.size}" for arm in facts.other_arms)
    return (
        f" The cohort holds more patients, of whom this page does not speak ({named}): two arms are compared at a time."
    )


def _parts(results: Results) -> tuple[Part, ...]:
    return (
        Part("Print and cohort", (ledger_section(results),)),
        Part("Design and patients", (design_section(results), flow_section(results), table_one_section(results))),
        Part(
            "Response",
            (
                response_states_section(results),
                response_rates_section(results),
                first_response_section(results),
                missed_visits_section(results),
                ordered_response_section(results),
            ),
        ),
        Part("Course", (course_section(results), laboratory_section(results))),
        Part(
            "Flare, kidney failure, death",
            (
                survival_section(results),
                incidence_section(results),
                recurrent_section(results),
                poor_outcome_section(results),
                after_response_section(results),
            ),
        ),
        Part(
            "Comparison of the arms",
            (
                effects_section(results),
                subgroups_section(results),
                overlap_section(results),
                balance_section(results),
                adjusted_section(results),
                starts_section(results),
                sensitivity_section(results),
            ),
        ),
        Part(
            "How it was made",
            (realism_section(results), provenance_section(results), making_section(results.facts)),
        ),
    )


def is_report(path: Path) -> bool:
    """Return whether a file is a report that :func:`build_report` made."""
    try:
        head = path.read_bytes()[:2000]
    except OSError:
        return False
    return b'<meta name="generator" content="lncohort">' in head
