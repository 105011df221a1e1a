"""axe-core in the page: the accessibility checker comes from npm once, into a folder that git ignores."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import REQUIRED, ROOT

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
CACHE = ROOT / ".p2plab"
SCRIPT = CACHE / "node_modules" / "axe-core" / "axe.min.js"


@functools.cache
def script() -> str:
    """axe-core's text. Without npm the test is left out loudly, or fails where a browser is required."""
    if not SCRIPT.is_file() or _digest(SCRIPT) != SHA256:
        npm = shutil.which("npm")
        if npm is None:
            (pytest.fail if REQUIRED else pytest.skip)("NO NPM HERE: accessibility is not checked (apt install npm)")
        CACHE.mkdir(exist_ok=True)
        quiet = ["--silent", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
        subprocess.run([npm, "install", *quiet, "--prefix", str(CACHE), f"axe-core@{VERSION}"], check=True, timeout=120)
    assert _digest(SCRIPT) == SHA256, f"axe-core {VERSION} is not the file that it was"
    return SCRIPT.read_text(encoding="utf-8")


def violations(page: Any, *where: str) -> list[str]:
    """Serious and critical violations inside the parts that the selectors name, one line each."""
    page.evaluate(script())
    found = page.evaluate(
        "where => axe.run({include: where.map(one => [one])}, {resultTypes: ['violations']}).then(r => r.violations)",
        list(where),
    )
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['html'][:160]} {_why(node)}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def _why(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])[:200]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
