"""Fills a folder (a USB stick, say) from which a machine without a network is set up: ``make usb USB=/media/stick/p2plab``.

    python ways/offline/build.py FOLDER [--also PLATFORM:PYTHON ...]

The folder gets every wheel for this platform and this Python, the project's own wheel, notebooks and documents, the site
that runs in a browser alone if it was built (``make lite``), and ``install.py``, which needs nothing but Python. ``--also``
adds wheels for other machines: ``win_amd64:3.12``, ``macosx_11_0_arm64:3.13``, ``manylinux_2_28_aarch64:3.12``.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from closure import ROOT, closure, digests, locked

HERE = Path(__file__).resolve().parent
#: Brought along, so that a machine whose Python came without pip can be set up too.
PIP = "pip"
SITE = ROOT / ".p2plab" / "lite" / "site"
#: Beginnings of platform names, and what the markers of packages call such a machine.
SYSTEMS = {
    "win": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
    "macosx": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "manylinux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
}


def main() -> None:
    """From the command line."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path)
    words.add_argument("--also", action="append", default=[], metavar="PLATFORM:PYTHON")
    given = words.parse_args()
    others = [other(text) for text in given.also]
    began = time.monotonic()
    folder = given.folder
    if folder.exists() and any(folder.iterdir()) and not (folder / "install.py").is_file():
        raise SystemExit(f"{folder} has other things in it; give an empty or a new folder")
    wheels = folder / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    download(wheels, closure(), [])
    for platform, python, markers in others:
        options = [f"--platform={platform}", f"--python-version={python}", "--implementation=cp"]
        download(wheels, closure(target=markers), options)
    own = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*own, f"--wheel-dir={wheels}", str(ROOT)], check=True)
    copy_rest(folder)
    write_sums(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    count = len(list(wheels.iterdir()))
    print(f"{folder}: {count} wheels, {size / 1e6:.0f} MB in all, in {time.monotonic() - began:.0f} s.")
    print(f"On the other machine: python3 {folder.name}/install.py")


def other(text: str) -> tuple[str, str, Mapping[str, str]]:
    """``PLATFORM:PYTHON`` taken apart, with the markers of such a machine."""
    platform, _, python = text.partition(":")
    system = next((markers for name, markers in SYSTEMS.items() if platform.startswith(name)), None)
    if system is None or python.count(".") != 1:
        raise SystemExit(f"--also {text}: write PLATFORM:PYTHON, such as win_amd64:3.12 or macosx_11_0_arm64:3.13")
    return platform, python, {**system, "python_version": python, "python_full_version": f"{python}.0"}


def download(wheels: Path, packages: Mapping[str, str], options: list[str]) -> None:
    """Every one of them as a wheel: in exactly the version that is locked, its digest compared, where it is."""
    known = digests()
    pinned = {name: version for name, version in packages.items() if version}
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip += ["--only-binary=:all:", f"--dest={wheels}", *options]
    lines = [
        " ".join([f"{name}=={version}", *(f"--hash={one}" for one in known[name])]) for name, version in pinned.items()
    ]
    subprocess.run([*pip, "--require-hashes", "-r", "/dev/stdin"], input="\n".join(lines), text=True, check=True)
    subprocess.run([*pip, *(packages.keys() - pinned.keys()), PIP], check=True)


def copy_rest(folder: Path) -> None:
    """What people read and start."""
    for name in ("notebooks", "docs", "examples"):
        shutil.rmtree(folder / name, ignore_errors=True)
        ignored = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__", "site")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for file in (ROOT / "README.md", ROOT / "LICENSE", HERE / "install.py", HERE / "setup.sh"):
        shutil.copy(file, folder)
    pinned = "\n".join(f"{name}=={version}" for name, version in locked().items())
    (folder / "constraints.txt").write_text(pinned + "\n", encoding="utf-8")
    shutil.rmtree(folder / "site", ignore_errors=True)
    if SITE.is_dir():
        shutil.copytree(SITE, folder / "site")


def write_sums(folder: Path) -> None:
    """Sticks lose bits: install.py compares before it begins."""
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder).as_posix()}"
        for file in sorted((folder / "wheels").iterdir())
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
