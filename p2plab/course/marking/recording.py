"""What turns a scene of a hand-in into data: it runs in the hand-in's process, with names of p2plab that only write down.

The hand-in's function is called; the jobs of its bench are then run on a stand-in for the rig, which notes each call and has no
values to look at. What comes of it is plain JSON, from which ``scene_data.py`` makes a scene on the other side. ``child.py``
gets this file as text, since nothing of p2plab is in its process.
"""

# Stand-ins for anything: types would say nothing here.
# mypy: ignore-errors

import ast
import dataclasses
import inspect

#: Calls and loops of a job after which it is taken for one that never ends.
_MOST = 400


class ByHand(BaseException):
    """A scene that is more than data; no ``Exception``, so that a job's ``except`` does not catch it."""


class NotAScene(Exception):
    """What the hand-in has instead of a scene."""


@dataclasses.dataclass(frozen=True)
class ByName:
    """Something of p2plab that is known by its name only: a kernel, a class."""

    named: str


class BenchStandIn:
    """To derive a bench from, and the rig itself in its jobs: the plan is known, and all that is not the hand-in's is noted."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Shared.plan if name == "plan" else Noted(["get", name])

    def __setattr__(self, name, value):
        _by_hand(f"a job sets self.{name}")


class Shared:
    """What the recording of a scene has noted so far."""

    places = [[]]  # noqa: RUF012  where the next call is noted, innermost last
    count = 0
    why = ""
    plan = None


def _by_hand(why):
    Shared.why = Shared.why or why
    raise ByHand(why)


def _note(*statement):
    Shared.count += 1
    if Shared.count > _MOST:
        _by_hand(f"its jobs make more than {_MOST} calls")
    Shared.places[-1].append(made := list(statement))
    return made


def _never(what):
    def look(self, *_args):
        _by_hand(f"a job looks at {self._said()}, and a value is there only in a run")

    return look


class NotLookedAt:
    """What a call returned, or what the world has at a place: it can be handed on, and not looked at."""

    __slots__ = ()


for _name in (
    *("bool", "iter", "len", "contains", "eq", "ne", "lt", "le", "gt", "ge", "hash", "int", "index", "str", "format"),
    *("add", "radd", "sub", "rsub", "mul", "rmul", "and", "or", "xor", "repr", "enter", "setitem", "delitem"),
):
    setattr(NotLookedAt, f"__{_name}__", _never(_name))


class CallsReturn(NotLookedAt):
    """What a call returned."""

    __slots__ = ("call",)

    def __init__(self, call):
        object.__setattr__(self, "call", call)

    def _said(self):
        return f"what {_path(self.call[1])} returned"

    def __await__(self):
        self.call[4] = True
        return CallsReturn(self.call)
        yield

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        _by_hand(f"a job looks at {self._said()}")


class Noted(NotLookedAt):
    """Something that the rig has: attributes and items of it are noted, and calls."""

    __slots__ = ("path",)

    def __init__(self, *path):
        object.__setattr__(self, "path", path)

    def _said(self):
        return _path(self.path)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Noted(*self.path, ["get", name])

    def __setattr__(self, name, value):
        _by_hand(f"a job sets {_path((*self.path, ['get', name]))}")

    def __getitem__(self, key):
        return Noted(*self.path, ["item", encoded(key)])

    def __call__(self, *args, **kwargs):
        words = [encoded(arg) for arg in args], [[name, encoded(value)] for name, value in kwargs.items()]
        return CallsReturn(_note("call", list(self.path), *words, False))

    async def __aenter__(self):
        _note("with", list(self.path), inside := [])
        Shared.places.append(inside)
        return self

    async def __aexit__(self, *_error):
        Shared.places.pop()


def _path(path):
    return "self" + "".join(f".{key}" if kind == "get" else f"[{key!r}]" for kind, key in path)


def encoded(value):
    """An argument."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (tuple, list)):
        return {"tuple": [encoded(item) for item in value]}
    if isinstance(value, CallsReturn):
        here = Shared.places[-1]
        if value.call[4] or not here or here[-1] is not value.call:
            _by_hand(f"a job hands on {value._said()}")
        here.pop()
        return {"call": value.call[1:4]}
    if isinstance(value, Noted):
        return {"path": list(value.path)}
    if isinstance(value, ByName):
        return {"named": value.named}
    return _by_hand(f"a job hands on a {type(value).__name__}")


async def step(label, effect=None, *, duration=1):
    """One atomic step, with the calls of its effect."""
    inside = []
    Shared.places.append(inside)
    try:
        if effect is not None:
            effect()
    finally:
        Shared.places.pop()
    _note("step", str(label), inside, duration)


async def wait_event(*_args, **_kwargs):
    """A condition is a look at values."""
    _by_hand("a job waits for a condition")


def job(actor, name="", *, needs=(), label="", why_not=None):
    """As p2plab's."""
    if actor not in ("app", "gpu", "nic", "fate"):
        raise ValueError(f"a job of {actor!r}: the actors are app, gpu, nic and fate")

    def declare(method):
        method.job = (actor, name or method.__name__)
        return method

    return declare


class SceneStandIn:
    """What ``scene`` returns, and ``elsewhere`` adds to."""

    def __init__(self, plan, bench):
        self.plan, self.bench, self.where = plan, bench, None


def scene(name, title, plan, *, bench=BenchStandIn, **more):
    """The plan and the bench; words and the story change no verdict."""
    for given in sorted({"knobs", "turn", "importer", "exporter", "when_cast"} & more.keys()):
        _by_hand(f"its scene has {given}")
    return SceneStandIn(plan, bench)


def elsewhere(scene, machine, exporter, importers, bar=None):
    """The scene on a machine."""
    if not isinstance(scene, SceneStandIn):
        raise TypeError(f"elsewhere takes a scene first, not a {type(scene).__name__}")
    if not isinstance(machine, MachineStandIn):
        raise TypeError("elsewhere takes a machine second: read_lspci(text), or read_machine(name)")
    made = SceneStandIn(scene.plan, scene.bench)
    made.where = [machine.kind, machine.text, exporter, list(importers), bar]
    return made


class MachineStandIn:
    """A machine by name, or by its lspci's text."""

    def __init__(self, kind, text):
        self.kind, self.text = kind, text

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _by_hand(f"it looks at {name} of its machine")

    def __getitem__(self, bdf):
        return _by_hand(f"it looks at {bdf} of its machine")


def read_machine(source, *_args, **_kwargs):
    """A recorded machine."""
    return MachineStandIn("recorded", str(source))


def read_lspci(text, name="lspci"):
    """A machine from its text."""
    return MachineStandIn("lspci", str(text))


def names(hello):
    """What p2plab has for scenes, by name."""
    plain = {name: _decoded(value) for name, value in hello["plan"].items()}
    fields = [(name, object, dataclasses.field(default=value)) for name, value in plain.items()]
    plan = dataclasses.make_dataclass("Plan", fields, frozen=True)
    for method, (actor, name) in hello["jobs"].items():
        setattr(BenchStandIn, method, job(actor, name)(_inherited(method)))
    given = {name: ByName(name) for name in hello["named"]} | dict(hello["constants"])
    given |= {"Plan": plan, "Bench": BenchStandIn, "BenchStation": ByName("BenchStation"), "job": job, "scene": scene}
    return given | {
        "elsewhere": elsewhere,
        "read_machine": read_machine,
        "read_lspci": read_lspci,
        "step": step,
        "wait_event": wait_event,
    }


def _decoded(value):
    if not isinstance(value, dict):
        return value
    return tuple(map(_decoded, value["tuple"])) if "tuple" in value else ByName(value["named"])


def _inherited(method):
    async def call(self, *args, **kwargs):
        await Noted(["get", method])(*args, **kwargs)

    call.__name__ = method
    return call


def described(function, hello):
    """The scene that the function returns, as JSON; ``by_hand`` says why it cannot be data. :exc:`NotAScene`."""
    if not inspect.isfunction(function) or inspect.signature(function).parameters:
        raise NotAScene("a function without arguments was expected, which returns the scene")
    try:
        said = _described(function, hello)
    except ByHand as why:
        return {"by_hand": Shared.why or str(why)}
    return {"by_hand": Shared.why} if Shared.why else said


def _described(function, hello):
    made = function()
    if not isinstance(made, SceneStandIn):
        raise NotAScene(f"{function.__name__} returned a {type(made).__name__}, and not a scene")
    if made.where is None:
        return {"where": None}
    if not dataclasses.is_dataclass(made.plan):
        raise NotAScene("scene takes a Plan as its third argument")
    Shared.plan = made.plan
    _look_at(made.bench, hello)
    if _catches(ast.parse(hello["source"]), made.bench):
        _by_hand("a job goes on after an error (try)")
    jobs = [[method, *value.job, _recorded(made.bench, value)] for method, value in _own(made.bench).items()]
    set_here = {}
    for name, usual in hello["plan"].items():
        value = getattr(made.plan, name)
        if value != _decoded(usual) and name != "importer":  # the check gives its own
            if not isinstance(value, (type(None), bool, int, str, tuple, list, ByName)):
                _by_hand(f"its plan sets {name}")
            set_here[name] = encoded(value)
    return {"where": made.where, "plan": set_here, "jobs": jobs}


def _own(bench):
    """The jobs that the hand-in wrote, or wrote anew; a method of the same name as a job is one."""
    found = {}
    for kind in reversed(bench.__mro__):
        if kind in (BenchStandIn, object):
            continue
        for name, value in vars(kind).items():
            before = getattr(BenchStandIn, name, None) or found.get(name)
            if inspect.isfunction(value) and not hasattr(value, "job") and hasattr(before, "job"):
                value.job = before.job
            if hasattr(value, "job"):
                found[name] = value
    return found


def _look_at(bench, hello):
    """A bench that changes more than jobs is a program, and no data."""
    if not inspect.isclass(bench) or not issubclass(bench, BenchStandIn):
        raise NotAScene("bench= takes a class that is derived from Bench")
    for kind in bench.__mro__:
        for name in vars(kind) if kind not in (BenchStandIn, object) else ():
            if name in hello["hooks"]:
                _by_hand(f"its bench changes {name}, with which the world is made")


def _recorded(bench, method):
    """The calls of one job, in order."""
    Shared.places = [[]]
    running = method(object.__new__(bench))
    if not inspect.iscoroutine(running):
        raise NotAScene(f"{method.__name__} is a job, and not async")
    try:
        running.send(None)
    except StopIteration:
        return Shared.places[0]
    running.close()
    return _by_hand(f"{method.__name__} waits for something that is not p2plab's")


def _catches(tree, bench):
    """Whether there is a ``try`` in the bench or in what it names: a job that goes on after an error is no list of calls."""
    known = {node.name: node for node in tree.body if hasattr(node, "name")}
    to_see = [kind.__name__ for kind in bench.__mro__]
    seen = set()
    while to_see:
        name = to_see.pop()
        if name in seen or name not in known:
            continue
        seen.add(name)
        for node in ast.walk(known[name]):
            if isinstance(node, (ast.Try, ast.TryStar)):
                return True
            if isinstance(node, ast.Name):
                to_see.append(node.id)
    return False
