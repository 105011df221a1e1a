"""The class's hub for a rehearsal: the same settings, but accounts that exist nowhere, one folder for all, loopback only.

Anybody who reaches this hub with the password may be anybody: hub.py starts it on 127.0.0.1, with a new password each
time, and never elsewhere. What it needs to know comes in P2PLAB_REHEARSAL_… variables from there.
"""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from ways.classroom.in_turn import SimpleInTurn

c = get_config()  # noqa: F821  JupyterHub gives it
load_subconfig("common_config.py", path=str(Path(__file__).parent))  # noqa: F821

folder = Path(os.environ["P2PLAB_REHEARSAL_FOLDER"])
ports = dict(pair.split("=") for pair in os.environ["P2PLAB_REHEARSAL_PORTS"].split(","))

c.JupyterHub.bind_url = f"http://127.0.0.1:{ports['public']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{ports['hub']}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{ports['proxy']}"
c.ConfigurableHTTPProxy.command = [os.environ["P2PLAB_REHEARSAL_PROXY"]]
c.JupyterHub.db_url = f"sqlite:///{folder / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(folder / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(folder / "proxy.pid")

c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["P2PLAB_REHEARSAL_PASSWORD"]
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = SimpleInTurn if os.environ["P2PLAB_REHEARSAL_IN_TURN"] == "yes" else "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "homes" / "{username}")
if os.geteuid() == 0:
    c.Spawner.args = [*c.Spawner.args, "--allow-root"]


def bring_notebooks(spawner):
    """What nbgitpuller does in a real class: the course is in the student's home before the server starts."""
    target = folder / "homes" / spawner.user.name / "notebooks"
    if not target.exists():
        shutil.copytree(Path(__file__).parents[2] / "notebooks", target)


c.Spawner.pre_spawn_hook = bring_notebooks
