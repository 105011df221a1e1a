"""The shape of the project: which room may import which, what an import costs, what must agree with what."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "p2plab"

#: Each room, and the rooms that it may import besides itself. DESIGN.md, "Rooms", says why.
BELOW = {
    "core": set(),
    "pci": {"core"},
    "mm": {"core"},
    "p2p": {"core", "mm", "pci"},
    "drivers": {"core", "mm", "pci", "p2p"},
    "rules": {"core", "mm", "p2p"},
    "catalog": {"core", "mm", "pci", "p2p", "drivers", "rules"},
    "designs": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog"},
    "conform": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog"},
    "search": {"core"},
    "sweeps": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog"},
    "views": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog", "designs", "conform", "search", "sweeps"},
    "lab": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog", "designs", "search", "sweeps", "views"},
    "course": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog", "designs", "search", "sweeps", "views"},
    "doctor": {"core", "catalog"},
    "cli": {
        "core",
        "mm",
        "pci",
        "p2p",
        "drivers",
        "rules",
        "catalog",
        "designs",
        "conform",
        "search",
        "sweeps",
        "views",
    }
    | {"course", "doctor"},
}
#: The composition root: it knows the rooms below it, and those above ask it.
ROOT_KNOWS = {"core", "mm", "p2p", "rules", "catalog", "designs"}
ABOVE_ROOT = {"sweeps", "views", "lab", "course", "doctor", "cli"}
#: The modules that may import by a name from a variable, and why.
BY_NAME = {
    "lab/__init__.py": "gets each of its five explorers from its own module, by a closed list",
    "core/collect.py": "walks the package that its caller hands over",
    "search/closed.py": "imports at once what a driver's code imports in its steps",
    "course/marking/child.py": "loads what a hand-in may use before it shuts itself in",
}
#: What a room may import from outside of the standard library.
OUTSIDE = {
    "search": {"numpy", "distributed", "dask"},
    "sweeps": {"numpy"},
    "course": {"ipywidgets"},
    "doctor": {"jupyter_core"},
    "lab": {"ipywidgets", "anywidget", "traitlets", "bokeh", "IPython", "numpy", "voila"},
}
#: The module of views that draws; the others need nothing but Python until something is drawn.
DRAWING = re.compile(r"views/figures\.py$")


def imports(file: Path, types: bool = True) -> set[str]:
    """Dotted names that a module imports, at its top or later; those for ``types`` alone too."""
    names = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if not types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            names.add(dynamic(file, node.args[0]))
    return names


def dynamic(file: Path, name: ast.expr) -> str:
    """What ``import_module(name)`` imports, as far as the text says it; else ``by name``."""
    here = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    parts = [getattr(part, "value", part) for part in (name.values if isinstance(name, ast.JoinedStr) else [name])]
    text = "".join(
        part if isinstance(part, str) else here if isinstance(part, ast.Name) and part.id == "__name__" else "*"
        for part in parts
    )
    return "by name" if text.startswith("*") else text


def modules() -> list[Path]:
    return sorted(file for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE or file.name == "everything.py")


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file):
    """A room knows only those below it, and the standard library unless it is said otherwise."""
    room = file.relative_to(PACKAGE).parts[0]
    allowed = ROOT_KNOWS if room == "everything.py" else BELOW[room] | {room}
    if room in ABOVE_ROOT:
        allowed |= {"everything"}
    if file.name == "widgets.py" and room == "course":
        allowed |= {"lab"}
    outside = {"bokeh"} if DRAWING.search(file.as_posix()) else OUTSIDE.get(room, set())
    for name in imports(file):
        first, _, rest = name.partition(".")
        if first == "p2plab":
            other = rest.partition(".")[0]
            assert other in allowed or other == "__version__", f"{room} imports {name}"
        elif name == "by name":
            assert file.relative_to(PACKAGE).as_posix() in BY_NAME, f"{room} imports a module by a name worked out"
        else:
            assert first in sys.stdlib_module_names | outside, f"{room} imports {name}"


ENGINE = """
import importlib, pkgutil, sys
from pathlib import Path
import p2plab
from p2plab.core import known
rooms = {path.name for path in Path(p2plab.__file__).parent.iterdir()} - {"core", "search", "__init__.py", "__pycache__"}
sys.modules.update({f"p2plab.{name.removesuffix('.py')}": None for name in rooms})  # to import one is an error
importlib.reload(known)  # nothing is handed in

from p2plab.core.actors import step
from p2plab.core.locks import Mutex
from p2plab.core.monitor import DeadlockMonitor, LockOrderMonitor
from p2plab.core.scenario import Knob, Scenario
from p2plab.search import check
for found in pkgutil.walk_packages(p2plab.search.__path__, "p2plab.search."):
    importlib.import_module(found.name)

async def take(one, other):
    async with one:
        await step("has one")
        async with other:
            await step("has both")

def build(world, knobs):
    fork, spoon = Mutex("fork"), Mutex("spoon")
    world.actor("ann", lambda: take(fork, spoon))
    world.actor("bob", lambda: take(spoon, fork) if knobs["bob"] == "left-handed" else take(fork, spoon))

own = {monitor.name: monitor for monitor in (DeadlockMonitor, LockOrderMonitor)}
bob = Knob("bob", "left-handed", "which he takes first", ("left-handed", "right-handed"))
for rule, hand in (("no-deadlock", "left-handed"), ("lock-order", "left-handed"), ("lock-order", "right-handed")):
    scene = Scenario("dinner", "Two eaters", build, rules=(rule,), own=own, knobs=(bob,))
    print(*check(scene, knobs={"bob": hand}).table[0])
"""


def test_the_search_needs_nothing_of_p2plab():
    """With every other room barred it searches a scene that brings its own promises, and finds its deadlock."""
    assert fresh(ENGINE).splitlines() == [
        "dinner BREAKS no-deadlock", "dinner BREAKS lock-order", "dinner HOLDS",
    ]  # fmt: skip


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_dynamic_import_is_seen(tmp_path):
    """By its constant text, by this module's own name, or as one whose name only a variable has."""
    file = PACKAGE / "catalog" / "__init__.py"
    said = [dynamic(file, ast.parse(text, mode="eval").body) for text in ("'p2plab.lab'", "f'{__name__}.x'", "room")]
    assert said == ["p2plab.lab", "p2plab.catalog.x", "by name"]


def test_the_front_door_offers_what_people_use():
    """Some ten names by TAB; each is there, has a docstring and a signature without a catch-all of Any."""
    import inspect

    import p2plab

    assert [name for name in dir(p2plab) if not name.startswith("_")] == [
        "CompareLab", "DesignsLab", "Lab", "MachineLab", "MemoryLab", "check", "elsewhere", "find", "machine", "replay",
        "run", "scenes",
    ]  # fmt: skip
    assert sorted(p2plab.__all__) == [name for name in dir(p2plab) if not name.startswith("_")]
    for name in p2plab.__all__:
        offered = getattr(p2plab, name)
        assert offered.__doc__
        for parameter in inspect.signature(offered).parameters.values():
            assert "Any" not in str(parameter.annotation), name
            if parameter.kind is parameter.VAR_KEYWORD:
                assert (parameter.name, parameter.annotation) == ("knobs", "int | str")
    assert (PACKAGE / "py.typed").exists()


def test_the_front_door_stays_what_it_is_whatever_is_imported():
    """No submodule takes the place of a public name: check is the function, also after every module was imported."""
    said = fresh(
        "import importlib, pkgutil, p2plab\n"
        "before = {name: getattr(p2plab, name) for name in p2plab.__all__}\n"
        "for found in pkgutil.walk_packages(p2plab.__path__, 'p2plab.'):\n"
        "    if found.name != 'p2plab.__main__': importlib.import_module(found.name)\n"
        "print(all(getattr(p2plab, name) is value for name, value in before.items()), callable(p2plab.check))"
    )
    assert said == "True True"


KNOWN = (
    "import io, json, sys\n"
    "{first}"
    "from p2plab.core.logfile import load\n"
    "from p2plab.rules import RULES\n"
    "from p2plab.everything import EVENTS, SCENES\n"
    "print(json.dumps([len(load(open(sys.argv[1])).entries), list(RULES), list(EVENTS), list(SCENES)]))"
)


def test_what_is_known_does_not_depend_on_what_was_imported(tmp_path):
    """A design's log, the rules, the kinds of events, the scenes: the same in a fresh process and after any import."""
    import p2plab
    from p2plab.core.logfile import dump

    log = tmp_path / "run.jsonl"
    run = p2plab.run("design-dma-buf-dynamic")
    log.write_text("\n".join(dump(run)) + "\n")
    said = []
    for first in ("", "import p2plab.designs\n", "import p2plab.lab\n"):
        code = KNOWN.format(first=first)
        done = subprocess.run([sys.executable, "-c", code, str(log)], capture_output=True, text=True, check=True)
        said.append(json.loads(done.stdout))
    assert said[0] == said[1] == said[2]
    entries, rules, events, scenes = said[0]
    assert entries == len(run.log)
    assert {"told-first", "obedience", "peer-to-peer"} <= set(rules)
    assert {"FenceAdded", "ApertureMade", "Stepped"} <= set(events)
    assert {"workbench", "f1-ignores-clear", "design-rfc-vma"} <= set(scenes)


def test_every_kind_of_event_is_collected():
    """The composition root has each that any room declares; none is left to an import somewhere."""
    import p2plab
    from p2plab.core.collect import classes
    from p2plab.core.events import Event
    from p2plab.everything import EVENTS

    found = {kind.__name__ for kind in classes(p2plab, Event) if kind.__module__ != "p2plab.search.world"}
    assert found == set(EVENTS)


@pytest.mark.parametrize("what", ["p2plab", "p2plab.catalog", "p2plab.views.text", "p2plab.cli.run", "p2plab.core.run"])
def test_the_model_pulls_in_no_drawing_library(what):
    """Neither bokeh nor ipywidgets nor numpy: the model also runs where they cannot be had."""
    heavy = fresh(
        f"import sys, {what}; print(sorted({{'bokeh', 'ipywidgets', 'numpy', 'anywidget'}} & set(sys.modules)))"
    )
    assert heavy == "[]"


#: A pin of requirements.lock: name, version, and the digests of its files.
PIN = re.compile(r"^([\w.\[\]-]+)==([\w.!+]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.M)


def test_binder_gets_what_pip_gets():
    """environment.yml and p2plab[lab,app] name the same packages with the same ranges; p2plab alone needs none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "environment.yml").read_text().splitlines()
    conda = {line.removeprefix("  - ") for line in lines if line.startswith("  - ")}
    extras = project["optional-dependencies"]
    assert project["dependencies"] == []
    assert {item for item in conda if not item.startswith(("python=", "pip", "conda-forge"))} == {
        item for item in (*extras["lab"], *extras["app"]) if not item.startswith("p2plab[")
    }
    lowest = tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    (python,) = (item.removeprefix("python=") for item in conda if item.startswith("python="))
    assert tuple(map(int, python.split("."))) >= lowest


def test_the_lock_file_pins_every_requirement_with_digests_and_names_no_registry():
    """Exact versions, inside the ranges of pyproject.toml, a digest for each file, and no address."""
    text = (ROOT / "requirements.lock").read_text()
    assert PIN.sub("", text) == ""
    pinned = {name.lower().replace("_", "-") for name, _, _ in PIN.findall(text)}
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = config["project"]["optional-dependencies"]
    wanted = [*config["dependency-groups"]["dev"], *(item for extra in extras.values() for item in extra)]
    names = {re.split(r"[<>=\[]", item)[0].lower().replace("_", "-") for item in wanted}
    assert names - {"p2plab"} <= pinned


def test_a_citation_names_this_version():
    """CITATION.cff, the version and the licence; the authors as in pyproject.toml."""
    import p2plab

    text = (ROOT / "CITATION.cff").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"\nversion: {p2plab.__version__}\n" in text
    assert f"\nlicense: {project['license']}\n" in text
    assert [f"  - name: {author['name']}" in text for author in project["authors"]] == [True]
    assert all(f"  - {word}\n" in text for word in project["keywords"])


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(notebook):
    """No outputs, no execution counts, no widget state in git."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert "widgets" not in content["metadata"]
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_every_module_says_what_it_is():
    """A docstring at the top of each."""
    silent = [
        str(f) for f in PACKAGE.rglob("*.py") if f.stat().st_size and not ast.get_docstring(ast.parse(f.read_text()))
    ]
    assert silent == []


def test_every_pinned_package_is_for_the_oldest_python_that_is_promised():
    """Debian 12 has Python 3.11.2: a pin that wants a later 3.11 would stop `make setup` there."""
    from importlib.metadata import distributions

    from packaging.specifiers import SpecifierSet

    here = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(): d for d in distributions()}
    for name, version, _ in PIN.findall((ROOT / "requirements.lock").read_text()):
        found = here.get(name.lower())
        if found is not None and found.version == version:  # what is not here in this version cannot be asked
            assert SpecifierSet(found.metadata.get("Requires-Python") or "").contains("3.11.2"), name


def test_makefile_documents_itself():
    """`make help` lists every target that a person may want."""
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "lab", "test", "bench"):
        assert f"make {target}" in said


def test_an_old_python_is_told_so(tmp_path):
    """`make setup` with a Python that is too old, or none, says what is needed and leaves nothing behind."""
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo \'Python 3.8.1\'\n[ "$1" = -c ] && exit 1\nexit 0\n')
    old.chmod(0o755)
    for python, said in ((old, "p2plab needs Python 3.11 or newer; "), (tmp_path / "nothing", "there is no '")):
        ready = tmp_path / "ready"
        done = subprocess.run(
            ["make", "setup", f"PYTHON={python}", f"READY={ready}", f"VENV={tmp_path / 'venv'}"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert said in done.stdout
        assert not ready.exists()
        assert not (tmp_path / "venv").exists()


def circles(modules: Iterable[Path]) -> list[list[str]]:
    """The modules that import each other, at their top or later; what is imported for types alone does not count."""
    names = {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in modules}
    above = {}
    for name, file in names.items():
        imported = imports(file, types=False)
        above[name] = names.keys() & (imported | {found.rpartition(".")[0] for found in imported}) - {name}
    try:
        TopologicalSorter(above).prepare()
    except CycleError as error:
        return [error.args[1]]
    return []


def test_no_circle_between_rooms_or_inside_of_the_engine():
    """The table has none, and neither have the modules of core and of the search."""
    TopologicalSorter(BELOW).prepare()
    for room in ("core", "search"):
        assert circles((PACKAGE / room).rglob("*.py")) == []


#: Classes that share a name, and why.
TWICE = {
    "KernelError": "a hand-in's process has stand-ins with the names that drivers know",
    "Entry": "an entry of the log, and in views/stage/model.py the entry of a table that is drawn",
    "Place": "views/stage/model.py: where an address leads; search/sources.py: where in the code",
}


def test_a_class_has_its_name_alone():
    """One meaning a name: a reader who finds a class by its name has found the one."""
    found: dict[str, list[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(file.relative_to(PACKAGE).as_posix())
    twice = {name: files for name, files in found.items() if len(files) > 1}
    assert twice.keys() == TWICE.keys(), twice
