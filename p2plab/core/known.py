"""What the rooms above declare and ``core`` reads back. The package's own ``__init__`` hands it in, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Gives every kind of event by its name (``{"Stepped": Stepped, …}``): a log in a file has only the names.
events: Callable[[], Mapping[str, Any]] = dict
