"""Protects the promise that an output is written whole or not at all, and never over what lncohort did not write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cohort.errors import OutputError, UsageError
from cohort.output import MARK, check_free, new_directory, replace_directory, write_file


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def written(target: Path, text: str, *, overwrite: bool = False) -> None:
    with new_directory(target, overwrite=overwrite) as scratch:
        (scratch / "content.txt").write_text(text)


def test_a_directory_appears_with_its_content_and_mark(tmp_path: Path) -> None:
    written(tmp_path / "a" / "b", "one")
    assert everything(tmp_path) == ["a", "a/b", f"a/b/{MARK}", "a/b/content.txt"]


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with new_directory(target) as scratch:
        (scratch / "content.txt").write_text("half")
        assert not target.exists()
    assert target.is_dir()


@pytest.mark.parametrize("error", [ValueError("bug"), UsageError("wrong"), KeyboardInterrupt()])
def test_nothing_stays_when_the_work_fails(tmp_path: Path, error: BaseException) -> None:
    def work() -> None:
        with new_directory(tmp_path / "new" / "parents" / "out") as scratch:
            (scratch / "half.txt").write_text("half")
            raise error

    with pytest.raises(type(error)):
        work()
    assert everything(tmp_path) == []


def test_a_failed_write_is_one_error_and_keeps_what_stood_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    written(target, "old")
    before = everything(tmp_path)

    def work() -> None:
        with new_directory(target, overwrite=True) as scratch:
            (scratch / "missing" / "x.txt").write_text("no such folder")

    with pytest.raises(OutputError, match="out: writing failed; got No such file or directory; check space and rights"):
        work()
    assert everything(tmp_path) == before
    assert (target / "content.txt").read_text() == "old"


def test_parents_that_stood_before_stay_when_the_work_fails(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="bug"), new_directory(tmp_path / "mine" / "new" / "out"):
        raise ValueError("bug")
    assert everything(tmp_path) == ["mine"]


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "broken link", "ours"])
def test_an_existing_output_is_refused(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    if kind == "file":
        target.write_text("mine")
    elif kind == "broken link":
        target.symlink_to(tmp_path / "nowhere")
    elif kind == "ours":
        written(target, "old")
    else:
        target.mkdir()
        if kind == "folder":
            (target / "thesis.txt").write_text("mine")
    before = everything(tmp_path)
    with pytest.raises(OutputError, match="out: the output exists already; name a new one or add --overwrite"):
        written(target, "new")
    if kind != "ours":
        with pytest.raises(OutputError, match="--overwrite replaces only a directory that lncohort wrote; remove it y"):
            written(target, "new", overwrite=True)
    assert everything(tmp_path) == before


def test_a_link_to_one_of_ours_is_not_replaced(tmp_path: Path) -> None:
    written(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OutputError, match="--overwrite replaces only a directory that lncohort wrote"):
        written(tmp_path / "link", "new", overwrite=True)


def test_overwrite_replaces_the_whole_directory(tmp_path: Path) -> None:
    target = tmp_path / "out"
    written(target, "old")
    (target / "more.txt").write_text("from an earlier run")
    written(target, "new", overwrite=True)
    assert everything(tmp_path) == ["out", f"out/{MARK}", "out/content.txt"]
    assert (target / "content.txt").read_text() == "new"


def test_overwrite_does_not_remove_an_input(tmp_path: Path) -> None:
    target = tmp_path / "out"
    written(target, "old")
    (target / "cohort").mkdir()
    for source in (target, target / "cohort"):
        with pytest.raises(OutputError, match="out: --overwrite would remove the input; name another output"):
            check_free(target, overwrite=True, inputs=[source])
    check_free(target, overwrite=True, inputs=[tmp_path / "elsewhere"])


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file: a file stands where a folder is needed; name another place"):
        written(tmp_path / "file" / "a" / "out", "new")
    assert everything(tmp_path) == ["file"]


def test_a_name_the_file_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write there; got File name too long; name another place"):
        written(tmp_path / ("x" * 300), "new")
    with pytest.raises(OutputError, match="cannot write there; got File name too long"):
        write_file(tmp_path / ("x" * 300), "new")
    with pytest.raises(OutputError, match="cannot write there; got File name too long"):
        check_free(tmp_path / ("x" * 300) / "out", overwrite=False)


def test_a_long_name_that_is_allowed_is_written(tmp_path: Path) -> None:
    written(tmp_path / ("x" * 255), "new")
    assert (tmp_path / ("x" * 255) / "content.txt").is_file()


def test_a_place_that_takes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> str:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(OutputError, match="cannot write there; got Read-only file system; name another place"):
        written(tmp_path / "new" / "out", "new")
    assert everything(tmp_path) == []


def test_a_failed_last_rename_puts_the_old_directory_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    written(target, "old")
    rename = Path.rename

    def refuse(self: Path, other: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="out: writing failed; got No space left on device"):
        written(target, "new", overwrite=True)
    assert (target / "content.txt").read_text() == "old"
    assert everything(tmp_path) == ["out", f"out/{MARK}", "out/content.txt"]
    with pytest.raises(OSError, match="No space"):
        replace_directory(tmp_path / "new", tmp_path / "other", tmp_path / "aside")
    assert not (tmp_path / "aside").exists()


def test_a_file_is_written_whole_with_unix_line_ends(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    write_file(target, "é\n")
    assert target.read_bytes() == "é\n".encode()
    assert everything(tmp_path) == ["page.html"]


def test_the_rights_of_a_file_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "page.html", "x")
        written(tmp_path / "out", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_an_existing_file_is_kept_unless_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    write_file(target, "old")
    with pytest.raises(OutputError, match=r"page\.html: the output exists already; name a new one or add --overwrite"):
        write_file(target, "new")
    assert target.read_text() == "old"
    write_file(target, "new", overwrite=True)
    assert target.read_text() == "new"


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write there; got No such file or directory; name another place"):
        write_file(tmp_path / "nowhere" / "page.html", "x")
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OutputError, match="cannot write there; got Is a directory"):
        write_file(tmp_path / "page.html", "x", overwrite=True)
    assert everything(tmp_path) == ["page.html"]
