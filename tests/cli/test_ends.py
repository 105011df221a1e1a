"""How commands end: each way has a status and a sentence of its own, and 1 means that a rule broke."""

import json
import os
import signal
import subprocess
import sys

import pytest

from p2plab.cli import catalog as catalog_command
from p2plab.cli import frame, main
from p2plab.cli import run as run_command
from p2plab.core.errors import BadInput
from p2plab.core.schedule import straight

P2PLAB = [sys.executable, "-m", "p2plab"]
#: Commands of every kind, with what their answer is.
COMMANDS = [
    (["run", "defrag-ignorant"], 1),
    (["check", "defrag-ignorant"], 1),
    (["machine", "q35_switch2"], 0),
    (["reach", "q35_switch2", "--json"], 0),
    (["events", "munmap"], 0),
    (["scenes"], 0),
    (["sweep", "refusals", "--seeds", "1"], 0),
    (["catalog", "F1", "--seeds", "1"], 0),
    (["lockdep", "X1", "--kernel", "6.1", "--seeds", "0"], 1),
    (["--help"], 0),
]
NAMES = [words[0] for words, _ in COMMANDS]


def ended(words, **options):
    """Status and standard error of a command in a process of its own."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "check": False} | options
    done = subprocess.run([*P2PLAB, *words], **options)
    return done.returncode, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize(("words", "answer"), COMMANDS, ids=NAMES)
def test_a_full_disk_has_a_status_and_a_sentence_with_the_answer(words, answer):
    """4, whatever was found; and what was found is said."""
    with open("/dev/full", "w") as full:
        status, said = ended(words, stdout=full)
    assert status == frame.NOT_WRITTEN
    assert said.startswith("p2plab: the output cannot be written: No space left on device; the answer is ")
    assert f"the answer is {answer}: " in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(("words", "answer"), COMMANDS, ids=NAMES)
def test_a_reader_that_went_away_has_a_status_and_a_sentence_with_the_answer(words, answer):
    """141, as a shell says it of other programs; a rule that broke is not lost in it."""
    reader, writer = os.pipe()
    os.close(reader)
    status, said = ended(words, stdout=writer)
    os.close(writer)
    assert (status, said.count("\n")) == (frame.CLOSED, 1)
    assert f"went away before its end; the answer is {answer}: " in said


def test_a_closed_output_is_said():
    """As after ``>&-``."""
    line = f"{sys.executable} -m p2plab run defrag-ignorant >&-"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == frame.NOT_WRITTEN
    assert "Bad file descriptor; the answer is 1: a rule broke" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "iso8859-1"])
def test_a_terminal_that_is_not_utf_8_shows_all_of_it_in_other_characters(encoding):
    """The status stays the answer's; a sentence says what became of the characters."""
    settings = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([*P2PLAB, "machine", "q35_switch2"], env=settings, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr.decode().startswith(f"p2plab: this terminal takes {encoding} only")
    usual = subprocess.run([*P2PLAB, "machine", "q35_switch2"], capture_output=True, check=False).stdout.decode()
    assert done.stdout.decode(encoding) == usual.replace("…", "...")


def test_standard_error_may_be_closed_or_full_too():
    """Then there is nobody to tell; the status stays."""
    with open("/dev/full", "w") as full:
        assert ended(["run", "no-such-scene"], stderr=full)[0] == frame.BAD_INPUT
    line = f"{sys.executable} -m p2plab run no-such-scene 2>&-"
    assert subprocess.run(["bash", "-c", line], check=False).returncode == frame.BAD_INPUT


def test_a_file_for_which_there_is_no_room_costs_not_the_story(tmp_path):
    """The run is printed all the same, and a file that was there is as it was."""
    done = subprocess.run(
        [*P2PLAB, "run", "defrag-ignorant", "--log", "/dev/full"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (4, "p2plab: /dev/full cannot be written: No space left on device\n")
    assert "BROKEN: obedience" in done.stdout
    kept = tmp_path / "kept.json"
    kept.write_text("precious")
    limit = f"ulimit -f 1; trap '' XFSZ; {sys.executable} -m p2plab run defrag-ignorant --log {kept}"
    done = subprocess.run(["bash", "-c", limit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (4, f"p2plab: {kept} cannot be written: File too large\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_nothing_that_was_typed_reaches_a_terminal_as_a_command(tmp_path):
    """Escape sequences in knobs, arguments, and names of devices are shown, not obeyed."""
    for words in (
        ["run", "workbench", "--knob", "pages=\x1b[2J"],
        ["run", "\x1b]0;mine\x07"],
        ["sweep", "\x1b[2J"],
        ["\x9b2J"],
    ):
        done = subprocess.run([*P2PLAB, *words], capture_output=True, check=False)
        assert done.returncode == 2
        assert not {b"\x1b", b"\x07"} & {bytes([byte]) for byte in done.stdout + done.stderr}
    text = tmp_path / "lspci.txt"
    text.write_text("00:01.0 VGA compatible controller: GPU \x1b[2Kowned\x07 \u202e [8086:1234]\n")
    done = subprocess.run([*P2PLAB, "machine", str(text)], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(letter.isprintable() or letter == "\n" for letter in done.stdout + done.stderr)


def test_a_mistake_of_ours_is_no_broken_rule(capsys, monkeypatch):
    """Python would end with 1 as well."""
    monkeypatch.setattr(run_command, "find", lambda _name: 1 / 0)
    assert main(["run", "workbench"]) == frame.MISTAKE
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert said.endswith("this is a mistake in p2plab and no answer; please report it with the lines above\n")


def test_an_interrupted_run_shows_how_far_it_came(capsys, monkeypatch):
    """Seven steps, then Ctrl-C; the token replays them."""

    def seven(world):
        for number, choice in enumerate(straight(world)):
            if number == 7:
                raise KeyboardInterrupt
            yield choice

    monkeypatch.setattr(run_command, "by_clock", seven)
    assert main(["run", "defrag-ignorant", "--timed", "--json"]) == frame.INTERRUPTED
    said = capsys.readouterr()
    assert (len(json.loads(said.out)["schedule"]), said.err) == (7, "p2plab: interrupted\n")


def test_an_interrupted_catalogue_shows_the_scenes_that_were_run(capsys, monkeypatch):
    """And says how many were not."""
    whole = catalog_command.verdicts

    def some(cases, seeds):
        yield from whole(cases[:2], seeds)
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog_command, "verdicts", some)
    assert main(["catalog", "F1", "F2", "F3", "--seeds", "0"]) == frame.INTERRUPTED
    said = capsys.readouterr()
    assert "2 of 2 caught by the rule named for them" in said.out
    assert said.out.endswith("of 3 scenes, 1 were not run\n")
    assert said.err.endswith("p2plab: interrupted\n")


#: Runs ``p2plab catalog``, and Ctrl-C comes when a module is imported.
INTERRUPTED_AT = """
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["p2plab", "catalog"]
runpy.run_module("p2plab", run_name="__main__")
"""


def _listens():
    """A shell lets what it starts in the background ignore Ctrl-C, and these tests with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("module", ["p2plab.cli", "argparse", "p2plab.cli.frame", "p2plab.cli.catalog", "p2plab.rules"])
def test_ctrl_c_while_it_starts_is_one_sentence(module):
    """However early, once p2plab's own code runs."""
    code = INTERRUPTED_AT.format(module)
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=_listens)
    assert (done.returncode, done.stdout, done.stderr) == (frame.INTERRUPTED, "", "p2plab: interrupted\n")


def test_typed_input_that_is_closed_is_said(monkeypatch):
    """As after ``<&-``."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(BadInput, match="standard input is closed"):
        frame.typed()


#: A system without these, as Windows and a browser are.
ELSEWHERE = """
import os, sys
for name in ("resource", "fcntl"):
    sys.modules[name] = None
for name in ("fork", "register_at_fork"):
    delattr(os, name)
from p2plab.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["run", "defrag-ignorant"], 1, ""),
        (["check", "defrag-obedient", "--budget", "5m"], 0, ""),
        (["check", "defrag-ignorant", "--workers", "2", "--budget", "5m"], 1, ""),
        (["check", "defrag-obedient", "--importer", "examples/my_nic.py:MyNic"], None, ""),
        (["mark", "."], 2, "hand-ins cannot be marked here: this system cannot limit a process's resources; Linux can"),
        (["machine", "q35_switch2"], 0, ""),
    ],
    ids=lambda part: "-".join(part) if isinstance(part, list) else "",
)
def test_a_system_without_fork_and_limits_gets_answers_or_a_sentence(words, status, sentence):
    """No traceback: what needs such a system says so, all else does not need one."""
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, *words], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert status is None or done.returncode == status, done
    assert sentence in done.stderr
