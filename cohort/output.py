"""Output directories are written whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cohort.errors import OutputError

MARK = ".lncohort"
"""Empty file that marks a directory as written by lncohort, so that ``--overwrite`` replaces nothing else."""


def check_free(target: Path, *, overwrite: bool, inputs: Sequence[Path] = ()) -> None:
    """Check, before any work, that ``target`` can be written.

    Parameters
    ----------
    target
        Directory to be written.
    overwrite
        Whether a directory that lncohort wrote may be replaced.
    inputs
        What the work reads: it must not be removed by replacing ``target``.

    Raises
    ------
    OutputError
        If it exists and may not be replaced, holds an input, or its parent cannot be written.
    """
    if _exists(target):
        if not overwrite:
            raise OutputError(
                "the output exists already", where=str(target), remedy="name a new one or add --overwrite"
            )
        if not (target.is_dir() and not target.is_symlink() and (target / MARK).is_file()):
            raise OutputError(
                "--overwrite replaces only a directory that lncohort wrote",
                where=str(target),
                remedy="remove it yourself or name a new one",
            )
        for source in inputs:
            if source.resolve().is_relative_to(target.resolve()):
                raise OutputError("--overwrite would remove the input", where=str(target), remedy="name another output")
    parent = target.absolute().parent
    while not _exists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise OutputError("a file stands where a folder is needed", where=str(parent), remedy="name another place")


def _exists(path: Path) -> bool:
    """Return whether something, be it a broken link, stands at ``path``."""
    try:
        return path.exists() or path.is_symlink()
    except OSError as error:
        raise OutputError(
            "cannot write there", where=str(path), got=str(error.strerror), remedy="name another place"
        ) from error


@contextmanager
def new_directory(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a scratch folder that becomes ``target`` in one rename when the block ends without an error.

    Raises
    ------
    OutputError
        As :func:`check_free`, and if the file system refuses.
    """
    check_free(target, overwrite=overwrite)
    target = target.absolute()
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".lncohort.", dir=target.parent))
    except OSError as error:
        _remove_empty(made)
        raise OutputError(
            "cannot write there",
            where=str(target.parent),
            got=str(error.strerror),
            remedy="name another place",
        ) from error
    try:
        content = scratch / "new"
        content.mkdir()
        try:
            yield content
            (content / MARK).touch()
            replace_directory(content, target, scratch / "old")
        except OSError as error:
            raise OutputError(
                "writing failed",
                where=str(target),
                got=str(error.strerror or error),
                remedy="check space and rights",
            ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        _remove_empty(made)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove the folders made on the way to a target that never came, innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def replace_directory(new: Path, target: Path, aside: Path) -> None:
    """Put ``new`` in the place of ``target``, moving an existing ``target`` to ``aside``; undo if that fails."""
    moved = target.exists()
    if moved:
        target.rename(aside)
    try:
        new.rename(target)
    except OSError:
        if moved:
            aside.rename(target)
        raise


def write_file(target: Path, content: str, *, overwrite: bool = False) -> None:
    """Write ``content`` to ``target`` whole or not at all.

    Raises
    ------
    OutputError
        If it exists and ``overwrite`` is false, or the file system refuses.
    """
    if _exists(target) and not overwrite:
        raise OutputError("the output exists already", where=str(target), remedy="name a new one or add --overwrite")
    try:
        with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".lncohort.") as scratch:
            whole = Path(scratch) / "new"
            whole.write_text(content, encoding="utf-8", newline="\n")
            whole.replace(target)
    except OSError as error:
        raise OutputError(
            "cannot write there", where=str(target), got=str(error.strerror), remedy="name another place"
        ) from error
