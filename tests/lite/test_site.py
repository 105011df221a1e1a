"""What goes into the site without a server, judged without building it; the browser tests build and open it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.lite.parts import LITE, build, parts

ROOT = LITE.parents[1]


def test_every_notebook_is_in_the_site_or_left_out_with_a_reason():
    """A new notebook has to be tried in a browser first: the build stops for one that nobody has judged."""
    here = {file.stem for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert {*parts().NOTEBOOKS} | {*parts().LEFT_OUT} == here
    assert {*parts().NOTEBOOKS} & {*parts().LEFT_OUT} == set()
    assert all(len(why) > 30 for why in parts().LEFT_OUT.values())


def test_the_browser_gets_the_versions_of_the_lock():
    """All but what only the browser needs."""
    pins = parts().pins()
    assert {*parts().PACKAGES} <= pins.keys()
    lock = (ROOT / "requirements.lock").read_text().lower().replace("_", "-")
    for name in parts().PACKAGES:
        assert f"{name}=={pins[name]} \\" in lock.splitlines()


def test_what_the_widgets_need_is_in_the_list():
    """p2plab's own requirements with theirs, for a browser's markers; what is missing is missing on purpose."""
    sys.path.insert(0, str(ROOT / "ways" / "offline"))
    try:
        from closure import closure
    finally:
        sys.path.remove(str(ROOT / "ways" / "offline"))
    browser = {"sys_platform": "emscripten", "python_version": parts().PYTHON, "platform_system": "Emscripten"}
    needed = closure(("anywidget", "bokeh", "ipywidgets"), {**browser, "os_name": "posix"}).keys()
    absent = {
        "numpy", "contourpy", "pillow", "pyyaml",  # no wheel for a browser; ways/lite/absent.py stands in for Bokeh
        "jupyterlab-widgets", "widgetsnbextension",  # the browser's half is in the site, and the kernel brings a stand-in
    }  # fmt: skip
    assert needed - absent <= parts().pins().keys()


def test_the_site_runs_no_code_from_a_link():
    """JupyterLite's other apps would: its REPL runs what stands behind ``?code=``. Only the lab is built."""
    text = (LITE / "build.py").read_text()
    assert re.findall(r'"--apps=(\w+)"', text) == ["lab"]
    assert '"disablePyPIFallback": True' in text


def test_the_front_page_asks_nobody_and_has_room_for_what_is_left_out():
    """No address, no picture from elsewhere; the lists are filled by the build."""
    text = (LITE / "front.html").read_text()
    assert not re.search(r"https?://|<img|<link|src=", text)
    for mark in ("HERE", "NOT_HERE"):
        assert f"<!-- {mark} -->" in text


@pytest.fixture(scope="module")
def lean_bokeh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed Bokeh, made into the site's copy."""
    import bokeh

    folder = tmp_path_factory.mktemp("bokeh")
    wheel = folder / f"bokeh-{bokeh.__version__}-py3-none-any.whl"
    home = Path(bokeh.__file__).parent
    with zipfile.ZipFile(wheel, "w") as file:
        for path in home.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and "static" not in path.parts:
                file.write(path, path.relative_to(home.parent).as_posix())
        file.write(home / "server/static/js/bokeh.min.js", "bokeh/server/static/js/bokeh.min.js")
        file.writestr("bokeh/server/static/js/bokeh-gl.min.js", "nobody asks for this")
    (folder / "lean").mkdir()
    lean = build()._lean(wheel, folder / "lean")
    with zipfile.ZipFile(lean) as file:
        assert "bokeh/server/static/js/bokeh-gl.min.js" not in file.namelist()
        file.extractall(folder / "site")
    return folder / "site"


DRAW = """
import hashlib, importlib.abc, json, sys
class Nobody(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"numpy", "PIL", "yaml", "contourpy", "tornado"}:
            raise ModuleNotFoundError(name, name=name)
if sys.argv[1:]:
    sys.path.insert(0, sys.argv[1])
    sys.meta_path.insert(0, Nobody())
from p2plab import find
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.mm.ask import ask
from p2plab.pci import read_machine
from bokeh.embed import json_item
from p2plab.views import page
from p2plab.views.before_and_after import before_and_after_figure
from p2plab.views.pci_pictures import address_map_figure
from p2plab.views.pictures import PICTURES
run = Run(find("defrag-ignorant")).told()
machine = read_machine("q35_switch2")
print(page.page(run))
def renumbered(item):
    # ids counted from 1: Bokeh's own depend on what else the process has drawn
    names = {}
    def walk(node):
        if isinstance(node, dict):
            name = lambda v: names.setdefault(v, f"p{len(names) + 1}")
            return {k: name(v) if k in ("id", "root_id") else walk(v) for k, v in node.items()}
        return [walk(part) for part in node] if isinstance(node, list) else node
    return walk(item)
for figure in (*(p.figure(run) for p in PICTURES.values() if p.figure), address_map_figure(machine),
               before_and_after_figure(ask("munmap", "device"))):
    print(json.dumps(renumbered(json_item(figure)), sort_keys=True))
try:
    import numpy
    print("numpy", file=sys.stderr)
except ImportError:
    print("no numpy", file=sys.stderr)
"""


def test_bokeh_without_numpy_draws_the_same_to_the_byte(lean_bokeh: Path):
    """Every figure, and the whole page; and whoever asks for numpy is still told that there is none."""

    def drawn(*words: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", DRAW, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout, done.stderr.strip().splitlines()[-1]

    with_numpy, without = drawn(), drawn(str(lean_bokeh))
    assert (with_numpy[1], without[1]) == ("numpy", "no numpy")
    assert with_numpy[0] == without[0]
    assert len(without[0]) > 200_000


def test_a_wheel_s_half_in_c_is_left_out(tmp_path: Path):
    """MarkupSafe's other half is Python and does the same."""
    wheel = tmp_path / "markupsafe-3.0.4-cp311-cp311-manylinux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name in ("markupsafe/__init__.py", "markupsafe/_native.py", "markupsafe/_speedups.cpython-311.so"):
            file.writestr(name, "")
    (tmp_path / "lean").mkdir()
    lean = build()._lean(wheel, tmp_path / "lean")
    assert lean.name == "markupsafe-3.0.4-py3-none-any.whl"
    with zipfile.ZipFile(lean) as file:
        assert file.namelist() == ["markupsafe/__init__.py", "markupsafe/_native.py"]


def test_the_list_of_packages_has_digests_and_needs_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The runtime checks each file against it, and loads nothing that is not in it."""
    wheel = tmp_path / "some_thing-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name in ("some_thing/__init__.py", "single.py", "some_thing-1.2.dist-info/METADATA"):
            file.writestr(name, "")
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm" / "pyodide-lock.json").write_text('{"info": {"python": "3.14.2"}, "packages": {"numpy": {}}}')
    monkeypatch.setattr(build(), "_pyodide", lambda: tmp_path / "npm")
    build()._write_lock([wheel], tmp_path)
    lock = json.loads((tmp_path / "pyodide-lock.json").read_text())
    assert [*lock["packages"]] == ["some-thing"]
    found = lock["packages"]["some-thing"]
    assert found["imports"] == ["single", "some_thing"]
    assert (found["depends"], len(found["sha256"])) == ([], 64)
