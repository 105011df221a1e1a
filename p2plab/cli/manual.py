"""What the help of each command adds to its options: examples that work as typed, and its exit statuses."""

from __future__ import annotations

from collections.abc import Mapping

#: The commands by purpose, in the order of the help text. New ones come under "more".
GROUPS = {
    "runs": ("scenes", "run", "replay", "export"),
    "every order of events": ("check", "lockdep", "catalog"),
    "machines": ("machine", "reach", "whatif"),
    "Linux": ("events", "designs", "conform"),
    "course": ("lab", "quiz", "story", "mark"),
    "more": ("sweep", "doctor", "completion"),
}

#: Each command's examples. A test runs them, in this order.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "scenes": ("p2plab scenes", "p2plab scenes E4 defrag-obedient", "p2plab scenes --takes 'dma-buf importer'"),
    "run": (
        "p2plab run defrag-ignorant",
        "p2plab run E4 --knob driver=good --seed 7",
        "p2plab run defrag-obedient --machine q35_switch1 --exporter-at 03:00.0 --importer-at 04:00.0",
    ),
    "replay": ("p2plab run defrag-obedient --seed 7 | p2plab replay -",),
    "export": (
        "p2plab export defrag-ignorant --html run.html",
        "p2plab export E4 --link stories.html --step 12",
        "p2plab export all --html stories.html",
    ),
    "check": (
        "p2plab check defrag-obedient",
        "p2plab check defrag-obedient --importer examples/my_nic.py:MyNic",
        "p2plab check defrag-obedient --knob pages=1 --budget 1m --json",
    ),
    "lockdep": ("p2plab lockdep E7",),
    "catalog": ("p2plab catalog F1 E7 --seeds 5",),
    "designs": ("p2plab designs --kernel 6.12",),
    "sweep": ("p2plab sweep fragmentation --seeds 2",),
    "machine": ("p2plab machine q35_switch2", "p2plab machine examples/machines/no-room.txt"),
    "reach": ("p2plab reach q35_switch2 03:00.0 04:00.0", "p2plab reach examples/machines/switch-with-acs.txt"),
    "whatif": ("p2plab whatif q35_switch2 --iommu on", "p2plab whatif q35_switch2 --acs 02:00.0=off"),
    "conform": ("p2plab conform pci q35_switch2", "p2plab conform mm two_race.linux-6.12", "p2plab conform scenes"),
    "events": ("p2plab events", "p2plab events munmap device", "p2plab events munmap --changes"),
    "lab": ("p2plab lab my-course --copy",),
    "quiz": ("p2plab quiz --seed 3 --reveal",),
    "story": ("p2plab story", "p2plab story 06", "p2plab story 06 --beat 2"),
    "mark": ("p2plab mark hand-ins --csv marks.csv --grades grades.csv --unprotected",),
    "doctor": ("p2plab doctor",),
    "completion": ("p2plab completion bash", "p2plab completion fish"),
}

_ALWAYS = {
    "2": "bad input",
    "4": "the output could not be written, a full disk for example",
    "70": "a bug in p2plab",
    "130": "interrupted; what was found so far has been printed",
    "141": "the program that read the output has exited",
}
#: The exit statuses of a command beyond those of every command; 0 is explained for each.
STATUSES: Mapping[str, Mapping[str, str]] = {
    "run": {"0": "all rules held", "1": "a rule broke"},
    "replay": {"0": "all rules held", "1": "a rule broke"},
    "check": {"0": "every order holds", "1": "an order breaks a rule", "3": "not decided"},
    "lockdep": {"0": "lockdep is silent", "1": "lockdep reports"},
    "catalog": {"0": "each is caught and no twin accused", "1": "one is not, or one is"},
    "reach": {"0": "answered, also with no", "3": "what is not shown decides for some pair"},
    "whatif": {"0": "answered", "3": "what is not shown decides for some pair or group"},
    "conform": {"0": "no operation differs", "1": "one differs"},
    "doctor": {"0": "nothing is wrong", "1": "something is wrong"},
    "lab": {"0": "copied; JupyterLab's own status once it has ended"},
    "mark": {"0": "every hand-in has its row"},
    "machine": {"0": "described", "3": "what was asked for is not known"},
}


def epilog(command: str) -> str:
    """Below a command's options."""
    lines = ["examples:", *(f"  {line}" for line in EXAMPLES.get(command, ()))] if command in EXAMPLES else []
    statuses = {"0": "done"} | dict(STATUSES.get(command, {})) | _ALWAYS
    lines += ["", "exit status:"]
    lines += [f"  {status:>3}  {statuses[status]}" for status in sorted(statuses, key=int)]
    return "\n".join(lines).strip()


def overview(commands: Mapping[str, str]) -> str:
    """All commands in groups, each with its line of help."""
    known = {name for names in GROUPS.values() for name in names}
    groups = {**GROUPS, "more": (*GROUPS["more"], *(name for name in commands if name not in known))}
    lines = []
    for group, names in groups.items():
        lines += ["", f"{group}:", *(f"  {name:<11} {commands[name]}" for name in names if name in commands)]
    lines += ["", "p2plab COMMAND --help has the options, examples and exit statuses of each."]
    return "\n".join(lines).strip()
