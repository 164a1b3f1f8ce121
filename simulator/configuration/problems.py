"""What can be wrong with a sandbox file, as values. How it is found lives in the modules that read it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import TypeAlias

from simulator.routing.values import value

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: keys of mappings and, from 0, indices of lists."""

_PLAIN_KEY = re.compile(r"[\w-]+")


@value(frozen=True, slots=True)
class Problem:
    """One thing to correct. `line` and `column` count from 1; line 0 means the file as a whole.

    `key` is the path as people write it (`pingtree.campaigns[0].sources[1].type`), "" for the top level.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        what = f"{self.message}; {self.hint}" if self.hint else self.message
        return ": ".join(part for part in (where, self.key, what) if part)


class ConfigurationError(Exception):
    """A file cannot be used. `problems` holds everything found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(map(str, self.problems)))


def key_of(path: Path) -> str:
    """Word a path: `("a", 0, "b c")` is `a[0]["b c"]`."""
    return "".join(_step(part) for part in path).removeprefix(".")


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_KEY.fullmatch(part) else f"[{json.dumps(part, ensure_ascii=False)}]"


def did_you_mean(wrong: str, candidates: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the nearest candidate, or "". Case and `-_` do not count."""
    known = {_folded(candidate): candidate for candidate in candidates}
    near = difflib.get_close_matches(_folded(wrong), known, n=1)
    return f"did you mean {json.dumps(known[near[0]], ensure_ascii=False)}?" if near else ""


def _folded(word: str) -> str:
    return re.sub(r"[\W_]+", "", word).casefold() or word
