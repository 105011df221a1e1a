"""The files that a teacher edits: every setting in them exists, and what docs/classroom.md promises is in them."""

from __future__ import annotations

import compileall
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator, DummyAuthenticator
from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets.config import Config, PyFileConfigLoader

import p2plab

CLASSROOM = Path(__file__).parents[2] / "ways" / "classroom"

#: The keys of the Zero to JupyterHub chart that values.yaml uses, as its documentation names them.
KEYS = {
    "hub": ("config", "concurrentSpawnLimit"),
    "proxy.https": ("enabled", "hosts", "letsencrypt.contactEmail"),
    "singleuser": ("defaultUrl", "startTimeout", "extraEnv", "extraFiles", "storage.capacity"),
    "singleuser.image": ("name", "tag"),
    "singleuser.memory": ("guarantee", "limit"),
    "singleuser.cpu": ("guarantee", "limit"),
    "cull": ("enabled", "timeout", "every"),
    "scheduling.userPlaceholder": ("replicas",),
    "prePuller.hook": ("enabled",),
}


def settings(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    """A configuration file as JupyterHub reads it."""
    for variable, value in (
        ("FOLDER", tmp_path),
        ("PORTS", "public=1,hub=2,proxy=3"),
        ("PROXY", "p"),
        ("PASSWORD", "w"),
    ):
        monkeypatch.setenv(f"P2PLAB_REHEARSAL_{variable}", str(value))
    monkeypatch.setenv("P2PLAB_REHEARSAL_IN_TURN", "yes")
    return PyFileConfigLoader(name, path=str(CLASSROOM)).load_config()


@pytest.mark.parametrize("name", ["jupyterhub_config.py", "rehearsal_config.py"])
def test_every_setting_of_the_hub_exists(name, monkeypatch, tmp_path):
    """A misspelt setting is passed over in silence by JupyterHub; here it fails."""
    config = settings(name, monkeypatch, tmp_path)
    spawner = config.JupyterHub.spawner_class
    known = {
        "JupyterHub": JupyterHub, "Authenticator": Authenticator, "DummyAuthenticator": DummyAuthenticator,
        "ConfigurableHTTPProxy": ConfigurableHTTPProxy, "Spawner": spawner,
        **{kind.__name__: kind for kind in spawner.__mro__},
    }  # fmt: skip
    for section, values in config.items():
        for setting in values:
            assert setting in known[section].class_trait_names(config=True), f"{name}: {section}.{setting}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:traitlets")
def test_every_setting_of_the_students_servers_exists():
    """Likewise."""
    from jupyter_lsp.manager import LanguageServerManager
    from jupyter_server.serverapp import ServerApp
    from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
    from jupyterlab.labapp import LabApp

    config = PyFileConfigLoader("server_config.py", path=str(CLASSROOM)).load_config()
    known = {kind.__name__: kind for kind in (LanguageServerManager, ServerApp, MappingKernelManager, LabApp)}
    for section, values in config.items():
        for setting in values:
            assert setting in known[section].class_trait_names(config=True), f"{section}.{setting}"


def test_a_real_class_lets_nobody_in_who_was_not_named(monkeypatch, tmp_path):
    """No dummy authenticator, no open door, no server as root, each student in a cgroup with limits."""
    config = settings("jupyterhub_config.py", monkeypatch, tmp_path)
    assert config.JupyterHub.authenticator_class == "pam"
    assert "allow_all" not in config.Authenticator
    assert not any("allow-root" in word for word in config.Spawner.args)
    assert "SystemdSpawner" in [kind.__name__ for kind in config.JupyterHub.spawner_class.__mro__]
    assert (config.Spawner.mem_limit, config.Spawner.cpu_limit) == ("1G", 1.0)
    assert config.JupyterHub.bind_url.startswith("http://127.0.0.1:")


def test_a_rehearsal_is_reached_from_this_machine_only(monkeypatch, tmp_path):
    """The door that opens to any name stands on loopback, and needs a password all the same."""
    config = settings("rehearsal_config.py", monkeypatch, tmp_path)
    addresses = [config.JupyterHub.bind_url, config.JupyterHub.hub_bind_url, config.ConfigurableHTTPProxy.api_url]
    assert all(address.startswith("http://127.0.0.1:") for address in addresses)
    assert config.DummyAuthenticator.password == "w"
    assert ("--allow-root" in config.Spawner.args) == (os.geteuid() == 0)


def leaves(value: Any, path: str = "") -> list[str]:
    """Dotted keys; what lies below free mappings counts as the mapping."""
    if path in ("hub.config", "singleuser.extraEnv", "singleuser.extraFiles") or not isinstance(value, dict):
        return [path]
    return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))]


def test_the_values_for_kubernetes_are_keys_of_the_chart():
    """And they ask for no open door, close the way that runs notebooks from links, and agree with the one machine's limits."""
    values = yaml.safe_load((CLASSROOM / "values.yaml").read_text())
    assert set(leaves(values)) == {f"{group}.{key}" for group, keys in KEYS.items() for key in keys}
    assert values["hub"]["config"]["JupyterHub"]["authenticator_class"] != "dummy"
    assert values["proxy"]["https"]["enabled"] is True
    assert re.fullmatch(r"\d+[MG]", values["singleuser"]["memory"]["limit"])
    assert values["singleuser"]["memory"]["limit"] == "1G"


def test_saved_widgets_of_strangers_are_left_out_and_ones_own_are_kept(tmp_path, monkeypatch):
    """Until the notebook is signed, which running or trusting it does."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    config = PyFileConfigLoader("server_config.py", path=str(CLASSROOM)).load_config()
    manager = config.ServerApp.contents_manager_class(root_dir=str(tmp_path))
    for own, kept in ((False, {}), (True, {"widgets": {"x": {}}})):
        notebook = nbformat.v4.new_notebook(metadata={"widgets": {"x": {}}})
        if own:
            manager.notary.sign(notebook)
        manager.mark_trusted_cells(notebook)
        assert notebook.metadata == kept


def test_the_servers_on_kubernetes_are_told_the_same():
    """The same file, at a place where every Jupyter server looks; and no file beside a notebook is a module of Python's own."""
    text = (CLASSROOM / "values.yaml").read_text()
    values = yaml.safe_load(text)
    assert values["singleuser"]["extraFiles"] == {
        "server": {"mountPath": "/usr/local/etc/jupyter/jupyter_server_config.py"}
    }
    assert (
        "--set-file singleuser.extraFiles.server.stringData=ways/classroom/server_config.py"
        in (CLASSROOM / "values.yaml").read_text()
    )
    assert values["singleuser"]["extraEnv"]["PYTHONSAFEPATH"] == "1"


def test_a_hub_compiles_what_its_students_import_and_cannot_write(monkeypatch, tmp_path):
    """Where bytecode cannot be written, Python compiles each module at each import: a third of a kernel's start."""
    compiled = []
    monkeypatch.setattr(compileall, "compile_dir", lambda folder, **_named: compiled.append(folder))
    settings("jupyterhub_config.py", monkeypatch, tmp_path)
    assert [str(folder) for folder in compiled] == p2plab.__path__


def test_a_students_server_leaves_out_what_runs_notebooks_from_links_and_what_reads_old_settings():
    """Voila runs a page's notebook at once; the notebook shim imports IPython for settings of before 2021."""
    config = PyFileConfigLoader("server_config.py", path=str(CLASSROOM)).load_config()
    assert config.ServerApp.jpserver_extensions == {"voila.server_extension": False, "notebook_shim": False}


def test_a_students_server_installs_no_extensions():
    """server.py leaves out the manager that could, and the settings ask for the one that lists them."""
    config = PyFileConfigLoader("server_config.py", path=str(CLASSROOM)).load_config()
    assert config.LabApp.extension_manager == "readonly"
