"""Protects the published records of the field: arms, visits, whole patients, and what no whole number gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cohort.codes import Drug, Status
from cohort.rounding import percentage_prints_as
from cohort.targets import (
    CUMULATIVE_MEASURES,
    FLARE_MEASURES,
    RESPONSE_MEASURES,
    Assignment,
    Measure,
    TargetKind,
    Unit,
    available_studies,
    load_study,
)
from synthetic.reconstruct import Reconstruction, reconstruct

Cell = tuple[int, int, int]  # assessed, complete, partial

# Worked out by hand from the printed rates: every arm at every visit.
TABLES: Mapping[str, Mapping[str, Mapping[int, Cell]]] = {
    "bao2008": {
        "tac_mmf": {6: (20, 10, 8), 9: (20, 13, 6)},
        "ivcyc": {6: (20, 1, 8), 9: (20, 3, 8)},
    },
    "zavada2010": {
        "csa": {9: (19, 5, 3), 18: (19, 7, 4)},
        "cyc": {9: (21, 5, 6), 18: (21, 3, 5)},
    },
    "yap2012": {"tac": {24: (9, 1, 4)}, "mmf": {24: (7, 4, 1)}},
    "li2012": {"tac": {6: (20, 10, 5)}, "mmf": {6: (20, 10, 5)}, "ivcyc": {6: (20, 8, 4)}},
    "mok2013": {"tac_mmf": {12: (21, 8, 6)}},
    "liu2015": {"tac_mmf": {6: (181, 83, 68)}, "ivcyc": {6: (181, 46, 68)}},
    "mok2016": {
        "tac": {6: (74, 46, 20), 61: (74, 46, 20)},
        "mmf": {6: (76, 45, 16), 61: (76, 45, 16)},
    },
    "zhang2017": {
        "tac_mmf": {6: (116, 64, 52), 24: (116, 64, 52)},
        "aza": {6: (90, 36, 54), 24: (90, 36, 54)},
    },
    "rovin2019": {
        "vcs_low": {6: (89, 29, 30), 11: (89, 44, 23)},
        "vcs_high": {6: (88, 24, 32), 11: (88, 35, 28)},
        "placebo": {6: (88, 17, 35), 11: (88, 21, 34)},
    },
    "moroni2006": {
        "csa": {3: (36, 18, 18), 27: (36, 18, 18)},
        "aza": {3: (33, 16, 17), 27: (33, 16, 17)},
    },
    "chen2012": {
        "tac": {6: (34, 19, 15), 12: (34, 19, 15)},
        "aza": {6: (36, 24, 12), 12: (36, 23, 11)},
    },
    "aurora1": {
        "vcs": {12: (179, 73, 53), 36: (116, 48, 34)},
        "placebo": {12: (178, 40, 69), 36: (100, 22, 39)},
    },
}

# The printed percentages that no whole number of the arm gives: printed, of, taken instead.
UNATTAINABLE: Mapping[str, Mapping[str, tuple[str, int, int]]] = {
    "zavada2010": {"or_9_csa": ("43", 19, 8)},
    "liu2015": {"or_6_tac_mmf": ("83.5", 181, 151), "cr_6_ivcyc": ("25.6", 181, 46)},
    "chen2012": {"or_12_aza": ("95", 36, 34)},
}

# Patients with a flare, out of how many, by which month; a Kaplan-Meier percentage or a rate as printed.
FLARES: Mapping[str, set[tuple[object, ...]]] = {
    "mok2016": {("tac", 61, 40, 74), ("mmf", 61, 29, 76)},
    "zhang2017": {("tac_mmf", 24, "5.47"), ("aza", 24, "7.62")},
    "moroni2006": {("csa", 27, 7, 36), ("aza", 27, 8, 33), ("csa", 27, "10.6"), ("aza", 27, "13.4")},
    "chen2012": {("tac", 12, 0, 34), ("aza", 12, 2, 36)},
    "aurora1": {("vcs", 36, 24, 101), ("placebo", 36, 19, 73)},
}

# Every target that rests on more than print, with the reason for each in its note.
NOT_PRINTED: Mapping[str, dict[str, set[str]]] = {
    "yap2012": {"derived": {"cr_24_tac", "pr_24_tac", "cr_24_mmf", "pr_24_mmf"}},
    "li2012": {"derived": {"cr_6_tac", "cr_6_mmf"}, "assumed": {"cr_6_ivcyc"}},
    "mok2013": {"assumed": {"cr_12_tac_mmf"}},
    "zhang2017": {"derived": {"or_6_tac_mmf", "or_6_aza"}, "assumed": {"cr_6_tac_mmf", "cr_6_aza"}},
    "rovin2019": {"assumed": {"pr_6_vcs_low", "pr_6_vcs_high", "pr_6_placebo"}},
    "moroni2006": {"assumed": {"or_3_csa", "or_3_aza"}, "derived": {"flare_27_csa", "flare_27_aza"}},
    "chen2012": {"derived": {"or_6_tac", "or_6_aza"}},
    "aurora1": {
        "derived": {"total_patients"},
        "assumed": {"pr_12_vcs", "pr_12_placebo", "assessed_36_vcs", "assessed_36_placebo"},
    },
}

TACROLIMUS_ARMS = {
    "bao2008": ["tac_mmf"],
    "zavada2010": [],
    "yap2012": ["tac"],
    "li2012": ["tac"],
    "mok2013": ["tac_mmf"],
    "liu2015": ["tac_mmf"],
    "mok2016": ["tac"],
    "zhang2017": ["tac_mmf"],
    "rovin2019": [],
    "moroni2006": [],
    "chen2012": ["tac"],
    "aurora1": [],
}


@pytest.fixture(scope="module")
def found() -> dict[str, Reconstruction]:
    return {name: reconstruct(load_study(name)) for name in TABLES}


def test_every_study_carried_is_listed_here() -> None:
    assert set(available_studies()) == {*TABLES, "kim2025"}


@pytest.mark.parametrize("name", list(TABLES))
def test_the_table_of_whole_patients(name: str, found: dict[str, Reconstruction]) -> None:
    counts = found[name].counts
    given: dict[str, dict[int, Cell]] = {}
    for arm, month, *cell in counts[["arm", "month", "assessed", "complete", "partial"]].itertuples(index=False):
        given.setdefault(arm, {})[month] = (cell[0], cell[1], cell[2])
    assert given == TABLES[name]
    assert (counts["none"] == counts["assessed"] - counts["complete"] - counts["partial"]).all()


@pytest.mark.parametrize("name", list(TABLES))
def test_what_no_whole_number_gives(name: str, found: dict[str, Reconstruction]) -> None:
    listed = found[name].unattainable
    given = {row.target_id: (row.printed, row.n, row.nearest) for row in listed.itertuples()}
    assert given == UNATTAINABLE.get(name, {})
    for row in listed.itertuples():
        assert row.reason.startswith(f"no whole number of {row.n} patients prints as {row.printed} %; {row.nearest} of")


@pytest.mark.parametrize("name", list(TABLES))
def test_every_other_number_is_given_back(name: str, found: dict[str, Reconstruction]) -> None:
    study, counts = load_study(name), found[name].counts.set_index(["arm", "month"])
    checked = 0
    for target in study.targets:
        if target.measure not in RESPONSE_MEASURES or target.id in UNATTAINABLE.get(name, {}):
            continue
        cell = counts.loc[(target.arm, target.month)]
        events = {
            Measure.COMPLETE_RESPONSE: int(cell["complete"]),
            Measure.PARTIAL_RESPONSE: int(cell["partial"]),
            Measure.OVERALL_RESPONSE: int(cell["complete"] + cell["partial"]),
        }[target.measure]
        if target.unit is Unit.PATIENTS:
            assert events == int(target.printed), target.id
        else:
            n = int(cell["assessed"])
            assert percentage_prints_as(np.array([events]), np.array([n]), target.printed)[0], target.id
        checked += 1
    assert checked >= 1


@pytest.mark.parametrize("name", list(TABLES))
def test_flares(name: str, found: dict[str, Reconstruction]) -> None:
    study, flares = load_study(name), found[name].flares
    given: set[tuple[object, ...]] = set()
    for row in flares.to_dict("records"):
        target = study.target(row["target_id"])
        if target.kaplan_meier or target.measure is Measure.RENAL_FLARE_RATE:
            assert np.isnan(row["probability"]) == (target.measure is Measure.RENAL_FLARE_RATE)
            given.add((row["arm"], row["month"], target.printed))
        else:
            given.add((row["arm"], row["month"], row["patients"], row["n"]))
    assert given == FLARES.get(name, set())


@pytest.mark.parametrize("name", list(TABLES))
def test_what_rests_on_more_than_print_says_why(name: str) -> None:
    study = load_study(name)
    given: dict[str, set[str]] = {}
    for target in study.targets:
        if target.status is not Status.REPORTED:
            given.setdefault(target.status.value, set()).add(target.id)
            assert target.note, target.id
    assert given == NOT_PRINTED.get(name, {})
    assert all(arm.note for arm in study.arms if arm.status is not Status.REPORTED)


@pytest.mark.parametrize("name", list(TABLES))
def test_regimens_and_assignment(name: str) -> None:
    study = load_study(name)
    assert [arm.code for arm in study.arms if arm.tacrolimus] == TACROLIMUS_ARMS[name]
    assert all(Drug.PREDNISOLONE in arm.regimen and len(arm.regimen) >= 2 for arm in study.arms)
    assert (study.assignment is Assignment.OBSERVATIONAL) == (name == "mok2013")


@pytest.mark.parametrize("name", list(TABLES))
def test_events_lie_within_the_arm_and_sources_are_addresses(name: str) -> None:
    study = load_study(name)
    assert all(source.url.startswith("http") for source in study.sources)
    for target in study.targets:
        assert target.kind is TargetKind.NUMBER
        if target.measure in (*CUMULATIVE_MEASURES, *FLARE_MEASURES):
            assert target.arm is not None
            assert target.month is not None
    assert {target.source for target in study.targets} <= {source.key for source in study.sources}


def test_entry_in_response() -> None:
    for name, month in (("zhang2017", 6), ("moroni2006", 3), ("chen2012", 6)):
        study = load_study(name)
        for arm in study.arms:
            entry = study.printed(Measure.OVERALL_RESPONSE, arm=arm.code, month=month)
            assert entry is not None
            assert (entry.printed, entry.n) == ("100", arm.size)
            assert entry.status in (Status.DERIVED, Status.ASSUMED)


def test_visits_with_nothing_printed_are_marked(found: dict[str, Reconstruction]) -> None:
    unprinted = {
        (name, row.arm, row.month)
        for name, table in found.items()
        for row in table.counts[table.counts["basis"] == "not printed"].itertuples()
    }
    assert unprinted == {
        *(("mok2016", arm, 61) for arm in ("tac", "mmf")),
        *(("zhang2017", arm, 24) for arm in ("tac_mmf", "aza")),
        *(("moroni2006", arm, 27) for arm in ("csa", "aza")),
    }
    aurora = found["aurora1"].counts
    assert aurora["basis"].tolist() == ["reported, assumed", "assumed"] * 2
