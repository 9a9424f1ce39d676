"""Doses, origins and the data lock of a study file: what contradicts itself is refused at its line."""

from __future__ import annotations

from importlib.resources import files

import pytest

from cohort.errors import StudyFileError
from cohort.targets import read_study

TEXT = files("cohort.studies").joinpath("aurora1.toml").read_text("utf-8")
BEFORE = 'drug = "voclosporin"\nmg_day = 47.4\n'
OF_DOSE = f'{BEFORE}status = "derived"\nsource = "registry"'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (BEFORE, 'drug = "azathioprine"\n', r"a dose of a drug that the regimen does not name; got azathioprine"),
        (BEFORE, 'drug = "mycophenolate"\n', r"a second dose of a drug; got mycophenolate"),
        (BEFORE, f"{BEFORE}trough_ng_ml = [5, 7]\n", r"levels are kept for tacrolimus only; got voclosporin"),
        (BEFORE, f"{BEFORE}from_month = 3\n", r"may start after day 0; got voclosporin from month 3"),
        (BEFORE, f"{BEFORE}until_month = 0\n", r"until_month"),
        (
            'drug = "mycophenolate"\nmg_day = 2000.0\n',
            'drug = "mycophenolate"\nfrom_month = 6\nuntil_month = 6\n',
            r"a drug ends before it starts; got from month 6 until month 6",
        ),
        (OF_DOSE, OF_DOSE.replace("registry", "hearsay"), r"no such source; got hearsay"),
        ("share = 0.67", "share = 0.5", r"shares of the origins do not sum to 1; got 0.83"),
        ('code = "other"\n', 'code = "hispanic"\n', r"the same code as origin\[0\]; got hispanic"),
        (
            "last_year = 2019\n",
            "last_year = 2019\ndata_lock = 2018-12-31\n",
            r"the records end before accrual; got 2018-12-31",
        ),
    ],
)  # fmt: skip
def test_contradictions_are_named(old: str, new: str, said: str) -> None:
    assert TEXT.count(old) >= 1
    with pytest.raises(StudyFileError, match=said) as told:
        read_study(TEXT.replace(old, new, 1), where="aurora1.toml")
    assert "line" in str(told.value)


def test_a_level_aimed_at_is_ordered() -> None:
    text = files("cohort.studies").joinpath("bao2008.toml").read_text("utf-8")
    with pytest.raises(StudyFileError, match=r"the level aimed at ends below its start; got 7 to 5"):
        read_study(text.replace("[5.0, 7.0]", "[7.0, 5.0]"), where="bao2008.toml")
