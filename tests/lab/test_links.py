"""A link is data: whatever it says, opening it runs nothing but p2plab's own code."""

import itertools
import json
import os
import subprocess
import sys
from urllib.parse import quote

from p2plab.core.token import _check, token_of
from p2plab.everything import SCENES, find
from p2plab.lab.session import Session

#: Modules with names that a link might try, in the folder of the notebook, where Python would find them first.
PLANTED = ("evil", "workbench", "designs", "obedient", "importer", "scenes", "numbers_of_pages")

#: Opens queries with Python's own audit hook on, and prints what the interpreter was asked to do that honest ones do not.
WATCH = """
import json, os, sys
from p2plab.core.errors import P2PError
from p2plab.lab.app import app
from p2plab.lab.session import Session
given = json.load(sys.stdin)
sys.path.insert(0, os.getcwd())
watched = []
def hook(event, arguments):
    if event in ("compile", "import", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork",
                 "pickle.find_class", "marshal.loads", "socket.connect", "ctypes.dlopen", "open"):
        watched.append((event, str(arguments[0])[:200]))
def opened(query):
    lab = app(query)
    return lab.session.run.scenario.name, lab.guard.last is not None
sys.addaudithook(hook)
honest = [opened(query) for query in given["honest"]]
ours, before = set(watched), set(sys.modules)
said = [opened(query) for query in given["links"]]
session = Session("workbench")
for token in given["tokens"]:
    try:
        session.open(token)
        said.append(("opened", token))
    except P2PError:
        pass
seen = sorted(set(watched) - ours)
print(json.dumps({"honest": honest, "seen": seen, "new": sorted(set(sys.modules) - before), "said": said}))
"""


def signed(body: str) -> str:
    """A token with a check that fits, whatever it says: the check finds damage, it is no signature."""
    return f"{body}.{_check(body)}"


NAMES = (
    "evil",
    "evil.py:Nic",
    "../evil",
    "/etc/passwd",
    "__import__('evil')",
    "http://127.0.0.1/evil.py",
    "obedient;evil",
)


def hostile() -> list[str]:
    """Tokens that name files, modules, classes, expressions and addresses wherever a token can name something."""
    good = token_of(Session("workbench").run).rpartition(".")[0].split(".")
    bodies = []
    for name in NAMES:
        bodies += [[*good[:2], f"{knob}={name}", *good[3:]] for knob in ("importer", "exporter", "driver", "pages")]
        bodies += [[good[0], f"{name}~1", *good[2:]], [*good[:3], name, *good[4:]], [*good[:4], name]]
    return [signed(".".join(body)) for body in bodies]


def test_opening_a_link_imports_reads_and_starts_nothing(tmp_path):
    """The interpreter itself is asked: no module, file, process, connection or compiled text comes from a link."""
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').close()\nclass Nic: pass\n")
    honest = ["scene=defrag-ignorant", f"run={token_of(Session('defrag-ignorant').run)}", "scene=nonsense"]
    links = [
        f"{word}={quote(name)}" for word, name in zip(itertools.cycle(("scene", "run", "token")), NAMES, strict=False)
    ]
    links += [f"run={quote(token)}" for token in hostile()[:7]]
    done = subprocess.run(
        [sys.executable, "-P", "-c", WATCH],
        cwd=tmp_path, input=json.dumps({"honest": honest, "links": links, "tokens": hostile()}),
        capture_output=True, text=True, check=True, env={**os.environ, "P2PLAB_JOURNAL": ""},
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["honest"] == [["defrag-ignorant", False], ["defrag-ignorant", False], ["workbench", True]]
    assert told["new"] == []
    assert told["seen"] == []
    assert not (tmp_path / "ran").exists()
    assert told["said"] == [["workbench", True]] * len(links)


def test_a_knob_that_names_a_driver_names_one_of_a_closed_list():
    """No scene has a knob of free text: every knob is one of its choices or a number between two."""
    for name in SCENES:
        for knob in find(name).knobs:
            assert knob.choices or isinstance(knob.default, int), f"{name} takes any text for {knob.name}"
