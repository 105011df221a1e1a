"""A link to the app, as Binder opens it: behind the login of a server, whose word has the name that a run's has."""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from p2plab.core.token import token_of
from p2plab.lab.session import Session
from tests.browser.conftest import ROOT, Watched, _free_port, _serving
from tests.browser.notebook import broken, said, wait_for_pictures
from ways.publish.links import Place

LOGIN = "0f3b6c9ab294d1e77aa02"


def test_a_binder_link_shows_its_run(
    watched: Watched, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    """The app's page within a server with a login, with ``run=`` and with ``token=``."""
    monkeypatch.setenv("JUPYTER_PATH", str(ROOT / "ways" / "share" / "jupyter"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(ROOT / "ways" / "share" / "jupyter" / "config"))
    token = token_of(Session("defrag-ignorant").run)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1", f"--IdentityProvider.token={LOGIN}"]
    path = parse_qs(urlsplit(Place("gh/OWNER/REPO").app(token)).query)["urlpath"][0]
    with _serving([sys.executable, "-m", "jupyterlab", *options], ROOT, f"{url}/api", tmp_path_factory):
        for query in (path, path.replace("?run=", "?token=")):
            watched.page.goto(f"{url}/{query}&token={LOGIN}")
            wait_for_pictures(watched.page)
            assert broken(watched.page)[0] == "obedience"
            assert said(watched.page, "token").removeprefix("Token of this run:").strip() == token
            assert watched.page.locator(".highlight").count() == 0
            assert LOGIN not in watched.page.inner_text("body")
    # A Jupyter server offers MathJax from a CDN to every page of Voila; the app has no formula and works without.
    assert all("/mathjax/" in url for url in watched.abroad), watched.abroad
    known = (
        "/mathjax/",
        "/voila/api/shutdown/",
    )  # the second: within a server with a login a closed page cannot end its kernel
    assert [error for error in watched.ours if not any(word in error for word in known)] == []
