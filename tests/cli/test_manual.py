"""Help, completion and ``--json``: what people and programs read is held by golden files and published schemas."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import p2plab.cli
from p2plab.cli import COMMANDS, commands_of, frame, main, parser
from p2plab.cli.completion import SHELLS, candidates
from p2plab.cli.manual import EXAMPLES, GROUPS, STATUSES
from tests.golden import golden

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(p2plab.cli.__file__).parent / "schemas"


def schema(kind: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def page(monkeypatch, capsys):
    """What a command prints, 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    def printed(*words: str) -> str:
        main(words)
        return capsys.readouterr().out

    return printed


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse lays help out otherwise in every version")
def test_the_help_of_every_command_is_as_it_was_read(page):
    """All of it in one file, to be read in the diff."""
    whole = [page("--help"), *(f"{'=' * 72}\n{page(command, '--help')}" for command in COMMANDS)]
    golden("help.txt", "\n".join(whole))


def test_every_command_has_a_group_and_examples():
    """A new one is missed here."""
    names = commands_of(parser()).keys()
    assert names == set(COMMANDS)
    assert {name for group in GROUPS.values() for name in group} == names == EXAMPLES.keys()
    assert STATUSES.keys() <= names


def statuses(command: str) -> set[int]:
    return {0, *map(int, STATUSES.get(command, {}))}


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_examples_of_the_help_can_be_typed_as_they_are(command: str, tmp_path: Path):
    """In a folder with the examples beside it; their statuses are among those that the help names."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "hand-ins").mkdir()
    (tmp_path / "hand-ins" / "ada.json").write_text("{}")
    program = f"{shlex.quote(sys.executable)} -m p2plab"
    packages = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    env = {**os.environ, "PYTHONPATH": packages, "P2PLAB_JOURNAL": ""}
    for line in EXAMPLES[command]:
        typed = re.sub(r"(^|\| )p2plab", rf"\1{program}", line).replace("--budget 1m", "--budget 2s")
        done = subprocess.run(["bash", "-c", typed], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode in statuses(command), f"{line}: {done.stderr[-1000:]}"
        assert done.stdout or done.stderr
        assert "p2plab: " not in done.stderr


#: For each schema a command that prints it.
PRINTED = {
    "scenes": "scenes E4 defrag-obedient design-dma-buf-dynamic",
    "run": "run F1 --seed 3",
    "check": "check defrag-obedient --knob pages=1",
    "check-all": "check examples/my_nic.py:MyNic --budget 2s",
    "lockdep": "lockdep E7",
    "catalog": "catalog E1 --seeds 0",
    "designs": "designs",
    "designs-changes": "designs --changes",
    "sweep": "sweep refusals --seeds 1",
    "machine": "machine q35_pxb",
    "reach": "reach q35_pxb 00:02.0 00:02.0 --kernel 6.12",
    "reach-matrix": "reach pc_flat --kernel 6.12",
    "whatif": "whatif q35_flat --iommu on",
    "conform": "conform pci q35_flat",
    "events-list": "events",
    "events": "events mprotect_r anon",
    "events-changes": "events munmap --changes",
    "lab": "lab {folder}/course --copy",
    "export": "export F1 --text {folder}/run.txt",
    "mark": "mark {folder} --unprotected",
    "doctor": "doctor",
    "quiz": "quiz --seed 3 --reveal",
    "story": "story 06",
}


@pytest.mark.parametrize("kind", PRINTED)
def test_what_json_prints_has_a_published_schema(kind: str, tmp_path: Path):
    """The first thing in it is the schema's name and version, and it is as the schema says."""
    jsonschema = pytest.importorskip("jsonschema")
    (tmp_path / "ada.json").write_text("{}")
    words = PRINTED[kind].format(folder=tmp_path).split()
    env = {**os.environ, "P2PLAB_JOURNAL": ""}
    done = subprocess.run(
        [sys.executable, "-m", "p2plab", *words, "--json"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = json.loads(done.stdout)
    assert next(iter(printed)) == "schema"
    assert printed["schema"] == f"{kind}/{frame.SCHEMA}"
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    jsonschema.validate(printed, schema(kind))


def test_every_schema_is_of_a_command_and_every_command_has_json():
    """None is left over; completion alone prints a script and no answer."""
    assert {file.stem for file in SCHEMAS.glob("*.json")} == PRINTED.keys()
    for name, declared in commands_of(parser()).items():
        options = {text for action in declared._actions for text in action.option_strings}
        assert ("--json" in options) == (name != "completion"), name


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([""], {"run", "check", "--version"}),
        (["ch"], {"check"}),
        (["run", "defrag"], {"defrag-obedient", "defrag-ignorant"}),
        (["run", "E4", "--kno"], {"--knob"}),
        (["run", "E4", "--knob", "driver="], {"driver=broken", "driver=good"}),
        (["machine", "q35_sw"], {"q35_switch1", "q35_switch2"}),
        (["conform", "p"], {"pci", "p2pdma"}),
        (["conform", "mm", "two_race"], {"two_race.linux-6.12"}),
        (["events", "munmap", "dev"], {"device", "device_eager"}),
        (["catalog", "E1"], {"E1", "E10", "E11", "E12", "E13", "E14", "E15", "E16", "E17", "E18"}),
        (["check", "E4", "--rule", "obed"], {"obedience"}),
        (["completion", ""], set(SHELLS)),
        (["export", "E4", "--html", "ru"], set()),
        (["nonsense", ""], set()),
    ],
)
def test_completion_offers_what_may_come_next(words: list[str], offered: set[str]):
    """Commands, options, names; nothing where a file's name belongs."""
    found = candidates(words)
    assert set(found) == offered or (words == [""] and offered <= set(found))


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_is_as_it_was_read(page, shell: str):
    """And bash takes it: a word is completed by it."""
    script = page("completion", shell)
    golden(f"completion.{shell}", script)
    if shell == "bash":
        typed = "COMP_WORDS=(p2plab run defrag-o); COMP_CWORD=2; _p2plab; echo ${COMPREPLY[@]}"
        function = f'p2plab() {{ {shlex.quote(sys.executable)} -m p2plab "$@"; }}'
        done = subprocess.run(
            ["bash", "-c", f"{function}\n{script}\n{typed}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.stdout.split() == ["defrag-obedient"], done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rnu", "there is no command 'rnu'; did you mean run?"),
        ("run --kno pages=2 E4", "run: there is no option --kno; did you mean --knob"),
        ("run E4 more", "run: there is no place for 'more' (see: p2plab run --help)"),
        ("run defrag-ignorent", "did you mean defrag-ignorant, defrag-obedient"),
        ("events munmpa", "did you mean munmap, "),
        ("conform mm two_rase", "did you mean two_race.linux-6.12"),
        ("catalog E77", "did you mean E7"),
        ("scenes F99", "did you mean F"),
    ],
)
def test_a_wrong_name_offers_the_nearest(words: str, sentence: str, capsys):
    """At most three; an abbreviation is a wrong name."""
    assert main(words.split()) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count(" or ") <= 1


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    """NO_COLOR wins, a dumb terminal has none, FORCE_COLOR is for pagers; letters stay the same."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert (frame.wants_colours(True), frame.wants_colours(False)) == (True, False)
    monkeypatch.setenv("TERM", "dumb")
    assert not frame.wants_colours(True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert frame.wants_colours(False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not frame.wants_colours(True)
    text = "BROKEN: obedience (invariant 20)\n---- a -> b ----\nall rules held (2 of 3)\n"
    shown = frame.coloured(text)
    assert shown.startswith("\x1b[1;31mBROKEN: obedience\x1b[0m (invariant 20)")
    assert re.sub(r"\x1b\[[\d;]*m", "", shown) == text


def test_one_scene_is_shown_by_its_name(capsys):
    """By name or code, several too; its knobs are there."""
    assert main(["scenes", "E4", "workbench"]) == 0
    said = capsys.readouterr().out
    assert [line.partition(":")[0] for line in said.splitlines() if not line.startswith(" ")] == [
        "e4-refuses-later",
        "workbench",
    ]
    assert "    driver=broken  (broken | good)" in said
