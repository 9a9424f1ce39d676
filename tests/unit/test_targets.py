"""Protects how study files are found, read and refused: every mistake is named by line, key, finding and remedy."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import ValidationError

from cohort.codes import Drug
from cohort.errors import StudyFileError
from cohort.targets import Assignment, Measure, Study, available_studies, load_study, read_study

SMALL = """name = "small"
title = "t"
citation = "c"
doi = "d"
visit_months = [6, 12]

[[source]]
key = "paper"
citation = "c"
url = "u"

[[arm]]
code = "drug"
label = "Drug"
size = 10
tacrolimus = true
status = "reported"
source = "paper"

[[arm]]
code = "control"
label = "Control"
size = 12
tacrolimus = false
status = "reported"
source = "paper"

[[target]]
id = "cr_drug"
kind = "number"
measure = "complete_response"
arm = "drug"
month = 6
value = "50.0"
unit = "percent"
status = "reported"
source = "paper"

[[target]]
id = "p"
kind = "number"
measure = "p_value"
compares = "complete_response"
month = 6
value = "0.5"
unit = "probability"
status = "reported"
source = "paper"

[[target]]
id = "flares"
kind = "finding"
measure = "renal_flare"
claim = "no_significant_difference"
statement = "No difference."
status = "reported"
source = "paper"
"""


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


def edited(old: str, new: str) -> str:
    assert SMALL.count(old) == 1, old
    return SMALL.replace(old, new)


def test_the_small_study_is_sound() -> None:
    study = read_study(SMALL, where="small.toml")
    assert [arm.code for arm in study.arms] == ["drug", "control"]
    found = study.printed(Measure.P_VALUE, month=6, compares=Measure.COMPLETE_RESPONSE)
    assert found is not None
    assert found.printed == "0.5"
    assert study.printed(Measure.OVERALL_RESPONSE, arm="drug", month=6) is None
    assert study.printed(Measure.RENAL_FLARE) is None


def test_records_are_frozen() -> None:
    study = read_study(SMALL, where="small.toml")
    with pytest.raises(ValidationError, match="frozen"):
        study.targets[0].value = "1"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda study: study.target("cr_durg"),
            r"study small: no such target; got cr_durg; did you mean cr_drug\? known",
        ),
        (lambda study: study.arm("x"), r"study small: no such arm; got x; known arms are drug, control"),
        (lambda study: study.source("papr"), r"no such source; got papr; did you mean paper\? known sources are paper"),
        (lambda study: study.target("flares").printed, r"target flares: this target has no printed number"),
    ],
)
def test_asking_for_what_is_not_there(ask: object, message: str) -> None:
    study = read_study(SMALL, where="small.toml")
    assert callable(ask)
    with pytest.raises(StudyFileError, match=message):
        ask(study)


@pytest.mark.parametrize(
    ("old", "new", "needle", "message"),
    [
        ('value = "50.0"', "value = 50.0", "value = 50.0", r"target\[0\]\.value: expected the number as printed, in"),
        ('value = "50.0"', 'value = "50,0"', 'value = "50,0"', r"value: expected a plain decimal .*got '50,0'"),
        ('value = "50.0"', 'value = "150"', 'value = "150"', r"a percent above 100; got 150; correct the value or"),
        ('value = "0.5"', 'value = "1.5"', 'value = "1.5"', r"target\[1\]\.value: a probability above 1; got 1\.5"),
        ('value = "50.0"\n', "", '[[target]]\nid = "cr_drug"', r"a number of complete_response needs value"),
        (
            'arm = "drug"\n',
            "",
            '[[target]]\nid = "cr_drug"',
            r"target\[0\]\.arm: a number of complete_response needs arm",
        ),
        ('arm = "drug"', 'arm = "durg"', 'arm = "durg"', r"no such arm; got durg; did you mean drug\? the arms are"),
        (
            'unit = "percent"',
            'unit = "patients"',
            'value = "50.0"',
            r"not a number of patients of this arm; got 50\.0; give a whole number from 0 to 10",
        ),
        ('unit = "percent"', 'unit = "procent"', 'unit = "procent"', r"unit: expected 'patients', 'percent', 'pr"),
        (
            'measure = "renal_flare"',
            'measure = "flare"',
            'measure = "flare"',
            r"target\[2\]\.measure: expected 'total_pat",
        ),
        (
            'claim = "no_significant_difference"\n',
            "",
            '[[target]]\nid = "flares"',
            r"a finding of renal_flare needs claim",
        ),
        ('compares = "complete_response"\n', "", '[[target]]\nid = "p"', r"a number of p_value needs compares"),
        (
            'compares = "complete_response"\nmonth = 6',
            'compares = "complete_response"\nmonth = 7',
            "month = 7",
            r"target\[1\]\.month: not a visit of this study; got 7; the months are 0, 6, 12",
        ),
        (
            'id = "flares"',
            'id = "p"',
            'id = "p"\nkind = "finding"',
            r"target\[2\]\.id: the same id as target\[1\]; got p",
        ),
        (
            'id = "flares"',
            'id = "flares"\nsuperseded_by = "flare"',
            'superseded_by = "flare"',
            r"superseded by no other target; got flare",
        ),
        (
            'id = "flares"',
            'id = "flares"\nsuperseded_by = "flares"',
            'superseded_by = "flares"',
            r"no other target; got flares",
        ),
        (
            'id = "flares"',
            'id = "flares"\ncolour = 1',
            "colour = 1",
            r"target\[2\]\.colour: unknown key; the keys here are id",
        ),
        (
            "visit_months = [6, 12]",
            "visit_months = [12, 6]",
            "visit_months",
            r"visits are not in increasing order; got \[12, 6\]",
        ),
        ("visit_months = [6, 12]", "visit_months = [6, 6]", "visit_months", r"visits are not in increasing order"),
        ("visit_months = [6, 12]", "visit_months = []", "visit_months", r"visit_months: expected"),
        ("size = 10", 'size = "10"', 'size = "10"', r"arm\[0\]\.size: expected a valid integer; got '10'"),
        ("size = 10", "size = 0", "size = 0", r"arm\[0\]\.size: expected greater than or equal to 1; got 0"),
        (
            'code = "control"',
            'code = "drug"',
            'code = "drug"\nlabel = "Control"',
            r"arm\[1\]\.code: the same code as arm\[0\]",
        ),
        ('title = "t"\n', "", 'name = "small"', r"line 1, title: missing key; add title = \.\.\."),
        ('title = "t"', 'title = " "', 'title = " "', r"title: expected some text in quotes; got ' '"),
        ('title = "t"', "title = 5", "title = 5", r"title: expected some text in quotes; got 5"),
        (
            'statement = "No difference."\nstatus = "reported"\nsource = "paper"',
            'statement = "No difference."\nstatus = "reported"\nsource = "papper"',
            'source = "papper"',
            r"target\[2\]\.source: no such source; got papper; did you mean paper\?",
        ),
    ],
)
def test_a_mistake_is_reported_where_it_stands(old: str, new: str, needle: str, message: str) -> None:
    text = edited(old, new)
    with pytest.raises(StudyFileError, match=message) as caught:
        read_study(text, where="small.toml")
    assert caught.value.where.startswith(f"small.toml line {line_of(text, needle)},")


TOTAL = """
[[target]]
id = "total"
kind = "number"
measure = "total_patients"
value = "21"
unit = "patients"
status = "reported"
source = "paper"
"""
SIZE = """
[[target]]
id = "size"
kind = "number"
measure = "arm_size"
arm = "drug"
value = "11"
unit = "patients"
status = "reported"
source = "paper"
"""
TWICE = """
[[target]]
id = "cr_drug_again"
kind = "number"
measure = "complete_response"
arm = "drug"
month = 6
value = "60.0"
unit = "percent"
status = "reported"
source = "paper"
"""
OTHER_MONTH = TWICE.replace("month = 6", "month = 12")


@pytest.mark.parametrize(
    ("added", "needle", "message"),
    [
        (TOTAL, 'value = "21"', r"the total is not the sum of the arms; got 21 against 22; correct one, or mark"),
        (SIZE, 'value = "11"', r"not the size given for the arm; got 11 against 10"),
        (
            TWICE,
            '[[target]]\nid = "cr_drug_again"',
            r"a second number in force beside target cr_drug; got cr_drug_again",
        ),
        (
            '[[reconstruction.p_value]]\ntarget = "flares"\ntest = "pearson"\nreason = "r"\n',
            'target = "flares"',
            r"reconstruction\.p_value\[0\]\.target: not a p-value of response; got flares; p-values of a response",
        ),
        (
            '[[reconstruction.p_value]]\ntarget = "p"\ntest = "t"\nreason = "r"\n',
            'test = "t"',
            r"test: expected 'pearson'",
        ),
        (
            '[[reconstruction.shared_denominator]]\ntarget = "cr_drug"\nalso_serves = "p"\nreason = "r"\n',
            'also_serves = "p"',
            r"also_serves: no such printed percentage; got p; name a target that is a printed percentage",
        ),
        (
            OTHER_MONTH + '[[reconstruction.shared_denominator]]\ntarget = "cr_drug"\nalso_serves = "cr_drug_again"\n'
            'reason = "r"\n',
            "[[reconstruction.shared_denominator]]",
            r"different arms or months cannot share a denominator",
        ),
        (
            '[[reconstruction.alternative]]\nname = "default"\nreason = "r"\n',
            'name = "default"',
            r"reconstruction\.alternative\[0\]\.name: the name of an alternative is taken; got default",
        ),
        (
            '[[reconstruction.alternative]]\nname = "B"\nreason = "r"\n[[reconstruction.alternative.denominator]]\n'
            'target = "p"\nn = 3\nreason = "r"\n',
            'target = "p"\nn = 3',
            r"denominator\[0\]\.target: no such printed percentage",
        ),
        (
            '[[reconstruction.alternative]]\nname = "B"\nreason = "r"\n[[reconstruction.alternative.denominator]]\n'
            'target = "cr_drug"\nn = 13\nreason = "r"\n',
            "n = 13",
            r"more patients than the arm has; got 13; give at most 10",
        ),
        (
            '[[reconstruction.alternative]]\nname = "B"\nreason = "r"\n[[reconstruction.alternative.p_value]]\n'
            'target = "q"\ntest = "yates"\nreason = "r"\n',
            'target = "q"',
            r"alternative\[0\]\.p_value\[0\]\.target: not a p-v",
        ),
    ],
)
def test_contradictions_between_keys(added: str, needle: str, message: str) -> None:
    text = SMALL + added
    with pytest.raises(StudyFileError, match=message) as caught:
        read_study(text, where="small.toml")
    assert caught.value.where.startswith(f"small.toml line {line_of(text, needle)}")


ARM = "tacrolimus = true\n"
FLARE = """[[target]]
id = "flare"
kind = "number"
measure = "renal_flare"
arm = "drug"
month = 12
value = "20"
unit = "percent"
status = "reported"
source = "paper"
"""
ACCRUAL = '[accrual]\nfirst_year = 2001\nlast_year = 2004\nstatus = "reported"\nsource = "paper"\n\n'


def with_flare(old: str = "", new: str = "") -> str:
    assert FLARE.count(old) == 1 or not old
    return SMALL + FLARE.replace(old, new)


def with_accrual(old: str = "", new: str = "") -> str:
    return SMALL.replace("[[source]]", ACCRUAL.replace(old, new) + "[[source]]")


def test_regimen_assignment_accrual_and_flares_are_read() -> None:
    text = with_flare('unit = "percent"', 'unit = "percent"\nn = 10\nkaplan_meier = true')
    text = text.replace(ARM, ARM + 'regimen = ["tacrolimus", "mycophenolate"]\n')
    text = text.replace("[[source]]", 'assignment = "randomised"\n\n' + ACCRUAL + "[[source]]", 1)
    study = read_study(text.replace('doi = "d"\n', ""), where="small.toml")
    assert study.arm("drug").regimen == (Drug.TACROLIMUS, Drug.MYCOPHENOLATE)
    assert study.arm("control").regimen == ()
    assert study.assignment is Assignment.RANDOMISED
    assert study.accrual is not None
    assert (study.accrual.first_year, study.accrual.last_year) == (2001, 2004)
    assert (study.target("flare").kaplan_meier, study.target("flare").n) == (True, 10)
    assert study.doi == ""


def test_what_may_be_left_out() -> None:
    study = read_study(SMALL, where="small.toml")
    assert study.assignment is Assignment.OBSERVATIONAL
    assert study.accrual is None
    assert not study.target("cr_drug").kaplan_meier


@pytest.mark.parametrize(
    ("text", "needle", "message"),
    [
        (
            edited(ARM, ARM + 'regimen = ["mycophenolate"]\n'),
            "tacrolimus = true",
            r"arm\[0\]\.tacrolimus: tacrolimus is true, but the regimen says otherwise; got mycophenolate; correct",
        ),
        (
            edited("tacrolimus = false\n", 'tacrolimus = false\nregimen = ["tacrolimus", "azathioprine"]\n'),
            "tacrolimus = false",
            r"arm\[1\]\.tacrolimus: tacrolimus is false, but the regimen says otherwise; got tacrolimus, azathioprine",
        ),
        (
            edited(ARM, ARM + 'regimen = ["tacrolimus", "tacrolimus"]\n'),
            "regimen",
            r"arm\[0\]\.regimen: the same drug twice in a regimen; got tacrolimus; name each drug once",
        ),
        (
            edited(ARM, ARM + 'regimen = ["tacrolimsu"]\n'),
            "regimen",
            r"arm\[0\]\.regimen\[0\]: expected 'tacrolimus', 'mycophenolate'.*got 'tacrolimsu'",
        ),
        (
            edited('doi = "d"\n', 'doi = "d"\nassignment = "random"\n'),
            "assignment",
            r"assignment: expected 'observational' or 'randomised'; got 'random'",
        ),
        (
            with_accrual("2004", "2000"),
            "last_year",
            r"accrual\.last_year: accrual ends before it starts; got 2001 to 2000; order the years",
        ),
        (
            with_accrual('"paper"', '"papr"'),
            'source = "papr"',
            r"accrual\.source: no such source; got papr",
        ),
        (with_accrual("2001", "201"), "first_year", r"accrual\.first_year: expected .*greater than or equal to 1900"),
        (with_flare("month = 12\n", ""), FLARE[:25], r"target\[3\]\.month: a number of renal_flare needs month"),
        (with_flare('arm = "drug"\n', ""), FLARE[:25], r"target\[3\]\.arm: a number of renal_flare needs arm"),
        (
            with_flare("month = 12", "month = 18"),
            "month = 18",
            r"month: flares are counted beyond the last visit; got 18; add a visit at or after it; the last is",
        ),
        (
            with_flare('unit = "percent"', 'unit = "probability"'),
            'unit = "probability"',
            r'wrong unit for renal_flare; got probability; write unit = "percent" or unit = "patients"',
        ),
        (
            with_flare('measure = "renal_flare"', 'measure = "renal_flare_rate"'),
            'unit = "percent"',
            r'wrong unit for renal_flare_rate; got percent; write unit = "per_100_patient_years"',
        ),
        (
            with_flare('"20"\nunit = "percent"', '"2"\nunit = "patients"\nkaplan_meier = true'),
            "kaplan_meier",
            r"kaplan_meier: only a percentage of patients with an event by a month is a Kaplan-Meier",
        ),
        (
            edited('value = "50.0"', 'value = "50.0"\nkaplan_meier = true'),
            "kaplan_meier",
            r"target\[0\]\.kaplan_meier: only a percentage of patients with an event",
        ),
        (
            edited('claim = "no_sig', 'kaplan_meier = true\nclaim = "no_sig'),
            "kaplan_meier",
            r"target\[2\]\.kaplan_meier: only a percentage of patients with an event",
        ),
        (
            with_flare('unit = "percent"', 'unit = "percent"\nn = 11'),
            "n = 11",
            r"n: more patients than the arm has",
        ),
        (
            with_flare('value = "20"\nunit = "percent"', 'value = "9"\nunit = "patients"\nn = 8'),
            'value = "9"',
            r"value: not a number of patients of this arm; got 9; give a whole number from 0 to 8",
        ),
        (
            with_flare('measure = "renal_flare"', 'measure = "assessed"').replace(
                'value = "20"\nunit = "percent"', 'value = "0"\nunit = "patients"'
            ),
            'value = "0"',
            r"value: a visit at which nobody is assessed; got 0; leave the target out",
        ),
        (
            with_flare('measure = "renal_flare"', 'measure = "assessed"').replace("month = 12", "month = 9"),
            "month = 9",
            r"month: not a visit of this study; got 9; the months are 0, 6, 12",
        ),
    ],
)
def test_malformed_uses_of_regimens_assignment_accrual_and_flares(text: str, needle: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message) as caught:
        read_study(text, where="small.toml")
    assert f"line {text[: text.rindex(needle)].count(chr(10)) + 1}," in caught.value.where


def test_a_p_value_constraint_needs_two_arms() -> None:
    start, end = SMALL.index('[[arm]]\ncode = "control"'), SMALL.index("[[target]]")
    text = SMALL[:start] + SMALL[end:] + '[[reconstruction.p_value]]\ntarget = "p"\ntest = "pearson"\nreason = "r"\n'
    with pytest.raises(StudyFileError, match=r"p_value\[0\]: a p-value constraint compares two arms; got 1 arms"):
        read_study(text, where="small.toml")


def test_studies_by_name() -> None:
    carried = {entry.name[:-5] for entry in files("cohort.studies").iterdir() if entry.name.endswith(".toml")}
    assert set(available_studies()) == carried
    assert isinstance(load_study("kim2025"), Study)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kim2052", r"studies: no such study; got kim2052; did you mean kim2025\? the studies carried are .*kim2025"),
        ("zzz", r"no such study; got zzz; the studies carried are .*; or give the path of a \.toml file"),
        ("", r"no such study; got an empty name"),
        ("nowhere/x.toml", r"nowhere/x\.toml: no such study file; studies carried: .*kim2025"),
        (Path("nowhere"), r"nowhere: no such study file"),
    ],
)
def test_unknown_studies(name: str | Path, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        load_study(name)


def test_studies_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMALL)
    assert load_study(path) == load_study(str(path)) == read_study(SMALL, where="small.toml")


def test_unreadable_study_files(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"cannot read the study file; got .*directory"):
        load_study(tmp_path)
    (tmp_path / "latin.toml").write_bytes("# größe".encode("latin-1"))
    with pytest.raises(StudyFileError, match=r"cannot read the study file; got .*utf-8.*UTF-8 TOML file"):
        load_study(tmp_path / "latin.toml")
