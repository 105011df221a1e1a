#!/usr/bin/env python3
"""Sets p2plab up on this machine from this folder, without a network: python3 install.py [FOLDER]

FOLDER (p2plab in your home, unless said) gets an environment, the notebooks, and a program that starts the lab. Nothing
outside of it is changed. It needs Python 3.11 or newer and nothing else; --check only says whether this machine will do.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEELS = HERE / "wheels"
WINDOWS = os.name == "nt"


def main():
    words = [word for word in sys.argv[1:] if word != "--check"]
    if len(words) > 1 or any(word.startswith("-") for word in words):
        raise SystemExit(__doc__)
    trouble = what_is_wrong()
    if trouble:
        raise SystemExit("p2plab cannot be set up here: " + trouble)
    if "--check" in sys.argv:
        print("this machine will do, and the folder is whole")
        return
    folder = Path(words[0]).expanduser().resolve() if words else Path.home() / "p2plab"
    if folder.exists() and any(folder.iterdir()) and not (folder / "environment" / "pyvenv.cfg").is_file():
        raise SystemExit(f"{folder} has other things in it; give the name of a new folder")
    python = environment(folder)
    copy_notebooks(folder)
    start = write_start(folder, python)
    print("\nCheck of the installation:\n", flush=True)
    done = subprocess.call([str(python), "-m", "p2plab", "doctor"], cwd=str(folder))
    print(f"\nTo begin: {start}")
    raise SystemExit(done)


def what_is_wrong():
    """In one sentence, with what to do; empty if nothing is. This function runs on any Python 3."""
    here = "{}.{}".format(*sys.version_info[:2])
    if sys.version_info < (3, 11):  # noqa: UP036  an older one may well be what somebody starts this with
        return f"this is Python {here}, and 3.11 or newer is needed. Try: python3.12 install.py"
    sums = HERE / "SHA256SUMS"
    if not WHEELS.is_dir() or not sums.is_file():
        return "there is no folder of wheels beside install.py. Copy the whole folder."
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        file = HERE / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            return f"{name} is missing or damaged. Copy the folder again."
    tag = "cp" + here.replace(".", "")
    made_for = {part for wheel in WHEELS.glob("numpy-*.whl") for part in [wheel.name.split("-")[2]]}
    if made_for and tag not in made_for:
        others = ", ".join(sorted("3." + name[3:] for name in made_for))
        return f"the folder was filled for Python {others}, and this is {here}"
    return ""


def environment(folder):
    """An environment with everything in it, by the pip that was brought along; the path of its Python."""
    place = folder / "environment"
    import venv

    print(f"an environment in {place} ...", flush=True)
    venv.EnvBuilder(with_pip=False, clear=True, symlinks=not WINDOWS).create(str(place))
    python = place / ("Scripts/python.exe" if WINDOWS else "bin/python")
    (pip,) = sorted(WHEELS.glob("pip-*.whl"))[-1:]
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
    command = [str(python), str(pip / "pip"), "install", "--quiet", "--no-index", "--no-cache-dir"]
    command += [
        "--find-links",
        str(WHEELS),
        "--constraint",
        str(HERE / "constraints.txt"),
        "pip",
        "p2plab[lab]",
        "notebook",
        "voila",
    ]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    if subprocess.call(command, env={**inherited, **alone}):
        raise SystemExit(f"p2plab was not installed; the lines above say why. Nothing outside of {folder} was changed.")
    # JupyterLab would ask the network for news at its first start.
    settings = place / "etc" / "jupyter" / "labconfig"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "page_config.json").write_text(
        '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}'
    )
    return python


def copy_notebooks(folder):
    """Those that are there already stay as they are: somebody may have worked in them."""
    for name in ("notebooks", "docs", "examples"):
        for file in (HERE / name).rglob("*"):
            target = folder / name / file.relative_to(HERE / name)
            if file.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file), str(target))


def write_start(folder, python):
    """A program that opens the first notebook; how to call it."""
    if WINDOWS:
        start = folder / "start.bat"
        start.write_text(f'@"{python}" -m jupyterlab "%~dp0notebooks\\00-start-here.ipynb" %*\r\n')
        return str(start)
    start = folder / "start.sh"
    start.write_text(f'#!/bin/sh\nexec "{python}" -m jupyterlab "$(dirname "$0")/notebooks/00-start-here.ipynb" "$@"\n')
    start.chmod(0o755)
    return str(start)


if __name__ == "__main__":
    main()
