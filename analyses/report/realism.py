"""The section on whether the cohort is one that a nephrologist would take for real."""

from __future__ import annotations

import pandas as pd

from analyses.figures import figure_svg, plot_correlations, plot_distributions, plot_swimmer, plot_trajectories
from analyses.figures.formatting import MISSING, count, interval, measurement, number, percent_interval
from analyses.figures.labels import covariate_label, outcome_label, pair_label, variable_label
from analyses.realism.verdicts import FAULTS, Verdict, verdict_of
from analyses.report.content import Figure, Group, Row, Section, Table, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable

_TITLE, _ANCHOR = "Is it realistic?", "realism"
_CENTRES = {"mean": "mean", "median": "median", "proportion": "share", "rate_per_100_patient_years": "per 100 years"}
_EVENTS = ("renal_flare", "eskd", "death", "serious_infection", "herpes_zoster")
_CHECKS = {
    "largest_fold_change": "Largest change between visits, fold",
    "fold_change_99": "99th percentile of the change, fold",
    "share_doubled": "Pairs that doubled or halved",
    "share_at_lowest": "At the lowest value",
    "share_at_highest": "At the highest value",
    "share_off_grid": "More decimals than printed",
    "share_ending_0_or_5": "Last digit 0 or 5",
}


def realism_section(results: Results) -> Section:
    """Make the section that puts the cohort beside other cohorts, clinical expectation and laboratory practice."""
    table = results.estimated("realism")
    if table is None:
        missing = reasons(results.failures("realism"), results.missing("realism"), "the comparison with other cohorts")
        return Section(_ANCHOR, _TITLE, missing)
    return Section(
        _ANCHOR,
        _TITLE,
        (*_lead(table, synthetic=results.facts.synthetic), *_not_shown(results)),
        bullets=_faults(table),
        figures=_figures(results, table),
        tables=(_marginal_table(table), _correlation_table(table)),
        folded=(_plausibility_table(table), _sources_table(table)),
    )


def _about_cohort(table: ResultTable) -> pd.DataFrame:
    return table.frame[(table.frame["population"] == "this cohort").fillna(False).to_numpy(dtype=bool)]


def _lead(table: ResultTable, *, synthetic: bool) -> tuple[str, ...]:
    rows = _about_cohort(table)
    verdicts = [verdict_of(note) for note in rows["note"]]

    def tally(kinds: tuple[Verdict, ...]) -> str:
        return str(sum(verdict in kinds for verdict in verdicts) or "none")

    ranges = (Verdict.WITHIN, Verdict.OUTSIDE)
    signs = (Verdict.RIGHT_SIGN, Verdict.WRONG_SIGN, Verdict.UNCLEAR_SIGN)
    said = [
        "Baseline values, laboratory values and event rates that the publication does not give cannot be checked "
        "against it. This section puts the cohort beside other cohorts of lupus nephritis, named in the table of "
        "sources, and asks what a nephrologist would ask: are the patients of the usual kind, do their values go "
        "together as the disease makes them, and do they change from visit to visit as a laboratory would report them?",
        f"Borrowed are the ranges: {tally((Verdict.WITHIN,))} of {tally(ranges)} values lie within them. The expected "
        f"signs of correlations are clinical reasoning: {tally((Verdict.RIGHT_SIGN,))} of {tally(signs)} correlations "
        f"have the expected sign beyond doubt, {tally((Verdict.WRONG_SIGN,))} the opposite one. A range runs from the "
        "lowest to the highest 95 % limit of the published values. The other cohorts were biopsied or treated at other "
        "stages, and assays of antibodies differ, so that a value outside is a question, not an error.",
    ]
    if synthetic:
        said.append(
            "Where the generator took its own assumption from one of the same cohorts, agreement shows only that it "
            "does as it was told: compare the sources here with those in the section on where every number comes from."
        )
    if any(verdict in FAULTS for verdict in verdicts):
        said.append("What a reader should look at:")
    return tuple(said)


def _not_shown(results: Results) -> tuple[str, ...]:
    said: list[str] = []
    for name, what in (("realism_trajectories", "example patients"), ("realism_courses", "the swimmer plot")):
        said.extend(f"Not shown ({what}): {note}." for note in results.failures(name))
        said.extend(reasons((), results.missing(name), what))
    return tuple(said)


def _faults(table: ResultTable) -> tuple[str, ...]:
    rows = _about_cohort(table)
    return tuple(
        f"{_what(row)}: {_estimate(row)}, {row['note']}{_beside(table.frame, place)}."
        for place, row in zip(rows.index, _records(rows), strict=True)
        if verdict_of(str(row["note"])) in FAULTS
    )


def _records(rows: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _what(row: dict[str, object]) -> str:
    term, statistic = str(row["term"]), str(row["statistic"])
    if statistic in _CHECKS:
        return f"{variable_label(term)}, {_CHECKS[statistic][0].lower()}{_CHECKS[statistic][1:]}"
    if statistic == "spearman_lag_1":
        return f"{pair_label(term)}, from visit to visit"
    if statistic == "spearman":
        return pair_label(term)
    name = outcome_label(term) if term in _EVENTS else covariate_label(term)
    return f"{name} ({_CENTRES[statistic]})"


def _number(row: dict[str, object], column: str) -> float:
    return float(str(row[column]))


def _estimate(row: dict[str, object]) -> str:
    values = [_number(row, name) for name in ("estimate", "conf_low", "conf_high")]
    statistic = str(row["statistic"])
    if statistic == "proportion" or statistic.startswith("share_"):
        return percent_interval(*values)
    if statistic.startswith("spearman"):
        return interval(*values)
    if statistic in ("largest_fold_change", "fold_change_99"):
        return number(values[0], 1)
    centre, low, high = (measurement(value) for value in values)
    return centre if low == MISSING else f"{centre} ({low} to {high})"


def _beside(frame: pd.DataFrame, place: int) -> str:
    """Write the borrowed range of the row at a place, for rows that have one."""
    written = _range(frame, place) if frame.loc[place, "statistic"] in _CENTRES else ""
    return f"; borrowed: {written}" if written else ""


def _range(frame: pd.DataFrame, place: int) -> str:
    """Write the range that stands beneath the row it is for."""
    low, high = (float(str(frame.loc[place + 1, name])) for name in ("conf_low", "conf_high"))
    if frame.loc[place, "statistic"] == "proportion":
        return f"{number(100 * low, 1)} to {number(100 * high, 1)} %"
    return f"{measurement(low)} to {measurement(high)}"


def _verdict_cell(note: object) -> str:
    verdict, _, remark = str(note).partition("; ")
    return f"{verdict}\n{remark}" if remark else verdict


def _look(note: object) -> str:
    verdict = verdict_of(str(note))
    return "question" if verdict in FAULTS else ""


def _marginal_table(table: ResultTable) -> Table:
    own = _about_cohort(table)
    own = own[own["statistic"].isin(_CENTRES)]
    rows = []
    for place, row in zip(own.index, _records(own), strict=True):
        cells = (_what(row), _estimate(row), count(_number(row, "n")), _range(table.frame, place))
        rows.append(Row((*cells, _verdict_cell(row["note"])), look=_look(row["note"])))
    return Table(
        "Patients and events beside the ranges of other cohorts",
        ("Value", "This cohort (95 % CI)", "Patients", "Borrowed range", "Verdict"),
        (Group(tuple(rows)),),
        notes=(
            "Flares, as derived from laboratory values, and other events count over all follow-up from the start; most "
            "of the other cohorts count flares from a response.",
        ),
        text_columns=frozenset({4}),
    )


def _correlation_table(table: ResultTable) -> Table:
    own = _about_cohort(table)
    groups = []
    for statistic, heading in (
        ("spearman", "Between values at the start"),
        ("spearman_lag_1", "From one scheduled visit to the next, ranks within the visit"),
    ):
        rows = tuple(
            Row(
                (
                    pair_label(str(row["term"])),
                    _estimate(row),
                    count(_number(row, "n")),
                    str(row["group"]).removeprefix("expected "),
                    _verdict_cell(row["note"]),
                ),
                look=_look(row["note"]),
            )
            for row in _records(own[own["statistic"] == statistic])
        )
        groups.append(Group(rows, heading))
    return Table(
        "Rank correlations beside the sign that is expected",
        ("Values", "Correlation (95 % CI)", "Pairs", "Expected", "Verdict"),
        tuple(groups),
        text_columns=frozenset({3, 4}),
    )


def _plausibility_table(table: ResultTable) -> Table:
    own = _about_cohort(table)
    own = own[own["statistic"].isin(_CHECKS)]
    groups = tuple(
        Group(
            tuple(
                Row(
                    (
                        _CHECKS[str(row["statistic"])],
                        _estimate(row),
                        count(_number(row, "n")),
                        _verdict_cell(row["note"]),
                    ),
                    look=_look(row["note"]),
                )
                for row in _records(own[own["term"] == term])
            ),
            variable_label(str(term)),
        )
        for term in dict.fromkeys(own["term"])
    )
    return Table(
        "Laboratory values: jumps without an event between, ends, decimals and last digits",
        ("Check", "This cohort", "Pairs or values", "Verdict"),
        groups,
        notes=(
            "Changes are between successive measurements of a patient with no event on or between their days; the "
            "start of therapy lies within the first. No published limit for such changes was found: they are for the "
            "reader's eye.",
        ),
        text_columns=frozenset({3}),
    )


def _sources_table(table: ResultTable) -> Table:
    frame = table.frame
    published = frame[
        (frame["method"] == "as published").fillna(False).to_numpy(dtype=bool) & frame["statistic"].isin(_CENTRES)
    ]
    groups = []
    for term, statistic in dict.fromkeys(zip(published["term"], published["statistic"], strict=True)):
        own = published[(published["term"] == term) & (published["statistic"] == statistic)]
        rows = tuple(
            Row(
                (
                    str(row["population"]),
                    _estimate(row | dict.fromkeys(("conf_low", "conf_high"), float("nan"))),
                    count(_number(row, "n")),
                    str(row["note"]),
                )
            )
            for row in _records(own)
        )
        groups.append(Group(rows, _what({"term": term, "statistic": statistic})))
    return Table(
        "Borrowed values and their sources",
        ("Cohort", "Published value", "Patients", "Source"),
        tuple(groups),
        notes=(
            "Creatinine from µmol/L, albumin and haemoglobin from g/L. Rates are arithmetic from printed cumulative "
            "shares or person-years at a constant hazard.",
        ),
        text_columns=frozenset({3}),
    )


def _figures(results: Results, table: ResultTable) -> tuple[Figure, ...]:
    labels = results.facts.labels
    drawn = []
    distributions = results.estimated("realism_distributions")
    if distributions is not None:
        drawn.append(
            Figure(
                figure_svg(
                    plot_distributions(distributions, table)[0],
                    name="distributions",
                    description=_distributions_words(table),
                ),
                "Values of this cohort at the start (bars) under those of other cohorts (lines: mean with one standard "
                "deviation to either side, or median with quartiles). UPCR, creatinine and anti-dsDNA on logarithmic "
                "axes.",
            )
        )
    drawn.append(
        Figure(
            figure_svg(plot_correlations(table)[0], name="correlations", description=_correlations_words(table)),
            "Rank correlations with 95 % intervals. The shaded side of zero is the expected one.",
        )
    )
    trajectories = results.estimated("realism_trajectories")
    if trajectories is not None:
        drawn.append(
            Figure(
                figure_svg(
                    plot_trajectories(trajectories, arms=labels)[0],
                    name="trajectories",
                    description=_trajectories_words(trajectories, labels),
                ),
                "Laboratory values of eight patients: in each arm, by order of identifier, the first two with a renal "
                "flare and the first two without, of those seen at four or more scheduled visits. One colour and line "
                "a patient. Shaded on the first row: proteinuria low enough for complete (CR, below 0.5 g/g) and for "
                "partial response (PR, below 3.5 g/g).",
            )
        )
    courses = results.estimated("realism_courses")
    if courses is not None:
        drawn.append(
            Figure(
                figure_svg(
                    plot_swimmer(courses, arms=labels)[0], name="swimmer", description=_courses_words(courses, labels)
                ),
                "Follow-up of the first 15 patients of each arm by order of identifier, the longest on top. A state of "
                "response holds from the visit that shows it to the next, or to a renal flare, after which the patient "
                "is not yet assessed again.",
            )
        )
    return tuple(drawn)


def _distributions_words(table: ResultTable) -> str:
    own = _about_cohort(table)
    centres = own[own["statistic"].isin(["mean", "median"])]
    said = "; ".join(f"{_what(row)} {_estimate(row)}" for row in _records(centres))
    return f"Histograms of values at the start with published centres and spreads above. This cohort: {said}."


def _correlations_words(table: ResultTable) -> str:
    own = _about_cohort(table)
    rows = _records(own[own["statistic"].str.startswith("spearman").fillna(False).to_numpy(dtype=bool)])
    said = "; ".join(f"{_what(row)} {_estimate(row)}, {verdict_of(str(row['note']))}" for row in rows)
    return f"Rank correlations as points with intervals: {said}."


def _trajectories_words(table: ResultTable, labels: dict[str, str]) -> str:
    frame = table.frame
    upcr = frame[((frame["term"] == "upcr_g_g") & (frame["statistic"] == "laboratory_value")).fillna(False).to_numpy()]
    said = []
    for patient, own in upcr.sort_values("time").groupby("population", sort=False):
        flares = int(((frame["population"] == patient) & (frame["statistic"] == "event")).sum())
        values = f"{number(float(own['estimate'].iloc[0]), 2)} to {number(float(own['estimate'].iloc[-1]), 2)} g/g"
        said.append(f"{patient} ({labels[str(own['group'].iloc[0])]}): UPCR {values}, flares {flares}")
    return f"Lines of UPCR, creatinine, C3 and anti-dsDNA over time, one column an arm. {'; '.join(said)}."


def _courses_words(table: ResultTable, labels: dict[str, str]) -> str:
    frame = table.frame
    said = []
    for code, label in labels.items():
        own = frame[(frame["group"] == code).to_numpy(dtype=bool)]
        patients = int((own["statistic"] == "end_of_follow_up").sum())
        events = own.loc[own["statistic"] == "event", "term"].value_counts()
        named = ", ".join(f"{outcome_label(str(term)).lower()} {number}" for term, number in events.items())
        said.append(f"{label}: {patients} patients, events: {named or 'none'}")
    return f"Swimmer plot, one bar a patient coloured by response state. {'; '.join(said)}."
