"""Each example is a script with its expected output beside it; they are run and compared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda script: script.name)
def test_an_example_prints_what_it_says(script):
    """To the letter. ``P2PLAB_GOLDEN=write`` writes the outputs anew, to be read in the diff."""
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = script.with_suffix(".out")
    if os.environ.get("P2PLAB_GOLDEN") == "write":
        expected.write_text(done.stdout, encoding="utf-8")
    assert done.stdout == expected.read_text(encoding="utf-8")
