"""TOML files a person writes: parsed into a pydantic model, every mistake named by its line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cohort.errors import LncohortError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    Model = TypeVar("Model", bound=BaseModel)

KeyPath = tuple[str | int, ...]
"""Where a value stands in a document: keys, and zero-based places in arrays, from the top."""

_HEADER = re.compile(r"^\s*(?P<open>\[\[?)\s*(?P<path>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<path>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_STRINGS_AND_COMMENTS = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*')


@dataclass(frozen=True, slots=True)
class TomlDocument:
    """A parsed TOML file that still knows on which line each key stood.

    Parameters
    ----------
    where
        Name of the file, for messages.
    text
        Its content.
    data
        The same, parsed.
    error
        Class of the errors that :meth:`fail` and :meth:`validate` raise.
    """

    where: str
    text: str
    data: Mapping[str, Any]
    error: type[LncohortError]

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of ``path``, or of the innermost enclosing table or key that has one (else 1)."""
        lines = _key_lines(self.text)
        for length in range(len(path), 0, -1):
            found = lines.get(tuple(path[:length]))
            if found is not None:
                return found
        return 1

    def fail(self, what: str, path: Sequence[str | int], *, got: str = "", remedy: str = "") -> LncohortError:
        """Return the error that says ``what`` is wrong at ``path``; the caller raises it."""
        where = f"{self.where} line {self.line(path)}"
        if path:
            where += f", {key_path(path)}"
        return self.error(what, where=where, got=got, remedy=remedy)

    def validate(self, model: type[Model]) -> Model:
        """Return the content as an instance of ``model``.

        Raises
        ------
        LncohortError
            Of the document's error class, for the topmost mistake in the file; the number of further ones is told.
        """
        from pydantic import ValidationError

        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            found = sorted(error.errors(include_url=False), key=lambda item: self.line(item["loc"]))
            raise self._mistake(found[0], len(found) - 1, model) from None

    def _mistake(self, item: ErrorDetails, others: int, model: type[BaseModel]) -> LncohortError:
        path = item["loc"]
        more = f"; {others} more after this one" if others else ""
        if item["type"] == "missing":
            return self.fail(f"missing key{more}", path, remedy=f"add {path[-1]} = ... to this table")
        if item["type"] == "extra_forbidden":
            known = known_keys(model, path[:-1])
            return self.fail(f"unknown key{more}", path, remedy=closest(str(path[-1]), known, "the keys here are"))
        expected = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        return self.fail(f"expected {expected}{more}", path, got=repr(item["input"]), remedy="correct the value")


def read_toml(text: str, *, where: str, error: type[LncohortError]) -> TomlDocument:
    """Parse TOML and remember the line of every key.

    Parameters
    ----------
    text
        Content of the file.
    where
        Name of the file, for messages.
    error
        Class of the error to raise for this kind of file.

    Raises
    ------
    LncohortError
        Of class ``error``, with the line, if ``text`` is not TOML.

    Examples
    --------
    >>> document = read_toml("a = 1\\n[[b]]\\nc = 2\\n", where="x.toml", error=LncohortError)
    >>> document.line(("b", 0, "c"))
    3
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as mistake:
        message = str(mistake)
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
        line = place.group(1) if place and place.group(1) else str(max(1, len(text.splitlines())))
        raise error(
            "this is not valid TOML",
            where=f"{where} line {line}",
            got=message[: place.start()] if place else message,
            remedy="correct the line (strings in quotes, one key = value a line)",
        ) from None
    return TomlDocument(where, text, data, error)


def named_text(
    name_or_path: str | Path, *, folder: Traversable, what: str, option: str, error: type[LncohortError]
) -> tuple[str, str]:
    """Return where a TOML text stands and the text itself: one carried in ``folder``, by name, or any file, by path.

    Parameters
    ----------
    name_or_path
        A path if it is a :class:`~pathlib.Path`, ends in ``.toml`` or has a slash; else a name.
    folder
        Folder of the files carried, each ``NAME.toml``.
    what, option
        Word for what the files describe, and the option that names one, for messages.
    error
        Class of the errors raised: for an unknown name, and for a file that cannot be read.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        try:
            return text, Path(name_or_path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise error(
                f"cannot read the {what} file", where=text, got=str(problem), remedy="give a readable UTF-8 TOML file"
            ) from None
    known = carried_names(folder)
    if text not in known:
        remedy = closest(text, known, f"the {what}s carried are") + "; or give the path of a .toml file"
        raise error(f"no such {what}", where=option, got=text or "an empty name", remedy=remedy)
    return f"{text}.toml", (folder / f"{text}.toml").read_text("utf-8")


def carried_names(folder: Traversable) -> tuple[str, ...]:
    """Return the names of the TOML files in a folder that the package carries, in alphabetical order."""
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def key_path(path: Sequence[str | int]) -> str:
    """Write a path as a person would: ``target[7].month`` (places in arrays count from 0)."""
    written = ""
    for part in path:
        written += f"[{part}]" if isinstance(part, int) else f".{part}" if written else part
    return written


def closest(name: str, known: Sequence[str], otherwise: str) -> str:
    """Return a remedy that suggests the nearest known name, or lists them all after ``otherwise``."""
    near = get_close_matches(name, known, n=1)
    listed = f"{otherwise} {', '.join(known)}"
    return f"did you mean {near[0]}? {listed}" if near else listed


def known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at ``path`` of a document of ``model`` may have, as they are written."""
    from pydantic import BaseModel

    current: type[BaseModel] = model
    for part in path:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in current.model_fields.items()}
        inner = _model_inside(fields[part].annotation, BaseModel)
        if inner is None:
            return []
        current = inner
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_inside(annotation: Any, base: type) -> Any:
    """Return the model class within ``tuple[Model, ...]``, ``Model | None`` or ``Model`` itself."""
    if isinstance(annotation, type) and issubclass(annotation, base):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _model_inside(argument, base)
        if inner is not None:
            return inner
    return None


@lru_cache(maxsize=1)
def _key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line of every header and key; the text is known to be valid TOML."""
    lines: dict[KeyPath, int] = {}
    places: dict[KeyPath, int] = {}
    table: KeyPath = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not quote and depth == 0:
            header, key = _HEADER.match(line), _KEY.match(line)
            if header:
                table = _header_path(_parts(header["path"]), places, is_array=header["open"] == "[[")
                lines[table] = number
                continue
            if key:
                _record(lines, table, _parts(key["path"]), number)
        depth, quote = _open_brackets(line, depth, quote)
    return lines


def _record(lines: dict[KeyPath, int], table: KeyPath, parts: list[str], number: int) -> None:
    for length in range(1, len(parts) + 1):
        lines.setdefault(table + tuple(parts[:length]), number)


def _parts(path: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(path)]


def _header_path(parts: list[str], places: dict[KeyPath, int], *, is_array: bool) -> KeyPath:
    """Resolve a header: every array of tables on the way stands at its latest entry; ``[[x]]`` opens a new one."""
    path: KeyPath = ()
    for position, part in enumerate(parts):
        path += (part,)
        if is_array and position == len(parts) - 1:
            places[path] = places.get(path, -1) + 1
        if path in places:
            path += (places[path],)
    return path


def _open_brackets(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Return how many brackets, and which triple quote, are still open after ``line``."""
    position = 0
    while True:
        if quote:
            end = line.find(quote, position)
            if end < 0:
                return depth, quote
            position, quote = end + 3, ""
        token = _STRINGS_AND_COMMENTS.search(line, position)
        plain = line[position : token.start() if token else len(line)]
        depth += sum(plain.count(mark) for mark in "[{") - sum(plain.count(mark) for mark in "]}")
        if token is None or token.group().startswith("#"):
            return depth, quote
        position = token.end()
        if token.group() in ('"""', "'''"):
            quote = token.group()
