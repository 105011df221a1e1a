"""How Sphinx builds the site. build.py puts the sources together; who reads the site loads nothing from elsewhere."""

from __future__ import annotations

import os
from typing import Any

from p2plab import __version__

project = "p2plab"
author = "the p2plab developers"
release = version = __version__
copyright = "2026, the p2plab developers. Licence: BSD-3-Clause"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["**/.ipynb_checkpoints"]
root_doc = "index"

# The notebooks come executed, with a picture and its words in place of each widget.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # its default would load a script from a CDN
nb_merge_streams = True
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "ref.python",  # two rooms may have a Cell each; a type in a signature names no room
    "myst.header",  # a notebook's cell may begin with any level
    "mystnb.unknown_mime_type",
]

viewcode_follow_imported_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False  # five thousand of them in every menu would take longer than all the rest
default_role = "code"
pygments_style = "tango"
pygments_dark_style = "github-dark"

html_theme = "furo"
html_title = "p2plab"
html_static_path = [os.path.join(os.path.dirname(__file__), "_static")]
html_css_files = ["site.css"]
html_js_files = ["copy.js"]
html_extra_path = [os.path.join(os.path.dirname(__file__), "..", "..", "build", "site", "beside")]
html_theme_options = {"navigation_with_keys": True}
html_show_sourcelink = False
html_copy_source = False


def setup(app: Any) -> None:
    """viewcode's index would name Python's own modules too, whose pages it does not make."""

    def with_source(app: Any) -> list[Any]:
        known = getattr(app.env, "_viewcode_modules", {})
        for name in [name for name, found in known.items() if not found]:
            del known[name]
        return []

    app.connect("html-collect-pages", with_source, priority=100)
