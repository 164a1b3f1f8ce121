"""Where a sandbox comes from: the built-in file, or one that the user names."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from simulator.configuration.loading import read, read_file
from simulator.configuration.model import Sandbox, findings

BUILT_IN = "built-in.yaml"

Loaded: TypeAlias = tuple[Sandbox, Callable[[str], str]]
"""A sandbox, and what reads the files that it names."""


def built_in_text() -> str:
    return files("fixtures").joinpath("sandboxes", BUILT_IN).read_text(encoding="utf-8")


def load(path: Path | None) -> Loaded:
    """Return the sandbox of a file, or the built-in one, and what reads the files that it names.

    Raises ConfigurationError with every fault, each with its line.
    """
    if path is None:
        return read(built_in_text(), name=BUILT_IN, model=Sandbox, checks=findings), no_files
    return read_file(path, Sandbox, checks=findings), _beside(path)


def _beside(sandbox_file: Path) -> Callable[[str], str]:
    folder = sandbox_file.resolve().parent

    def read_text(name: str) -> str:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"{sandbox_file}: {name!r} leads out of the folder of the sandbox file")
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ValueError(f"{sandbox_file}: cannot read {name!r}: {error}") from error

    return read_text


def no_files(name: str) -> str:
    raise ValueError(f"only a sandbox file can name other files, not the built-in one: {name!r}")
