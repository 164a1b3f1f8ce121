"""The documentation tells the truth: its commands run, its lists are complete, its links lead somewhere."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import requests

from simulator import cli, leaving
from simulator.configuration import sandboxes
from simulator.configuration.model import Sandbox
from simulator.platforms import CONTRACTS
from tests.programs import program
from tests.running import Running, sandbox

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
LISTS_OF_CONFLICTS = {"0002", "0003"}
CONFLICTS = {f"C{number}" for number in range(1, 27)}
WORDS_OF_A_DECISION = ("**Question.**", "**Options.**", "**Choice.**", "**What would change our mind.**")


def loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = loaded("generate")  # first: it makes the neighbours of every page importable
CONFIGURATION = loaded("configuration_page")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


# --- the README's commands ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as started:
        yield started


def curls() -> list[tuple[str, dict[str, Any]]]:
    """Return each curl of the README with the answer that is printed under it."""
    found = blocks(README)
    return [
        (command, json.loads(answer))
        for (language, command), (_, answer) in itertools.pairwise(found)
        if language == "sh" and command.startswith("curl ")
    ]


def settings_of_the_readme() -> str:
    [lines] = [text for language, text in blocks(README) if language == "sh" and text.startswith("URL=")]
    return lines


def agrees(printed: Any, answered: Any) -> bool:
    """Whether an answer is the printed one; `…` stands for what differs each time."""
    if isinstance(printed, dict):
        same_keys = isinstance(answered, dict) and printed.keys() == answered.keys()
        return same_keys and all(agrees(printed[key], answered[key]) for key in printed)
    if isinstance(printed, str) and printed.endswith("…"):
        return isinstance(answered, str) and answered.startswith(printed[:-1]) and len(answered) >= len(printed)
    return bool(printed == answered)


def test_the_curls_of_the_readme_get_the_answers_that_it_prints(running: Running) -> None:
    program("curl")
    examples = curls()
    script = settings_of_the_readme().replace("http://127.0.0.1:8080", running.base_url)
    assert running.base_url in script
    for command, _ in examples:
        script += f"{command}\nprintf '\\036'\n"
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True, timeout=60)
    answers = [json.loads(part) for part in done.stdout.split("\x1e")[:-1]]
    assert len(answers) == len(examples) == 3
    for (_, printed), answered in zip(examples, answers, strict=True):
        assert agrees(printed, answered), answered


def test_the_answers_that_the_readme_prints_are_those_of_documented_rows() -> None:
    codes = {row.code for contract in CONTRACTS.values() for row in contract.rows}
    printed = [answer["data"] for _, answer in curls()]
    assert {data.get("leadStatus") or data["status"] for data in printed} <= codes


def test_the_tokens_of_the_readme_are_those_of_the_built_in_sandbox(running: Running) -> None:
    given = dict(line.split("=", 1) for line in settings_of_the_readme().splitlines())
    tokens = running.credentials("lnk_abc123xyz")
    assert (given["PING_TOKEN"], given["POST_TOKEN"]) == (tokens["ping"], tokens["post"])
    assert given["API_KEY"] == running.credentials("supplier_xyz789")["api_key"]


def test_the_readme_has_at_most_120_lines() -> None:
    assert len(text_of(README).splitlines()) <= 120


def bullet_of_the_readme(title: str) -> str:
    [found] = re.findall(rf"^- \*\*{title}.*?(?=^- )", text_of(README), re.MULTILINE | re.DOTALL)
    return str(found)


def paths_in(text: str) -> set[str]:
    """Return every path up to its first parameter; `/a/b|c/{id}` stands for two."""
    found: set[str] = set()
    for path in re.findall(r"/api/[\w|/-]+", text):
        *start, last = path.rstrip("/").split("/")
        found |= {"/".join([*start, word]) for word in last.split("|")}
    return found


def test_the_readme_names_the_path_of_every_operation_that_is_served() -> None:
    operations = [operation for contract in CONTRACTS.values() for operation in contract.operations]
    served = {operation.path.partition("<")[0].rstrip("/") for operation in operations}
    assert paths_in(bullet_of_the_readme("Other endpoints")) == served


def test_what_the_readme_calls_not_served_is_answered_404(running: Running) -> None:
    paths = re.findall(r"`(/[^`]+)`", bullet_of_the_readme("Not served"))
    assert len(paths) == 2
    for path in paths:
        for method in ("GET", "POST"):
            answer = requests.request(method, running.base_url + path.replace("{", "").replace("}", ""), timeout=30)
            assert answer.status_code == 404, (method, path)
            assert answer.headers["Content-Type"] == "application/json"


# --- generated pages ----------------------------------------------------------------------------------------


def test_the_generated_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert GENERATE.main(["--check"]) == 0, capsys.readouterr().out


def commands() -> Iterator[tuple[str, click.Command]]:
    group = click.Context(cli.main)
    for name in cli.main.list_commands(group):
        command = cli.main.get_command(group, name)
        assert command is not None
        yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_option_and_variable_of_a_command_is_in_its_section(name: str, command: click.Command) -> None:
    _, _, rest = text_of(DOCS / "cli.md").partition(f"## `{name}`\n")
    section = rest.partition("\n## ")[0]
    assert section
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert f"| `{parameter.opts[0]}`" in section
            assert str(parameter.envvar or "") in section
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_every_environment_variable_that_the_code_names_is_in_the_page() -> None:
    sources = [*ROOT.glob("simulator/**/*.py"), *ROOT.glob("mock_buyers/**/*.py")]
    named = {name for source in sources for name in re.findall(r'"(LEADSANDBOX_\w+)"', text_of(source))}
    assert len(named) > 5
    assert named <= set(re.findall(r"LEADSANDBOX_\w+", text_of(DOCS / "cli.md")))


def test_every_exit_code_is_in_the_page() -> None:
    codes = {0, leaving.FAILED, leaving.USAGE, leaving.CANNOT_START, leaving.UNREACHABLE, leaving.NOTHING_RAN}
    _, _, section = text_of(DOCS / "cli.md").partition("## Exit codes")
    assert {int(number) for number in re.findall(r"^\| (\d) \|", section, re.MULTILINE)} == codes


def definitions(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    yield from schema["$defs"].values()


def test_every_key_of_the_sandbox_file_is_in_the_page_of_its_section() -> None:
    schema = Sandbox.model_json_schema()
    page = text_of(DOCS / "configuration.md")
    for definition in definitions(schema):
        keys = list(definition.get("properties", ()))
        sections = [part for part in page.split("\n## ") if all(f"\n| `{key}` |" in part for key in keys)]
        assert sections, f"no section has all keys of {definition['title']}: {keys}"


def test_every_key_of_the_sandbox_file_is_explained_once() -> None:
    described = CONFIGURATION.keys()
    explained = CONFIGURATION.explained()
    silent = {place for place, description in described.items() if not description}
    assert silent - explained.keys() == set(), "describe these in their models, or in docs/keys.toml"
    assert explained.keys() - silent == set(), "docs/keys.toml explains keys that are gone or explain themselves"


def test_the_example_of_the_configuration_page_is_a_sandbox_file() -> None:
    [example] = [text for language, text in blocks(DOCS / "configuration.md") if language == "yaml"]
    assert example == text_of(DOCS / "example-sandbox.yaml")
    loaded_sandbox, _ = sandboxes.load(DOCS / "example-sandbox.yaml")
    assert loaded_sandbox.pingtree.campaigns
    assert loaded_sandbox.leaddistro.campaigns


READINGS = [(name, reading) for name, contract in CONTRACTS.items() for reading in contract.readings.model_fields]


@pytest.mark.parametrize(("platform", "reading"), READINGS)
def test_every_reading_is_in_its_page_with_its_conflict_and_default(platform: str, reading: str) -> None:
    contract = CONTRACTS[platform]
    _, _, rest = text_of(DOCS / "readings.md").partition(f"## {contract.title}\n")
    [line] = re.findall(rf"^\| `{reading}` \|.*$", rest.partition("\n## ")[0], re.MULTILINE)
    conflict = line.split("|")[2].strip()
    assert conflict in CONFLICTS | {"gap"}
    default = contract.readings.model_fields[reading].default
    spelled = default if isinstance(default, str) else json.dumps(default)
    assert f"| `{spelled}` |" in line if spelled else "| none |" in line


@pytest.mark.parametrize(("platform", "reading"), READINGS)
def test_every_reading_is_named_in_the_decision_about_conflicts_or_gaps(platform: str, reading: str) -> None:
    description = str(CONTRACTS[platform].readings.model_fields[reading].description)
    number = "0003" if description.startswith("gap") else "0002"
    [decision] = [page for page in DECISIONS if page.name.startswith(number)]
    assert f"`{reading}" in text_of(decision)


def test_the_decision_about_conflicts_has_each_of_them() -> None:
    [decision] = [page for page in DECISIONS if page.name.startswith("0002")]
    listed = [line for line in text_of(decision).splitlines() if line.startswith("- C")]
    named = [number for line in listed for number in re.findall(r"\bC\d+\b", line)]
    assert sorted(named) == sorted(CONFLICTS)


def test_the_page_about_the_architecture_names_every_layer() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    [layered] = [item for item in project["tool"]["importlinter"]["contracts"] if item["type"] == "layers"]
    modules = {name for layer in layered["layers"] for name in re.findall(r"\w+", layer)} - {"__main__"}
    [picture] = [text for _, text in blocks(DOCS / "architecture.md") if "composition root" in text]
    assert modules - set(re.findall(r"\w+", picture)) == set()


# --- links and decisions ------------------------------------------------------------------------------------


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_picture_that_is_shown_is_there_and_every_one_that_is_there_is_shown() -> None:
    shown = {
        (page.parent / name).resolve()
        for page in PAGES
        for names in re.findall(r"(?:src|srcset)=\"([^\"]+\.png)\"|\]\(([^)\s]+\.png)\)", text_of(page))
        for name in names
        if name
    }
    assert shown == {picture.resolve() for picture in (DOCS / "images").iterdir()}


def test_the_readme_leads_to_every_page_of_the_documentation() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(README) if "://" not in link}
    assert {page for page in DOCS.glob("*.md") if page.resolve() not in linked} == set()
    assert (DOCS / "decisions").resolve() in linked


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_short_and_says_what_would_change_our_mind(page: Path) -> None:
    text = text_of(page)
    assert text.startswith(f"# {page.name[:4]} ")
    places = [text.find(word) for word in WORDS_OF_A_DECISION]
    assert -1 not in places
    assert places == sorted(places)
    assert len(text.splitlines()) <= (60 if page.name[:4] in LISTS_OF_CONFLICTS else 25)


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
