"""The terminal: what is printed, to the letter, and how it exits."""

import json
import subprocess
import sys

import pytest

from p2plab.cli import main
from p2plab.core.token import token_of
from tests.golden import golden


def p2plab(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize(("scene", "status"), [("defrag-ignorant", 1), ("defrag-obedient", 0)])
def test_a_scene_prints_its_story_and_replays_from_its_token_to_the_byte(capsys, scene, status):
    """Columns of at most 72 characters, the rule, the step, the victim's bytes, the mail, the token."""
    got, out, err = p2plab(capsys, "run", scene)
    assert (got, err) == (status, "")
    assert max(map(len, out.splitlines())) <= 72
    assert out.isascii()
    golden(f"run-{scene}.txt", out)
    token = out.splitlines()[-1]
    assert p2plab(capsys, "replay", token) == (status, out, "")


def test_the_ignorant_run_names_rule_step_bytes_and_mail(capsys):
    """Everything a reviewer needs is in the text."""
    _, out, _ = p2plab(capsys, "run", "defrag-ignorant")
    text = " ".join(out.split())
    for said in (
        "BROKEN: obedience (invariant 20), at step",
        "source: 20190129174728.6430-4-jglisse@redhat.com (stated;",
        "nic meant A[2] and overwrote C[0] of app2 at 0xe8005000:",
        '"C[0] of app2" is now "DMA page 2"',
    ):
        assert said in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "defrag-ignorent"), "there is no scene 'defrag-ignorent'"),
        (("run", "defrag-ignorent"), "did you mean defrag-ignorant"),
        (("run", "workbench", "--knob", "pages=99"), "pages=99 is not possible; allowed: 1 to 16"),
        (("run", "workbench", "--knob", "pages"), "--knob pages: write NAME=VALUE"),
        (("run", "workbench", "--knob", "colour=red"), "workbench has no knob 'colour'"),
        (("run", "workbench", "--schedule", "nobody"), "schedule, word 1, 'nobody': there is no actor 'nobody'"),
        (
            ("run", "workbench", "--log", "/nonexistent/x"),
            "/nonexistent/x cannot be written: No such file or directory",
        ),
        (("replay", "p2p1.nonsense"), "the token is damaged"),
        (("replay", "hello"), "not a token"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(capsys, words, sentence):
    """And nothing on standard output."""
    status, out, err = p2plab(capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith("p2plab: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_damaged_token_is_refused(capsys):
    """One letter is enough."""
    _, out, _ = p2plab(capsys, "run", "defrag-obedient")
    token = out.splitlines()[-1]
    broken = token.replace(".a", ".b", 1)
    status, out, err = p2plab(capsys, "replay", broken)
    assert (status, out) == (2, "")
    assert "the token is damaged: its check does not fit" in err


def test_a_token_of_another_version_prints_what_still_matches(capsys, monkeypatch):
    """Exit 2, a sentence, and as much of the run as can still be replayed."""
    import dataclasses

    from p2plab.core.run import Run
    from p2plab.everything import SCENES, find

    scene = find("defrag-ignorant")
    older = dataclasses.replace(scene, version=scene.version + 7)
    token = token_of(Run(older).told())
    status, out, err = p2plab(capsys, "replay", token)
    assert status == 2
    assert out.startswith("defrag-ignorant")
    assert f"The token is of version {older.version} of defrag-ignorant; this is version {scene.version}." in err
    assert SCENES[scene.name] is scene


@pytest.mark.parametrize("order", [["--seed", "3"], ["--timed"], ["--schedule", "app nic*4 gpu ..."]])
def test_every_way_of_scheduling_replays(capsys, order):
    """By seed, by clock, by hand: the token does not care."""
    status, out, _ = p2plab(capsys, "run", "defrag-ignorant", *order)
    token = "".join(out.partition("token:\n")[2].split())
    assert p2plab(capsys, "replay", token)[:2] == (status, out)


def test_json_says_the_same(capsys):
    """One object: verdict, findings, damage with hex addresses, log."""
    status, out, _ = p2plab(capsys, "run", "defrag-ignorant", "--json")
    told = json.loads(out)
    assert status == 1
    assert told["held"] is False
    assert told["rules"]["obedience"].startswith("broken at step")
    assert told["findings"][0]["rule"] == "obedience"
    assert told["damage"][-1]["address"] == "0xe8006000"
    assert bytes.fromhex(told["damage"][-1]["before"]).startswith(b"C[1] of app2")
    assert {"step", "time", "actor", "kind"} <= told["log"][0].keys()


def test_trace_and_log_are_written_beside_the_text(capsys, tmp_path):
    """The trace nests its calls; the log reads back."""
    from p2plab.core.logfile import load

    trace, log = tmp_path / "trace.json", tmp_path / "log.jsonl"
    p2plab(capsys, "run", "defrag-obedient", "--trace", str(trace), "--log", str(log))
    events = json.loads(trace.read_text())["traceEvents"]
    depth = {}
    for event in events:
        depth[event["tid"]] = depth.get(event["tid"], 0) + {"B": 1, "E": -1}.get(event["ph"], 0)
        assert depth[event["tid"]] >= 0
    assert set(depth.values()) == {0}
    assert load(log.read_text().splitlines()).scenario == "defrag-obedient"


def test_scenes_are_listed_with_their_verdicts(capsys):
    """As text, and as JSON for programs."""
    _, out, _ = p2plab(capsys, "scenes")
    assert "defrag-ignorant: BAR defragmentation, and a NIC that ignores the notifier (breaks obedience)" in out
    _, out, _ = p2plab(capsys, "scenes", "--json")
    scenes = {scene["name"]: scene for scene in json.loads(out)["scenes"]}
    assert scenes["defrag-ignorant"]["breaks"] == "obedience"
    assert scenes["defrag-obedient"]["breaks"] is None


def test_doctor_ends_with_a_verdict(capsys):
    """In a working environment: ready."""
    status, out, _ = p2plab(capsys, "doctor")
    assert status == 0
    assert out.splitlines()[-1] == "verdict: ready, the lab will draw here"


def test_a_package_that_is_not_there_is_named():
    """As numpy in a browser: one sentence, exit status 2; a missing part of p2plab itself is a fault and not hidden."""
    code = (
        "import sys; sys.modules[{!r}] = None; from p2plab.cli import main; sys.exit(main(['sweep', 'fragmentation']))"
    )
    for missing, said in {
        "numpy": "this needs numpy, which is not installed here: pip install",
        "p2plab.sweeps": "Traceback",
    }.items():
        done = subprocess.run([sys.executable, "-c", code.format(missing)], capture_output=True, text=True, check=False)
        assert done.returncode == (2 if missing == "numpy" else 70)
        assert said in done.stderr


def test_a_reader_that_stops_early_is_no_error():
    """`p2plab run … | head -1` is quiet."""
    command = f"{sys.executable} -m p2plab run defrag-ignorant | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("defrag-ignorant")


def test_the_readme_shows_what_one_sees():
    """Each line of its example is a line of the run."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    shown = (root / "README.md").read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0].splitlines()
    real = (root / "tests" / "golden" / "run-defrag-ignorant.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in shown if line not in real] == ["  ..."]


def test_every_command_has_its_line_in_the_docs():
    """What ``p2plab --help`` lists is in docs/terminal.md, and nothing else is."""
    import re
    from pathlib import Path

    from p2plab.cli import COMMANDS

    text = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text(encoding="utf-8").partition("```sh")[2]
    assert set(re.findall(r"^p2plab (\w+)", text.partition("```")[0], re.M)) == set(COMMANDS)
