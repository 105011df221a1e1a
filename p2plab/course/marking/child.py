"""The process in which a hand-in's code runs: it needs nothing of p2plab, and has nothing of it but names.

What a driver derives from, waits for and looks at stays with the process that marks: here are stand-ins, and each read,
write, call and await of one is a line of JSON on a pipe. ``talk.py`` is the other end, and believes nothing that it is told;
docs/instructor.md says what holds this process in. Run as ``python -I -S child.py SECONDS MEGABYTES``.
"""

# Stand-ins for anything: types would say nothing here.
# mypy: ignore-errors

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import struct
import sys
import types

LONGEST_LINE = 1 << 20
_DEPTH = 12


# -- shutting itself in ----------------------------------------------------------------------------------------------

#: System calls that Python needs for computing, reading its own modules, and talking on a pipe that is open already: their
#: numbers on x86-64 and arm64. No process, no socket, no signal, no way to change a file, a limit or a name.
_CALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "select": (23, None),
    "pselect6": (270, 72),
    "poll": (7, None),
    "ppoll": (271, 73),
    "sched_yield": (24, 124),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "uname": (63, 160),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "getrandom": (318, 278),
    "sched_getaffinity": (204, 123),
    "times": (100, 153),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "getrlimit": (97, 163),
    "setitimer": (38, 103),
    "restart_syscall": (219, 128),
}
_MACHINES = ("x86_64", "aarch64")
#: ``open`` and ``openat``, with the place of their flags: for reading only. ``prlimit64``: for looking only.
_OPENS = ({2: 1, 257: 2}, {56: 2})
_PRLIMIT = (302, 261)
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  #: the second: errno 1, EPERM


def _filter(machine):
    """A seccomp program: what is named above, and nothing else."""

    def code(kind, yes, no, value):
        return struct.pack("HBBI", kind, yes, no, value)

    load, equal, any_bit, end = 0x20, 0x15, 0x45, 0x06
    at = _MACHINES.index(machine)
    program = [code(load, 0, 0, 4), code(equal, 1, 0, _AUDIT[machine]), code(end, 0, 0, _REFUSE), code(load, 0, 0, 0)]
    for number, flags in _OPENS[at].items():
        program += [
            code(equal, 0, 4, number),
            code(load, 0, 0, 16 + 8 * flags),
            code(any_bit, 0, 1, _WRITES),
            code(end, 0, 0, _REFUSE),
            code(end, 0, 0, _ALLOW),
        ]
    program += [
        code(equal, 0, 6, _PRLIMIT[at]),
        code(load, 0, 0, 32),  # the new limit, in two halves: there has to be none
        code(equal, 0, 2, 0),
        code(load, 0, 0, 36),
        code(equal, 1, 0, 0),
        code(end, 0, 0, _REFUSE),
        code(end, 0, 0, _ALLOW),
    ]
    for numbers in _CALLS.values():
        if numbers[at] is not None:
            program += [code(equal, 0, 1, numbers[at]), code(end, 0, 0, _ALLOW)]
    return b"".join([*program, code(end, 0, 0, _REFUSE)])


def shut_in(seconds, megabytes):
    """Limits, no new privileges, and the filter; whether the kernel took the filter."""
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes << 20),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL: it does not outlive the process that marks
    machine = os.uname().machine
    if machine not in _MACHINES or libc.prctl(38, 1, 0, 0, 0):  # PR_SET_NO_NEW_PRIVS
        return False
    program = _filter(machine)
    room = ctypes.create_string_buffer(program)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    whole = Program(len(program) // 8, ctypes.addressof(room))
    return libc.prctl(22, 2, ctypes.byref(whole), 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


# -- the pipe --------------------------------------------------------------------------------------------------------


class Link:
    """Lines of JSON, to and fro."""

    def __init__(self, source, target):
        self.source, self.target, self.rest = source, target, b""

    def send(self, *message):
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self.target, data) :]

    def receive(self):
        while b"\n" not in self.rest:
            more = os.read(self.source, 65536)
            if not more:
                os._exit(0)
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)


LINK = None


def ask(*message):
    """A question, and its answer; whatever is asked meanwhile from the other side is done first."""
    LINK.send(*message)
    while True:
        reply = LINK.receive()
        if reply[0] == "ok":
            return decoded(message[1], reply[1])
        if reply[0] == "no":
            raise error_from(reply[1:])
        serve(reply)


# -- stand-ins -------------------------------------------------------------------------------------------------------


class KernelError(Exception):
    """As p2plab's."""

    numbers: "dict[str, int]" = {}  # noqa: RUF012  filled once, before anything runs

    def __init__(self, name, sentence=""):
        if name not in self.numbers:
            raise ValueError(f"{name!r} is not an errno of Linux")
        super().__init__(f"-{name}: {sentence}")
        self.name, self.sentence, self.errno = name, sentence, self.numbers[name]


class ModelError(Exception):
    """The model refused something; ``number`` is what the other side knows it by."""

    def __init__(self, kind, text, number):
        super().__init__(f"{kind}: {text}" if text else kind)
        self.number = number


class Awaitable:
    """What an await of the driver asks the other side for."""

    def __init__(self, *request):
        self.request = request

    def __await__(self):
        return (yield self)


class Remote:
    """Something that the other side has: ``key`` is the world and a number, ``said`` names it the same in every world."""

    __slots__ = ("key", "said")

    def __new__(cls, *args, **kwargs):
        raise TypeError(f"{cls.__name__} objects are made by the scene")

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return ask("get", *self.key, name)

    def __setattr__(self, name, value):
        ask("set", *self.key, name, encoded(value))

    def __call__(self, *args, **kwargs):
        return ask("do", *self.key, "__call__", encoded(list(args)), encoded(kwargs))

    def __bool__(self):
        return ask("op", *self.key, "__bool__", [])

    def __iter__(self):
        return iter(ask("op", *self.key, "__iter__", []))

    def __hash__(self):
        return hash((self.key[0], self.said))

    def __eq__(self, other):
        if isinstance(other, Remote) and other.key == self.key:
            return True
        return ask("op", *self.key, "__eq__", [encoded(other)])

    def __ne__(self, other):
        return not self == other

    async def __aenter__(self):
        return await Awaitable("enter", *self.key)

    async def __aexit__(self, kind, error, trace):
        return await Awaitable("exit", *self.key, kind is not None)

    def __repr__(self):
        return self.said


def _operator(name):
    def operate(self, *args):
        return ask("op", *self.key, name, [encoded(arg) for arg in args])

    operate.__name__ = name
    return operate


for _name in (
    *(
        "len",
        "contains",
        "getitem",
        "setitem",
        "delitem",
        "lt",
        "le",
        "gt",
        "ge",
        "add",
        "radd",
        "sub",
        "rsub",
        "and",
        "or",
    ),
    *("rand", "ror", "xor", "int", "index", "str"),
):
    setattr(Remote, f"__{_name}__", _operator(f"__{_name}__"))


class RuleStandIn:
    """To derive a rule from: it reads entries, and what ``broken`` makes is what it says."""

    name = promise = ""
    notes = ()

    def __init__(self):
        self.exercised = False

    def broken(self, entry, culprit, what):
        """What it says of an entry."""
        return Spoken(what)

    def excuse(self, what):
        """Nobody asks for it here."""


class Spoken(str):
    """What a rule said."""


class EntryStandIn:
    """One entry of a log, with stand-ins for its event."""

    def __init__(self, actor, step, index, kind, text, fields):
        self.actor, self.step, self.index, self.time = actor, step, index, 0
        self.event = object.__new__(EVENTS.setdefault(kind, type(kind, (), {})))
        vars(self.event).update({name: decoded(0, value) for name, value in fields}, kind=kind)
        type(self.event).__str__ = lambda event: event._text
        vars(self.event)["_text"] = text


#: The kinds of event by name, as a rule may have imported them.
EVENTS = {}


def watched(log):
    """At which entry a new rule of the answer's class speaks first, and what it says; -1 where it is silent."""
    rule = DRIVER()
    for number, words in enumerate(log):
        for said in rule.see(EntryStandIn(*words)) or ():
            if not isinstance(said, Spoken):
                raise TypeError("see yields what self.broken(entry, culprit, what) makes, and nothing else")
            return [number, said[:200]]
    return [-1, ""]


class Method:
    """A method of something that the other side has."""

    def __init__(self, key, name, is_async):
        self.key, self.name, self.is_async = tuple(key), name, is_async

    def __call__(self, *args, **kwargs):
        what = (*self.key, self.name, encoded(list(args)), encoded(kwargs))
        return Awaitable("method", *what) if self.is_async else ask("do", *what)


def _inherited(name, is_async):
    def call(self, *args, **kwargs):
        what = (*self.key, name, encoded(list(args)), encoded(kwargs))
        return Awaitable("base", *what) if is_async else ask("base", *what)

    call.__name__ = name
    return call


def stand_in(name, methods):
    """A class to derive from, with the methods that p2plab's has."""
    return type(name, (Remote,), {method: _inherited(method, is_async) for method, is_async in methods.items()})


async def step(label, effect=None, *, duration=1):
    """One atomic step."""
    return await Awaitable("step", current(), str(label), encoded(effect), int(duration))


async def wait_event(condition, label, *, waits_for=None):
    """Sleep until the condition holds."""
    await Awaitable("wait_event", current(), str(label), encoded(condition))


async def idle(condition, label="idle"):
    """Sleep until there is work."""
    await Awaitable("idle", current(), str(label), encoded(condition))


# -- values ----------------------------------------------------------------------------------------------------------

WORLDS = {}  #: number -> (stand-ins by number, callables, coroutines)
RUNNING = []  #: the world whose code runs, innermost last
DRIVER = None


def current():
    return RUNNING[-1]


def world(number):
    return WORLDS.setdefault(number, ({}, [], {}))


def encoded(value):
    """A value for the other side."""
    if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
        return value
    if isinstance(value, Remote):
        return {"r": value.key[1]}
    if isinstance(value, (tuple, list, set, frozenset)):
        kind = next(kind for kind in (tuple, list, set, frozenset) if isinstance(value, kind))
        return {kind.__name__: [encoded(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encoded(key), encoded(item)] for key, item in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Method):
        return {"m": [value.key[1], value.name]}
    if callable(value) and RUNNING:
        functions = world(current())[1]
        functions.append(value)
        return {"f": [len(functions) - 1, digest(value)]}
    raise TypeError(f"a {type(value).__name__} cannot be shared with others: numbers, text, lists, sets and dicts can")


def decoded(number, value):
    """A value from the other side."""
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "r":
        known = world(number)[0]
        if inside[0] not in known:
            made = object.__new__(DRIVER if inside[2] else Remote)
            object.__setattr__(made, "key", (number, inside[0]))
            object.__setattr__(made, "said", inside[1])
            known[inside[0]] = made
        return known[inside[0]]
    if kind == "m":
        return Method((number, inside[0]), inside[1], inside[2])
    if kind == "tuple":
        return tuple(decoded(number, item) for item in inside)
    if kind == "bytes":
        return bytes.fromhex(inside)
    return [decoded(number, item) for item in inside]


def error_from(words):
    kind, *rest = words
    return KernelError(*rest) if kind == "kernel" else ModelError(*rest)


def said_of(error):
    """An error for the other side."""
    if isinstance(error, KernelError):
        return ["kernel", error.name, str(error.sentence)]
    if isinstance(error, ModelError):
        return ["again", error.number]
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename != __file__ else line
        trace = trace.tb_next
    text = str(error)[:200]
    return ["other", type(error).__name__[:60], f"{text} (line {line})" if line else text]


# -- what it says of its own state -----------------------------------------------------------------------------------


def digest(value, depth=0):
    """A value as text, the same in every world that is in the same state."""
    if depth > _DEPTH:
        return "..."
    deeper = depth + 1
    if isinstance(value, Remote):
        return f"<{value.said}>"
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({','.join(digest(item, deeper) for item in value)})"
    if isinstance(value, (set, frozenset)):
        return f"set({','.join(sorted(digest(item, deeper) for item in value))})"
    if isinstance(value, dict):
        return f"dict({','.join(digest(k, deeper) + ':' + digest(v, deeper) for k, v in value.items())})"
    if isinstance(value, types.CoroutineType):
        frame = value.cr_frame
        position = "done" if frame is None else f"{frame.f_code.co_qualname}@{frame.f_lasti}"
        return f"coroutine({position}:{','.join(digest(part, deeper) for part in gc.get_referents(value))})"
    if isinstance(value, types.FunctionType):
        cells = value.__closure__ or ()
        inside = ",".join(_cell(cell, deeper) for cell in cells)
        code = value.__code__
        return f"function({code.co_qualname}@{code.co_firstlineno}:{inside};{digest(value.__defaults__, deeper)})"
    if isinstance(value, types.MethodType):
        return f"method({value.__name__},{digest(value.__self__, deeper)})"
    if isinstance(value, Method):
        return f"method({value.name})"
    if isinstance(value, (type, types.ModuleType, types.CodeType, types.BuiltinFunctionType)):
        return getattr(value, "__qualname__", None) or getattr(value, "__name__", "code")
    if isinstance(value, BaseException):
        return f"{type(value).__name__}{digest(value.args, deeper)}"
    if isinstance(value, types.CellType):
        return _cell(value, deeper)
    if isinstance(value, Awaitable):
        return "await"
    if hasattr(value, "__reduce__") and type(value).__module__ == "builtins" and "iterator" in type(value).__name__:
        return f"iterator{digest(value.__reduce__()[1:], deeper)}"
    if isinstance(value, types.GeneratorType):
        return f"generator({value.gi_frame and value.gi_frame.f_lasti})"
    inside = getattr(value, "__dict__", None)
    return f"{type(value).__name__}{digest(inside, deeper) if isinstance(inside, dict) else ''}"


def _cell(cell, depth):
    try:
        return digest(cell.cell_contents, depth)
    except ValueError:
        return "empty"


# -- time ------------------------------------------------------------------------------------------------------------

#: Seconds of computing, and by the clock, that a step or the answer's top level may take.
COMPUTING, WALL = 1.0, 8.0


class Endless(BaseException):
    """Raised into code that goes on and on; and again, because a bare ``except:`` may have swallowed it."""


#: So often is code asked to stop that swallows it; then it is ended.
_PATIENCE = 10
_ASKED = [0]


def _too_long(number, frame):
    _ASKED[0] += 1
    if _ASKED[0] > _PATIENCE:
        os._exit(70)
    raise Endless


class limited:
    """``with limited:`` code of the hand-in runs; not forever."""

    def __enter__(self):
        _ASKED[0] = 0
        signal.setitimer(signal.ITIMER_PROF, COMPUTING, 0.2)
        signal.setitimer(signal.ITIMER_REAL, WALL, 0.2)

    def __exit__(self, *_error):
        while True:
            try:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.setitimer(signal.ITIMER_REAL, 0)
                return
            except Endless:
                continue


# -- the driver's code -----------------------------------------------------------------------------------------------


def serve(message):
    """One message from the other side, answered with what came of it."""
    kind, number, *rest = message
    if kind == "forget":
        for one in number:
            WORLDS.pop(one, None)
        return
    if kind in ("ok", "no"):
        return  # nobody asked any more: the step that did was too long
    depth = len(RUNNING)
    RUNNING.append(number)
    try:
        with limited() if not depth else contextlib.nullcontext():
            answer = answered(kind, number, rest)
    except Endless:
        answer = ("endless",)
    except BaseException as error:  # noqa: BLE001  whatever a hand-in raises is said, and judged on the other side
        answer = ("raise", *said_of(error))
    del RUNNING[depth:]
    LINK.send(*answer)


def answered(kind, number, rest):
    """What comes of one message."""
    if kind == "call":
        turn, name, this, args, kwargs = rest
        function = getattr(DRIVER, name)
        arguments = decoded(number, args)
        options = {key: decoded(number, value) for key, value in kwargs}
        made = function(decoded(number, this), *arguments, **options)
        if not isinstance(made, (types.CoroutineType, Awaitable)):
            return "return", encoded(made)
        made = made if isinstance(made, types.CoroutineType) else _alone(made)
        world(number)[2][turn] = made
        return go_on(number, turn, made.send, None)
    if kind == "watch":
        return "return", watched(rest[0])
    if kind == "resume":
        return go_on(number, rest[0], world(number)[2][rest[0]].send, decoded(number, rest[1]))
    if kind == "throw":
        return go_on(number, rest[0], world(number)[2][rest[0]].throw, error_from(rest[1:]))
    return "return", encoded(world(number)[1][rest[0]](*decoded(number, rest[1])))


async def _alone(awaitable):
    return await awaitable


def go_on(number, turn, how, value):
    coroutines = world(number)[2]
    try:
        request = how(value)
    except StopIteration as stop:
        del coroutines[turn]
        return "return", encoded(stop.value)
    except BaseException:
        del coroutines[turn]
        raise
    if isinstance(request, Awaitable):
        return "await", request.request, digest(coroutines[turn])
    coroutines.pop(turn).close()
    return "odd", type(request).__name__


def modules(hello, more):
    """Modules by the names under which a driver may know them; ``more`` are names that a scene knows."""
    KernelError.numbers = dict(hello["errno"])
    bases = {name: stand_in(name, methods) for name, methods in hello["classes"].items()}
    errno = types.ModuleType("errno")
    vars(errno).update(hello["errno"], errorcode={number: name for name, number in hello["errno"].items()})
    kit = {
        "PAGE_SIZE": hello["page"],
        "KernelError": KernelError,
        "errno": errno,
        "step": step,
        "wait_event": wait_event,
        "Rule": RuleStandIn,
    }
    kit |= {name: _by_the_kit(name) for name in hello["functions"]} | bases
    kit |= {name: type(name, (), {}) for name in hello["names"] if name not in kit}
    kit |= more
    where = {"p2plab.course.kit": list(kit), "p2plab.core.actors": ["step", "wait_event", "idle"], **hello["modules"]}
    EVENTS.update({name: kind for name, kind in kit.items() if isinstance(kind, type) and kind.__module__ == __name__})
    kit["idle"] = idle
    for name, inside in where.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            if path not in sys.modules:
                made = sys.modules[path] = types.ModuleType(path)
                made.__path__ = []
                if end > 1:
                    setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], made)
        vars(sys.modules[name]).update({each: kit[each] for each in inside})
    sys.modules["p2plab.course.kit"].__all__ = [name for name in kit if name != "idle"]
    sys.modules["errno"] = errno
    return bases


def _by_the_kit(name):
    def call(thing, *args):
        ask("kit", *thing.key, name, [encoded(arg) for arg in args])

    call.__name__ = name
    return call


def kind_of(function):
    flags = function.__code__.co_flags
    return "generator" if flags & 0x200 else "async" if flags & 0x80 else "plain"


def described(driver, bases):
    """What the other side has to know of the class: its base, its own methods, and simple attributes."""
    base = next((name for name, base in bases.items() if issubclass(driver, base)), "")
    methods, values = {}, {}
    for one in reversed([one for one in driver.__mro__ if one not in (Remote, object, *bases.values())]):
        for name, value in vars(one).items():
            if isinstance(value, types.FunctionType):
                names = value.__code__.co_varnames[: value.__code__.co_argcount]
                rest = bool(value.__code__.co_flags & 4)
                methods[name] = [kind_of(value), list(names), len(value.__defaults__ or ()), rest]
            elif not name.startswith("_") and (value is None or isinstance(value, (bool, int, str))):
                values[name] = value
    return {"name": driver.__name__, "base": base, "methods": methods, "values": values}


def load(hello):
    """The hand-in's description for the other side; ValueError with a sentence."""
    global DRIVER
    recording = types.ModuleType("recording")
    exec(hello["recording"], vars(recording))  # noqa: S102  p2plab's own
    bases = modules(hello, recording.names(hello) if hello["recording"] else {})
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    try:
        with limited():
            exec(compile(hello["source"], hello["file"], "exec", dont_inherit=True), vars(module))  # noqa: S102  what is marked
            found = vars(module).get(hello["class"])
            if hello["recording"] and found is not None:
                return recording.described(found, hello)
    except Endless:
        what = "its scene does not come to an end" if hello["recording"] else "its top level may only define things"
        raise ValueError(f"{hello['file']} does not finish: {what}") from None
    except SyntaxError as error:
        raise ValueError(f"{hello['file']}, line {error.lineno}: {error.msg}") from None
    except BaseException as error:  # noqa: BLE001  whatever it raises is said
        if isinstance(error, getattr(recording, "NotAScene", ())):
            raise ValueError(str(error)) from None
        _, kind, *text = said_of(error)
        raise ValueError(f"{hello['file']} raised {kind}: {' '.join(map(str, text))}") from None
    if not isinstance(found, type):
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == "answer"]
        kind = "function" if hello["recording"] else "class"
        raise ValueError(f"{hello['file']} has no {kind} {hello['class']}; it has {', '.join(own)[:200] or 'none'}")
    DRIVER = found
    return described(found, bases)


def main(seconds, megabytes):
    """Until the other side goes away."""
    global LINK
    LINK = Link(os.dup(0), os.dup(1))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdin = sys.stdout = sys.stderr = None
    for module in (
        "asyncio",
        "collections",
        "dataclasses",
        "enum",
        "functools",
        "itertools",
        "contextlib",
        "random",
        "math",
        "ast",
        "inspect",
    ):
        __import__(module)
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGPROF, _too_long)
    filtered = shut_in(seconds, megabytes)
    hello = LINK.receive()[1]
    try:
        description = load(hello)
    except ValueError as error:
        LINK.send("bad", str(error)[:500], filtered)
        return
    LINK.send("class", description, filtered)
    while True:
        serve(LINK.receive())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
