"""What a class's hub is told in any case; jupyterhub_config.py and rehearsal_config.py add who comes in and where."""

import compileall
import sys
from pathlib import Path

HERE = Path(__file__).parent

# A student's kernel cannot write beside the project's files: what it imports is compiled once, here, and not at each start.
compileall.compile_dir(HERE.parents[1] / "p2plab", quiet=1)

c = get_config()  # noqa: F821  JupyterHub gives it

# All servers run from the environment that runs the hub.
c.Spawner.cmd = [sys.executable, "-P", str(HERE / "server.py")]
c.Spawner.args = [f"--config={HERE / 'server_config.py'}"]
c.Spawner.default_url = "/lab"

# A kernel starts as soon as a notebook is opened, in the notebook's folder. Without this, Python would take a file there
# that is named as one of its own modules for the module, and run it: somebody else's file, from a link.
c.Spawner.environment = {"PYTHONSAFEPATH": "1"}

# Thirty who come at the same moment are served in turn (in_turn.py); the last waits longer than the usual minute.
c.Spawner.start_timeout = 600
c.Spawner.http_timeout = 300
c.JupyterHub.concurrent_spawn_limit = 0

# A server that nobody used for an hour is stopped; its runs are in the student's journal.
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    }
]
