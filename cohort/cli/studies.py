"""``lncohort studies``: the published records at hand, number by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cohort.cli.console import print_json, print_line, print_table, suggest
from cohort.cli.whole_patients import show_unattainable

if TYPE_CHECKING:
    from cohort.targets import Study, Target


def studies(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A study that lncohort carries, or the path of a study file (.toml); without it, list them."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show what is published about a study: arms, definitions, every printed number and finding, with sources.

    Each number says where it comes from: reported (the final paper), reported_earlier (a conference abstract of the
    same cohort). A number that a later text replaced is kept and marked with what replaced it. Printed values are
    shown as printed, to the last decimal. Numbers that no whole number of patients gives are listed with what is taken
    in their place. Months count from day 0, the visit at which nobody is in response.
    """
    from cohort.targets import available_studies, load_study

    if name is None:
        _list([load_study(known) for known in available_studies()], as_json=as_json)
        return
    study = load_study(name)
    if as_json:
        print_json(study.model_dump(mode="json", by_alias=True))
        return
    _show(study)
    suggest(f"lncohort audit {name}", f"lncohort generate {name} --out DIR")


def _list(known: list[Study], *, as_json: bool) -> None:
    if as_json:
        keys = {"name", "title", "citation", "doi", "assignment", "visit_months"}
        arms = {"arms": {"__all__": {"code", "label", "size"}}}
        include = dict.fromkeys(keys, True) | arms
        print_json([study.model_dump(mode="json", by_alias=True, include=include) for study in known])
        return
    rows = [
        (
            study.name,
            study.title,
            ", ".join(arm.code for arm in study.arms),
            " + ".join(str(arm.size) for arm in study.arms),
            ", ".join(str(month) for month in study.visit_months),
            study.assignment,
        )
        for study in known
    ]
    print_table("Studies", ("name", "title", "arms", "patients", "visits (months)", "assignment"), rows)
    suggest("lncohort studies NAME", "lncohort audit NAME")


def _show(study: Study) -> None:
    print_line(study.citation)
    print_line(f"https://doi.org/{study.doi}" if study.doi else study.sources[0].url)
    print_line(_design(study))
    print_line()
    arms = [
        (arm.code, arm.label, str(arm.size), ", ".join(arm.regimen) or "left open", arm.status, arm.source, arm.note)
        for arm in study.arms
    ]
    print_table("Arms", ("arm", "label", "patients", "drugs", "status", "source", "note"), arms)
    doses = [
        (
            arm.code,
            dose.drug,
            "" if dose.mg_day is None else f"{dose.mg_day:g}",
            "" if dose.trough_ng_ml is None else "-".join(f"{level:g}" for level in dose.trough_ng_ml),
            f"{dose.from_month} to {'the end' if dose.until_month is None else dose.until_month}",
            dose.status,
            dose.source,
            dose.note,
        )
        for arm in study.arms
        for dose in arm.doses
    ]
    if doses:
        columns = ("arm", "drug", "mg a day", "trough ng/mL", "months", "status", "source", "note")
        print_table("Doses", columns, doses)
    origins = [(entry.code, f"{entry.share:g}", entry.status, entry.source, entry.note) for entry in study.origins]
    if origins:
        print_table("Origin of the patients", ("origin", "share", "status", "source", "note"), origins)
    facts = [(fact.id, fact.value, fact.status, fact.source, fact.note) for fact in study.facts]
    print_table("Design", ("fact", "value", "status", "source", "note"), facts)
    definitions = [
        (entry.term, entry.wording or "not found", entry.status, entry.source, entry.note)
        for entry in study.definitions
    ]
    if definitions:
        print_table("Definitions", ("term", "wording", "status", "source", "note"), definitions)
    _show_targets(study)
    sources = [(source.key, source.citation, source.url) for source in study.sources]
    print_table("Sources", ("source", "text", "address"), sources)


def _design(study: Study) -> str:
    visits = ", ".join(str(month) for month in study.visit_months)
    accrual = f"; accrual {study.accrual.first_year}-{study.accrual.last_year}" if study.accrual else ""
    return f"{study.assignment}; visits at month {visits}{accrual}"


def _show_targets(study: Study) -> None:
    from cohort.targets import TargetKind

    numbers = [target for target in study.targets if target.kind is TargetKind.NUMBER]
    print_table(
        "Numbers",
        ("target", "measure", "arm", "month", "printed", "unit", "of", "status", "source", "note"),
        [
            (
                target.id,
                f"{target.measure} of {target.compares}" if target.compares else target.measure,
                target.arm or "",
                _month(target),
                target.printed,
                f"{target.unit}, Kaplan-Meier" if target.kaplan_meier else target.unit or "",
                "" if target.n is None else str(target.n),
                target.status,
                target.source,
                _note(target),
            )
            for target in numbers
        ],
    )
    show_unattainable(study)
    findings = [target for target in study.targets if target.kind is TargetKind.FINDING]
    if not findings:
        return
    print_table(
        "Findings in words",
        ("target", "measure", "arm", "month", "claim", "finding", "status", "source", "note"),
        [
            (
                target.id,
                target.measure,
                target.arm or "",
                _month(target),
                target.claim or "",
                target.statement or "",
                target.status,
                target.source,
                _note(target),
            )
            for target in findings
        ],
    )


def _month(target: Target) -> str:
    return "" if target.month is None else str(target.month)


def _note(target: Target) -> str:
    replaced = f"Superseded by {target.superseded_by}." if target.superseded_by else ""
    return f"{replaced} {target.note}".strip()
