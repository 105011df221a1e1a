"""`p2plab export`: every format from a scene and from a token; the exported test passes, and can fail."""

import io
import json
import subprocess
import sys

import pytest

import p2plab
from p2plab import find
from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.core.logfile import load
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.core.token import token_of
from p2plab.views.formats import as_test
from p2plab.views.text import story


def test_all_formats_at_once(tmp_path, capsys):
    """Each file holds this run, and the terminal says how large it is."""
    files = {name: tmp_path / name for name in ("html", "text", "trace", "test", "log")}
    assert main(["export", "defrag-ignorant", *(w for n, f in files.items() for w in (f"--{n}", str(f)))]) == 0
    said = capsys.readouterr().out
    assert all(str(file) in said for file in files.values())
    run = p2plab.run("defrag-ignorant")
    assert files["text"].read_text() == story(run)
    assert token_of(run) in files["html"].read_text()
    assert load(files["log"].read_text().splitlines()).entries == run.log
    assert json.loads(files["trace"].read_text())["traceEvents"]
    assert files["test"].read_text() == as_test(run)


@pytest.mark.parametrize("scene", ["defrag-ignorant", "defrag-obedient"])
def test_the_exported_test_passes_and_can_fail(tmp_path, scene):
    """As it is it passes; with another step expected it does not."""
    text = as_test(p2plab.run(scene))
    for name, content in (("good", text), ("bad", text.replace("assert broken == {", 'assert broken == {"x": 1, '))):
        (tmp_path / f"test_{name}.py").write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout


def test_a_token_and_knobs_are_ways_to_the_same_run(tmp_path, monkeypatch):
    """A token as a word, a token on standard input, a scene with knobs and an order of its own."""
    run = p2plab.run("workbench", importer="obedient").driven(by_text("!map ..."))
    token = token_of(run)
    out = tmp_path / "out"
    for words, stdin in (([token], ""), (["-"], f"{token}\n")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        out.unlink(missing_ok=True)
        assert main(["export", *words, "--text", str(out)]) == 0
        assert out.read_text() == story(run)
    order = "... !map ..."
    assert main(["export", "workbench", "--knob", "importer=ignorant", "--schedule", order, "--text", str(out)]) == 0
    assert "importer=ignorant" in out.read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["defrag-ignorant"], "name a file to write: --html FILE, --text FILE"),
        (["nonsense", "--text", "x"], "there is no scene 'nonsense'"),
        (["p2p1.nonsense", "--text", "x"], "the token is damaged"),
        (["p2p1.nonsense", "--seed", "1", "--text", "x"], "a token fixes the whole run"),
        (["defrag-ignorant", "--text", "/nonexistent/x"], "/nonexistent/x cannot be written"),
    ],
)
def test_refusals_are_one_sentence(capsys, words, sentence):
    """Exit status 2, and what is wrong on stderr."""
    assert main(["export", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_run_with_somebody_s_own_class_has_no_test_of_its_token():
    """A token cannot carry a class: that is said, not silently left out."""
    import dataclasses

    from p2plab.drivers.pinned import PinsUntilUnmap

    scene = dataclasses.replace(find("workbench"), cast={"importer": PinsUntilUnmap})
    with pytest.raises(BadInput, match=r"uses your own classes \(importer=PinsUntilUnmap\)"):
        as_test(Run(scene))
