"""Protects the line and key that a mistake in a TOML file is reported at."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field

from cohort.errors import StudyFileError
from cohort.toml_document import closest, key_path, known_keys, read_toml

TEXT = '''title = "x" # a [comment]
numbers = [
    1,
    2,
]
prose = """
[not_a_table]
key = "in a string"
"""
a.b = 1

[[row]] # first
name = "one"
"quoted key" = 2

[[row]]
name = 'two'

[[row.inner]]
depth = 1

[[row.inner]]
depth = { x = 2, y = [3] }

[plain.sub]
last = 1
'''


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: tuple[Inner, ...] | None = None


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: tuple[Row, ...] = Field(default=(), alias="row")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 1),
        (("numbers", 1), 2),
        (("prose",), 6),
        (("a", "b"), 10),
        (("a",), 10),
        (("row", 0), 12),
        (("row", 0, "name"), 13),
        (("row", 0, "quoted key"), 14),
        (("row", 1), 16),
        (("row", 1, "name"), 17),
        (("row", 1, "inner", 0), 19),
        (("row", 1, "inner", 1, "depth"), 23),
        (("row", 1, "inner", 1, "depth", "x"), 23),
        (("plain", "sub", "last"), 26),
        (("row", 0, "missing"), 12),
        (("not_a_table",), 1),
        ((), 1),
    ],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    assert read_toml(TEXT, where="x.toml", error=StudyFileError).line(path) == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = = 2\n", r"^x\.toml line 2: this is not valid TOML; got Invalid value; correct"),
        ("a = 1\nb = [1\n", r"^x\.toml line 2: this is not valid TOML; got Unclosed array; correct"),
        ("", r"^x\.toml line 1, key: missing key; add key = "),
    ],
)
def test_broken_toml_is_reported_at_its_line(text: str, message: str) -> None:
    class Needy(BaseModel):
        key: int

    with pytest.raises(StudyFileError, match=message):
        read_toml(text, where="x.toml", error=StudyFileError).validate(Needy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[row]]\nname = "a"\n[[row]]\nnam = "b"\n',
            r"line 3, row\[1\]\.name: missing key; 1 more after this one; add name = \.\.\. to this table",
        ),
        (
            '[[row]]\nname = "a"\nnames = 1\n',
            r"line 3, row\[0\]\.names: unknown key; did you mean name\? the keys here are name, inner",
        ),
        ("[[row]]\nname = 3\n", r"line 2, row\[0\]\.name: expected a valid string; got 3; correct the value"),
        (
            '[[row]]\nname = "a"\n[[row.inner]]\ndepht = 1\n',
            r"line 3, row\[0\]\.inner\[0\]\.depth: missing key; 1 more",
        ),
        ("rwo = 1\n", r"line 1, rwo: unknown key; did you mean row\? the keys here are row"),
    ],
)
def test_mistakes_name_line_key_and_remedy(text: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        read_toml(text, where="x.toml", error=StudyFileError).validate(Table)


def test_the_topmost_mistake_is_reported_first() -> None:
    text = '[[row]]\nname = "a"\nzzz = 1\n[[row]]\nname = 1\n'
    with pytest.raises(StudyFileError, match=r"line 3, row\[0\]\.zzz: unknown key; 1 more after this one; the keys"):
        read_toml(text, where="x.toml", error=StudyFileError).validate(Table)


def test_paths_names_and_suggestions() -> None:
    assert key_path(("target", 7, "month")) == "target[7].month"
    assert known_keys(Table, ("row", 0, "inner", 2)) == ["depth"]
    assert known_keys(Table, ("row", 0, "name")) == []
    assert closest("kim2052", ["kim2025", "liu2015"], "known:") == "did you mean kim2025? known: kim2025, liu2015"
    assert closest("q", ["kim2025"], "known:") == "known: kim2025"


def test_a_fault_of_the_whole_document_has_no_key() -> None:
    document = read_toml("a = 1\n", where="x.toml", error=StudyFileError)
    assert str(document.fail("all wrong", (), remedy="start anew")) == "x.toml line 1: all wrong; start anew"
