"""``python -m p2plab``."""

import sys

from p2plab.cli import main

if __name__ == "__main__":
    sys.exit(main())
