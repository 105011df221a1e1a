"""What repo2docker would build: run inside an environment with jupyter-repo2docker, in the repository's folder; prints JSON.

No engine is needed: repo2docker is asked as a library which build pack takes the tree, and for the Dockerfile it renders.
"""

from __future__ import annotations

import json
import logging

from repo2docker import __version__
from repo2docker.app import Repo2Docker


def main() -> None:
    """Ask in repo2docker's own order."""
    logging.disable(logging.CRITICAL)
    for kind in Repo2Docker().buildpacks:
        pack = kind(base_image="docker.io/library/buildpack-deps:jammy")
        if pack.detect():
            break
    pack.platform = "linux/amd64"
    found = {
        "version": __version__,
        "pack": type(pack).__name__,
        "python": pack.python_version,
        "dockerfile": pack.render({"NB_UID": "1000", "NB_USER": "jovyan"}),
        "post_build": pack.get_post_build_scripts(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
