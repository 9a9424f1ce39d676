"""Malformed and impossible scenarios: exit code 2, one message that names the dial and helps, nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cohort.errors import ScenarioError
from synthetic.population_plan import PopulationPlan
from synthetic.scenario import load_scenario

RESPONSE = '[response]\nmeasure = "{}"\nmonth = {}\nrisk_difference = {}\n'

MALFORMED: dict[str, tuple[str, str]] = {
    "unknown table": ("[curse]\nflare_rate = 1.0\n", "mine.toml line 1, curse: unknown key; got curse; did you mean"),
    "unknown dial": (
        "[course]\nflare_rates = 1.0\n",
        "mine.toml line 2, course.flare_rates: unknown dial; got flare_rates; did you mean flare_rate?",
    ),
    "a table that is none": ("course = 3\n", "line 1, course: expected a table [course]; got 3"),
    "text for a number": (
        '[course]\nflare_rate = "often"\n',
        "line 2, course.flare_rate: expected a number between 0 and 1000 (per 100 patient-years in response); got 'oft",
    ),
    "truth for a number": ("[course]\nflare_rate = true\n", "course.flare_rate: expected a number between 0 and 1000"),
    "not a number": ("[course]\nflare_rate = nan\n", "course.flare_rate: expected a number between 0 and 1000"),
    "infinite": ("[course]\nflare_rate = inf\n", "course.flare_rate: expected a number between 0 and 1000"),
    "an absurd whole number": (
        f"[centres]\nnumber = 1{'0' * 400}\n",
        "centres.number: expected a whole number between 1 and 1000 (centres)",
    ),
    "part of a centre": ("[centres]\nnumber = 2.5\n", "centres.number: expected a whole number between 1 and 1000"),
    "out of range": (
        "[missing]\nmissed_visit_share = 1.2\n",
        "missing.missed_visit_share: expected a number between 0 and 1 (share of unassessed patients who stay",
    ),
    "a ratio of nothing": (
        "[effect]\nflare_hazard_ratio = 0.0\n",
        "effect.flare_hazard_ratio: expected a number between 0.01 and 100 (hazard ratio of renal flare",
    ),
    "an end that is excluded": (
        "[course]\nvisit_autocorrelation = 1.0\n",
        "course.visit_autocorrelation: expected a number between -1 and 1, both excluded (correlation of adjacent",
    ),
    "unknown mechanism": (
        '[missing]\nmechanism = "mnar"\n',
        "missing.mechanism: expected one of mcar, mar, informative; got 'mnar'",
    ),
    "a mix beside one": (
        "[treatment]\nbackground_share = [0.5, 0.3, 0.3]\n",
        "treatment.background_share: expected numbers that sum to 1 (mycophenolate, azathioprine, mizoribine)",
    ),
    "a mix below nothing": (
        "[treatment]\ninduction_share = [1.2, -0.1, -0.1]\n",
        "treatment.induction_share: expected a number between 0 and 1",
    ),
    "a mix too short": (
        "[baseline]\nclass_mix = [0.5, 0.5]\n",
        "baseline.class_mix: expected 6 numbers (proportion of",
    ),
    "no date": ('[calendar]\ndata_lock = "2021-02-30"\n', "calendar.data_lock: expected a date such as 2021-12-31"),
    "unknown status": (
        '[course]\nflare_rate = { value = 8.1, status = "guessed" }\n',
        "course.flare_rate: expected a status of reported,",
    ),
    "a value without value": (
        '[course]\nflare_rate = { status = "assumed" }\n',
        "course.flare_rate: expected a value, or a table with value, status and source; got {'status': 'assumed'}",
    ),
    "contradicting ages": (
        "[baseline]\nage_minimum = 50.0\n",
        "mine.toml line 1: dials contradict each other; keep baseline.age_minimum < age_mean < age_maximum",
    ),
    "confounding and effect at once": (
        "[assignment]\nstrength = 0.5\n" + RESPONSE.format("complete_response", 12, 0.0),
        "line 2, assignment.strength: confounding and the effect on response are both given, but print fixes their sum",
    ),
    "unknown measure": (
        RESPONSE.format("remission", 12, 0.0),
        "response.measure: expected one of complete_response, overall_response; got 'remission'",
    ),
    "a list of measures": (
        '[response]\nmeasure = ["complete_response"]\nmonth = 12\nrisk_difference = 0.0\n',
        "response.measure: expected one of complete_response, overall_response; got ['complete_response']",
    ),
    "an effect too large for a share": (
        RESPONSE.format("complete_response", 12, 1.5),
        "response.risk_difference: expected a difference between -1 and 1; got 1.5",
    ),
    "an effect without a month": (
        '[response]\nmeasure = "complete_response"\n',
        "response: missing key month; add month = ...",
    ),
    "an effect with more": (
        RESPONSE.format("complete_response", 12, 0.0) + "weeks = 52\n",
        "response.weeks: unknown key",
    ),
    "a number for a name": ("name = 7\n", "line 1, name: expected some text in quotes; got 7"),
    "not TOML": ("[course\nflare_rate = 1\n", "mine.toml line 1: this is not valid TOML"),
}

IMPOSSIBLE: dict[str, tuple[str, str]] = {
    "a month nobody is seen": (
        RESPONSE.format("complete_response", 18, 0.0),
        "dial response.month: no scheduled visit; got 18; choose one of [6, 12, 24, 36, 60]",
    ),
    "deaths without room": (
        "[course]\ndeath_rate = 30.0\n",
        "dial course.death_rate, study kim2025: more deaths than patients who leave: the printed numbers of assessed "
        "patients leave no room; got 30; choose at most ",
    ),
    "no accrual": (
        "[calendar]\nfirst_index_year = 2018\n",
        "dials calendar.first_index_year and calendar.data_lock, study kim2025: the last visit does not fit between "
        "the first index date and the data lock; got 1460 days, and 1886 are needed; choose first_index_year at most "
        "2016",
    ),
}

SLOW: dict[str, tuple[str, str]] = {
    "too few flares": (
        "[effect]\nflare_hazard_ratio = 0.5\n",
        "dial effect.flare_hazard_ratio, study kim2025, arm tacrolimus, month 36: too few flares: non-responders rise "
        "faster than responders flare; got 0.5; a share of 0.246 without response; choose effect.flare_hazard_ratio at "
        "least about 0.",
    ),
    "too many kidney failures": (
        "[course]\neskd_rate = 8.0\n",
        "dial course.eskd_rate, study kim2025, arm no_tacrolimus, month 60: too many kidney failures for the printed "
        "responses; got 8; a share of 0.127 without response; choose course.eskd_rate at most about ",
    ),
    "an effect out of reach": (
        RESPONSE.format("complete_response", 12, 0.9),
        "dial response.risk_difference, study kim2025, complete_response at month 12: no admissible confounding "
        "explains the rest of the printed difference; got 0.9; choose a value up to ",
    ),
}


@pytest.fixture
def refused(lncohort: Callable[..., object], tmp_path: Path) -> Callable[..., str]:
    """Give a function that runs generate under a scenario that must be refused, and returns the message."""
    place = tmp_path / "place"
    place.mkdir()

    def run(scenario: object, *options: object) -> str:
        before = sorted(path.name for path in place.rglob("*"))
        done = lncohort("generate", "kim2025", "--scenario", scenario, "--out", "new/out", *options, cwd=place)
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert sorted(path.name for path in place.rglob("*")) == before
        lines = done.stderr.rstrip("\n").split("\n")
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("error: ")
        return lines[0]

    return run


Refused = Callable[..., str]


SAMPLE = ("unknown dial", "a mix beside one", "contradicting ages", "confounding and effect at once", "not TOML")
"""Malformed scenarios that the default run sends through the command; the slow run sends all."""


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_scenario(case: str, tmp_path: Path) -> None:
    text, message = MALFORMED[case]
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ScenarioError, match=re.escape(message)):
        load_scenario(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in SAMPLE else pytest.mark.slow) for case in MALFORMED]
)
def test_a_malformed_scenario_given_to_the_command(case: str, refused: Refused, tmp_path: Path) -> None:
    text, message = MALFORMED[case]
    (tmp_path / "mine.toml").write_text(text)
    assert message in refused(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case == "deaths without room" else pytest.mark.slow) for case in IMPOSSIBLE]
)
@pytest.mark.parametrize("options", [(), ("--mode", "population", "--patients", "50")], ids=["exact", "population"])
def test_an_impossible_scenario(case: str, options: tuple[str, ...], refused: Refused, tmp_path: Path) -> None:
    text, message = IMPOSSIBLE[case]
    (tmp_path / "mine.toml").write_text(text)
    assert message in refused(tmp_path / "mine.toml", *options)


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
def test_an_impossible_scenario_that_takes_a_calibration_to_find(case: str, refused: Refused, tmp_path: Path) -> None:
    text, message = SLOW[case]
    (tmp_path / "mine.toml").write_text(text)
    assert message in refused(tmp_path / "mine.toml")
    assert message in refused(tmp_path / "mine.toml", "--mode", "population", "--patients", 50)


def test_names_and_files_that_cannot_be_read(refused: Refused, tmp_path: Path) -> None:
    assert "--scenario: no such scenario; got registrie; did you mean registry?" in refused("registrie")
    (tmp_path / "binary.toml").write_bytes(bytes(range(256)))
    message = refused(tmp_path / "binary.toml", "--mode", "population", "--patients", 9)
    assert "binary.toml: cannot read the scenario file" in message
    assert "give a readable UTF-8 TOML file" in message
    with pytest.raises(ScenarioError, match=r"missing\.toml: cannot read the scenario file; got"):
        load_scenario(tmp_path / "missing.toml")
    with pytest.raises(ScenarioError, match="cannot read the scenario file; got"):
        load_scenario(tmp_path)
    (tmp_path / "null.toml").write_bytes(b"[course]\0\n")
    with pytest.raises(ScenarioError, match=r"null\.toml line 1: this is not valid TOML"):
        load_scenario(tmp_path / "null.toml")


@pytest.mark.slow
def test_a_population_begun_under_one_scenario_is_not_finished_under_another(
    lncohort: Callable[..., object], refused: Refused, tmp_path: Path
) -> None:
    place, mine = tmp_path / "place", tmp_path / "mine.toml"
    mine.write_text('name = "mine"\n')
    command = ("generate", "kim2025", "--mode", "population", "--patients", 40, "--out", "new/out", "--scenario")
    assert lncohort(*command, mine, cwd=place).returncode == 0
    # What an interruption leaves behind: the plan, and no finished part.
    plan = place / "new" / ".out.unfinished"
    (place / "new" / "out").rename(plan)
    for left in plan.rglob("*"):
        if left.is_file():
            left.unlink()
    (plan / "plan.json").write_text(PopulationPlan("kim2025", 2025, 40, load_scenario(mine)).text)
    mine.write_text('name = "mine"\n[course]\nzoster_rate = 4.0\n')
    message = refused(mine, "--mode", "population", "--patients", 40)
    assert ".out.unfinished: unfinished work of another run stands there; finish it with the same command" in message
    mine.write_text('name = "mine"\n')
    assert lncohort(*command, mine, cwd=place).returncode == 0
    assert (place / "new" / "out" / "cohort.json").is_file()
    assert not plan.exists()
