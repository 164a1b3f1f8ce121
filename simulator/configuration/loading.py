"""Reads a sandbox file into a pydantic model, or says all that is wrong with it. Not which keys there are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path as FilePath
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from simulator.configuration.composing import MAX_BYTES, parse, position_in
from simulator.configuration.document import Document, Word, plain
from simulator.configuration.mistakes import Mistake, likeliest, mistakes_of, problem_of, wants_text
from simulator.configuration.problems import ConfigurationError, Path, Problem, did_you_mean
from simulator.configuration.shape import Shape, schema

__all__ = [
    "Checks",
    "ConfigurationError",
    "Document",
    "Finding",
    "Path",
    "Problem",
    "parse",
    "read",
    "read_file",
    "schema",
    "validate",
]

M = TypeVar("M", bound=BaseModel)
Finding: TypeAlias = tuple[Path, str, Sequence[str]]
"""Where (path), what (message), and the values that would have been right, for "did you mean"."""
Checks: TypeAlias = Callable[[M], Iterable[Finding]]


def read_file(path: str | PathLike[str], model: type[M], *, checks: Checks[M] | None = None) -> M:
    """Read the file at `path`; see `read`. A file that cannot be read is one problem with the file."""
    name = fspath(path)
    return read(_text_of(name), name=name, model=model, checks=checks)


def read(text: str, *, name: str, model: type[M], checks: Checks[M] | None = None) -> M:
    """Read one YAML document. `name` is what problems call the file.

    `checks` look at the whole model once it is valid, for what no single key can tell (an unknown buyer id).
    Raises ConfigurationError with everything that is wrong, in the order of the file.
    """
    return validate(parse(text, name=name), model, checks=checks)


def validate(document: Document, model: type[M], *, checks: Checks[M] | None = None) -> M:
    """Make the model of a document. Raises ConfigurationError; see `read`.

    Values reach the model as JSON would bring them, so that strict models accept lists for tuples and
    sets, and text for enums and dates.
    """
    content = plain(document.root)
    while True:
        try:
            made = model.model_validate_json(json.dumps(content))
        except ValidationError as error:
            mistakes = mistakes_of(error, Shape(model), document)
            # Each round turns at least one number into text for good, so this ends.
            if not _restore_text(content, mistakes):
                problems = [problem_of(mistake, document) for mistake in likeliest(mistakes)]
                raise ConfigurationError(_merged(document.problems, problems)) from None
        else:
            _refuse([*document.problems, *_after(made, document, checks)])
            return made


def _restore_text(content: Any, mistakes: Iterable[Mistake]) -> bool:
    """Put back what was written (`1e5`, `true`) where the model wants text. Return whether any was."""
    changed = False
    for mistake in mistakes:
        node = mistake.place.node
        if isinstance(node, Word) and wants_text(mistake):
            changed |= _replace(content, mistake.place.path, node.text)
    return changed


def _replace(content: Any, path: Path, text: str) -> bool:
    for step in path[:-1]:
        content = content[_step(content, step)]
    last = _step(content, path[-1])
    if isinstance(content[last], str):
        return False
    content[last] = text
    return True


def _step(content: Any, step: str | int) -> str | int:
    return str(step) if isinstance(content, dict) else step


def _merged(first: Iterable[Problem], then: Iterable[Problem]) -> list[Problem]:
    """Leave out of `then` what repeats itself or is said in `first` about the same place."""
    merged = list(first)
    taken = {(problem.line, problem.column) for problem in merged}
    merged += (problem for problem in dict.fromkeys(then) if (problem.line, problem.column) not in taken)
    return merged


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ConfigurationError(problems)


def _after(made: M, document: Document, checks: Checks[M] | None) -> Iterator[Problem]:
    for path in _endless(made, ()):
        yield document.problem(path, "must be a finite number")
    for path, message, candidates in checks(made) if checks else ():
        node = document.find(path)
        written = node.text if isinstance(node, Word) else ""
        yield document.problem(path, message, did_you_mean(written, candidates))


def _endless(value: Any, path: Path) -> Iterator[Path]:
    """Find what a lenient number field made of the words `nan` and `inf`."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path
        return
    for step, below in _inside(value):
        yield from _endless(below, (*path, step))


def _inside(value: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, BaseModel):
        return iter(value)
    if isinstance(value, Mapping):
        return ((str(key), below) for key, below in value.items())
    return enumerate(value) if isinstance(value, list | tuple) else ()


def _text_of(name: str) -> str:
    try:
        with FilePath(name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError([Problem(name, 0, 0, "", "there is no such file")]) from None
    except IsADirectoryError:
        raise ConfigurationError([Problem(name, 0, 0, "", "is a folder, not a file")]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError([Problem(name, 0, 0, "", f"cannot be read: {reason}")]) from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError([Problem(name, 0, 0, "", "is larger than 5 MiB")])
    return _decoded(content, name)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode()
        line, column = position_in(readable, len(readable))
        message = f"is not UTF-8 text (byte 0x{content[error.start]:02x})"
        raise ConfigurationError([Problem(name, line, column, "", message, "save it as UTF-8")]) from None
