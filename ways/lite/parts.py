"""What the site is made of: notebooks with the reason where one is left out, packages, and where the parts are kept."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".p2plab" / "lite"
SITE = WORK / "site"

#: Python for the browser, from npm: the runtime and the standard library only.
PYODIDE = "314.0.6"
PYTHON = "3.14"

#: Every notebook was run in the browser; ``make lite-test`` runs them again. What is not here is in LEFT_OUT.
NOTEBOOKS = (
    "00-start-here",
    "01-address-spaces",
    "02-bars-and-windows",
    "03-who-can-reach-whom",
    "04-notifiers",
    "05-two-callbacks-two-promises",
    "06-comply-and-fail",
    "07-moving-things",
    "08-every-order",
    "09-the-review",
    "10-what-the-kernel-did-instead",
    "11-your-own-machine",
    "12-your-own-drivers",
    "13-take-a-patch-apart",
)

#: Notebook, and why it is not in the site.
LEFT_OUT = {
    "app": "it is the stand-alone lab (`make app`), which needs a server; open the first notebook instead",
}

#: Cells that need numpy, by a word in them: the site shows what they printed when it was built.
NUMPY = {"07-moving-things": ("p2plab.sweeps", "refusals(")}

#: Parts of p2plab that stay out, for the front page, in HTML.
NOT_HERE = (
    ("large searches", "the search counts with plain Python: small scenes are proved, larger ones end in “incomplete”"),
    (
        "sweeps",
        "they need NumPy, and NumPy for the browser is in no package index, only on Pyodide's own servers; "
        "notebook 07 shows what they printed when this site was built",
    ),
    ("marking hand-ins", "every hand-in needs a process of its own"),
    (
        "holding the model against recordings of memory (<code>p2plab conform mm</code>)",
        "the recordings are not shipped",
    ),
    ("your own machine", "a browser sees no PCI devices; the text of <code>lspci</code> can be read all the same"),
    ("the stand-alone lab", "<code>make app</code> needs a server; open the first notebook instead"),
    ("the terminal", 'there is none; <code>from p2plab.cli import main; main(["scenes"])</code> says the same'),
)

#: What p2plab needs in the browser, with what these need; the versions are those of requirements.lock.
PACKAGES = (
    "anywidget", "asttokens", "bokeh", "comm", "executing", "ipython", "ipython-pygments-lexers", "ipywidgets", "jedi",
    "jinja2", "markupsafe", "matplotlib-inline", "narwhals", "packaging", "parso", "prompt-toolkit", "psygnal",
    "pure-eval", "pygments", "stack-data", "traitlets", "typing-extensions", "wcwidth", "xyzservices",
)  # fmt: skip
#: Packages that only the browser needs.
BROWSER_ONLY = {"micropip": "0.11.1", "decorator": "5.3.1", "six": "1.17.0"}

#: Packages whose half in C is left out: the same in Python comes with it.
PLAIN_HALF = ("markupsafe",)

#: What nobody asks for in the browser, by package: files whose path matches.
NOT_ASKED_FOR = {
    "bokeh": re.compile(r"server/static/(?!js/bokeh\.min\.js$)|/sampledata/"),
    "jedi": re.compile(r"third_party/django-stubs/"),
    "p2plab": re.compile(r"assets/(course/|recordings/(?!pci/))"),
}


def pins() -> dict[str, str]:
    """Package and version, of all that the browser gets besides p2plab itself and the kernel."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    known = {normal(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s\\]+)", lock, re.M)}
    return {name: known[name] for name in PACKAGES} | BROWSER_ONLY


def normal(name: str) -> str:
    """A package's name as an index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()
