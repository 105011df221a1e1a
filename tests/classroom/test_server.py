"""What a student's server leaves out when it starts, and that it is nothing which it uses."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from jsonschema import ValidationError

from ways.classroom.server import OF_THE_HUB, OPTIONAL, TRIED, CheckedBefore, Hollow

ROOT = Path(__file__).parents[2]


def imported(tmp_path, code: str) -> list[str]:
    """The modules that are loaded after ``code`` in a process that spares itself imports."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from ways.classroom.server import spare; spare(); {code}; "
        "import json; print(json.dumps([n for n, m in sys.modules.items() if type(m).__name__ == 'module']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_server_loads_neither_the_hubs_database_nor_what_nobody_asked_for(tmp_path):
    """All that a server is made of: no SQL, no migrations, no downloads, no grammar, and no Node.js started."""
    found = imported(
        tmp_path,
        "import subprocess; subprocess.check_output = None; import jupyterhub.singleuser, jupyterlab.labapp",
    )
    roots = {name.partition(".")[0] for name in found}
    assert not roots & {"sqlalchemy", "alembic", "mako", "requests", "babel", "httpx", *OPTIONAL}
    assert {"jupyterhub.singleuser.extension", "jupyterlab.labapp", "jupyterhub.services.auth"} <= set(found)


def test_what_is_loaded_later_is_whole(tmp_path):
    """At its first use."""
    assert "requests.api" in imported(tmp_path, "import requests; requests.get")


def test_what_is_the_hubs_can_be_named_and_not_used():
    """A name is an exception that nobody raises; calling it says whose it is."""
    module = Hollow("sqlalchemy.exc")
    assert issubclass(module.SQLAlchemyError, Exception)
    with pytest.raises(RuntimeError, match=r"sqlalchemy\.exc\.SQLAlchemyError is left out"):
        module.SQLAlchemyError("no")
    assert not hasattr(module, "__wrapped__")


def test_another_jupyterhub_is_left_as_it_is(tmp_path):
    """Which modules a server does not use was tried with some versions, the locked one among them."""
    locked = next(
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.startswith("jupyterhub==")
    )
    assert locked.split()[0].partition("==")[2] in TRIED
    assert version("jupyterhub") in TRIED
    other = "import sys; sys.meta_path[0].hollow = (); import jupyterhub.singleuser"
    assert {name.partition(".")[0] for name in OF_THE_HUB} - {"jupyterhub"} <= set(imported(tmp_path, other))


def test_a_schema_of_jupyterlabs_settings_counts_as_checked_and_settings_do_not(tmp_path):
    """It came with an installed package; what a student sets is held against it as before."""
    schema = {"type": "object", "properties": {"size": {"type": "number"}}}
    CheckedBefore.check_schema({"type": 7})
    CheckedBefore(schema).validate({"size": 12})
    with pytest.raises(ValidationError, match="'large' is not of type 'number'"):
        CheckedBefore(schema).validate({"size": "large"})
    imported(
        tmp_path,
        "from jupyterlab_server import settings_utils; assert settings_utils.Validator.__name__ == 'CheckedBefore'",
    )
