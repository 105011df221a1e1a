"""A student's server: ``jupyterhub-singleuser``, started in half of the time.

JSON schemas can be checked for internationalised addresses with the optional package ``rfc3987-syntax``, which builds a
grammar whenever it is imported: more than half of what a server's start takes. No schema of Jupyter's asks for that check.
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # as if it were not installed: jsonschema goes on without

from jupyterhub.singleuser import main  # noqa: E402

if __name__ == "__main__":
    sys.argv[0] = "jupyterhub-singleuser"
    sys.exit(main())
