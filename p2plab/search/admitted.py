"""What a driver's code may use of Python and its standard library: what computes, and what prints.

Anything not named here is refused. ``docs/check.md`` says the same to people.
"""

from __future__ import annotations

#: Kinds of value in which nothing can change; ``Decimal`` and ``Fraction`` are two more.
VALUES = frozenset({
    int, str, bytes, bool, float, complex, type(None), range, slice, type(...), type(NotImplemented),
})  # fmt: skip

#: Built-in functions and classes; all exceptions are admitted as well.
BUILTINS = frozenset(
    [
        "abs",
        "aiter",
        "all",
        "anext",
        "any",
        "ascii",
        "bin",
        "bool",
        "bytearray",
        "bytes",
        "callable",
        "chr",
        "classmethod",
        "complex",
        "delattr",
        "dict",
        "dir",
        "divmod",
        "enumerate",
        "exit",
        "filter",
        "float",
        "format",
        "frozenset",
        "getattr",
        "hasattr",
        "hex",
        "int",
        "isinstance",
        "issubclass",
        "iter",
        "len",
        "list",
        "map",
        "max",
        "min",
        "next",
        "object",
        "oct",
        "ord",
        "pow",
        "print",
        "property",
        "quit",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "setattr",
        "slice",
        "sorted",
        "staticmethod",
        "str",
        "sum",
        "super",
        "tuple",
        "type",
        "vars",
        "zip",
        "NotImplemented",
        "Ellipsis",
        "__debug__",
        "__build_class__",
        "__name__",
        "__doc__",
        "__file__",
    ]
)

_ALL: frozenset[str] = frozenset()

#: Modules, and what of each; an empty set is all of it.
MODULES: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        [
            "math",
            "cmath",
            "itertools",
            "operator",
            "collections",
            "dataclasses",
            "enum",
            "typing",
            "typing_extensions",
            "abc",
            "types",
            "string",
            "struct",
            "bisect",
            "heapq",
            "copy",
            "re",
            "textwrap",
            "numbers",
            "fractions",
            "statistics",
            "json",
            "pprint",
            "reprlib",
            "binascii",
            "zlib",
            "hashlib",
            "base64",
            "difflib",
            "unicodedata",
            "errno",
            "numpy",
            "annotationlib",
        ],
        _ALL,
    ),
    "logging": frozenset(
        [
            "getLogger",
            "debug",
            "info",
            "warning",
            "warn",
            "error",
            "exception",
            "critical",
            "log",
            "basicConfig",
            "disable",
            "root",
            "DEBUG",
            "INFO",
            "WARNING",
            "ERROR",
            "CRITICAL",
            "NOTSET",
            "Formatter",
            "StreamHandler",
            "NullHandler",
            "LoggerAdapter",
        ]
    ),
    "functools": frozenset(
        [
            "partial",
            "partialmethod",
            "reduce",
            "wraps",
            "update_wrapper",
            "cmp_to_key",
            "total_ordering",
            "cached_property",
            "lru_cache",
            "cache",
            "singledispatch",
            "singledispatchmethod",
        ]
    ),
    "contextlib": frozenset(
        [
            "contextmanager",
            "asynccontextmanager",
            "suppress",
            "closing",
            "aclosing",
            "nullcontext",
            "ExitStack",
            "AsyncExitStack",
            "AbstractContextManager",
            "AbstractAsyncContextManager",
            "ContextDecorator",
            "AsyncContextDecorator",
        ]
    ),
    "decimal": frozenset({"Decimal", "InvalidOperation", "DivisionByZero", "ROUND_HALF_UP", "ROUND_DOWN", "ROUND_UP"}),
    "warnings": frozenset({"warn"}),
    "sys": frozenset(
        [
            "stdout",
            "stderr",
            "exit",
            "maxsize",
            "byteorder",
            "float_info",
            "int_info",
            "version_info",
            "version",
            "intern",
            "platform",
        ]
    ),
    "os": frozenset({"sep", "path", "linesep", "name", "strerror", "fspath"}),
    "posixpath": frozenset(["join", "basename", "dirname", "split", "splitext", "normpath"]),
    "time": frozenset({"sleep"}),
    "asyncio": frozenset(
        ["sleep", "gather", "wait", "wait_for", "shield", "create_task", "CancelledError", "TimeoutError"]
    ),
}

#: What of the modules that are admitted as a whole is not: set-up that all share, chance, files, other modules' parts.
NOT_OF: dict[str, frozenset[str]] = {
    "numpy": frozenset(
        [
            "random",
            "seterr",
            "geterr",
            "seterrcall",
            "geterrcall",
            "errstate",
            "setbufsize",
            "getbufsize",
            "set_printoptions",
            "get_printoptions",
            "printoptions",
            "memmap",
            "fromfile",
            "load",
            "save",
            "savez",
            "savez_compressed",
            "savetxt",
            "loadtxt",
            "genfromtxt",
            "lib",
            "core",
            "ctypeslib",
            "f2py",
            "testing",
        ]
    ),
}

#: What produces output and returns nothing that could influence the driver.
OUTPUT = frozenset({("sys", "stdout"), ("sys", "stderr"), ("os", "write"), ("posix", "write"), ("nt", "write")})

#: Attributes that lead from an object to what runs it.
REFLECTIVE = frozenset(
    [
        "__globals__",
        "__builtins__",
        "__closure__",
        "cell_contents",
        "f_back",
        "f_locals",
        "f_globals",
        "f_builtins",
        "f_lineno",
        "f_lasti",
        "tb_frame",
        "tb_lineno",
        "tb_lasti",
        "tb_next",
        "cr_frame",
        "cr_await",
        "cr_origin",
        "gi_frame",
        "gi_yieldfrom",
        "ag_frame",
        "__traceback__",
        "with_traceback",
        "__subclasses__",
        "__self__",
        "__annotations__",
        "__kwdefaults__",
        "cache_info",
        "cache_clear",
        "__weakref__",
        "_tracked_name",
        "__getattribute__",
        "__hash__",
        "__sizeof__",
    ]
)

#: What a function, a class, a property or a module has besides its attributes: it can be read, and not assigned.
OF_CODE = frozenset(["__doc__", "__name__", "__qualname__", "__module__", "__bases__"])

#: By name: why it is refused, and what to write instead.
HINTS = {
    "hash": "it differs from process to process. Compare the values themselves",
    "__hash__": "it differs from process to process. Compare the values themselves",
    "id": "an address differs from run to run. Compare with `is`, or give your objects a number",
    "random": "chance cannot be searched. Let a knob or the order of events decide",
    "secrets": "chance cannot be searched. Let a knob or the order of events decide",
    "uuid": "chance cannot be searched. Number your objects yourself",
    "time": "time is no part of a state: only the order of events decides. Say how long a step takes: step(…, duration=…)",
    "datetime": "time is no part of a state: only the order of events decides. Say how long a step takes: step(…, duration=…)",
    "threading": "threads are the actors of the scene. Use p2plab.core.locks.Mutex, and wait_event for a condition",
    "_thread": "threads are the actors of the scene. Use p2plab.core.locks.Mutex, and wait_event for a condition",
    "asyncio": "its loop does not run here. Use p2plab.core.locks.Mutex, and step or wait_event of p2plab.core.actors",
    "queue": "threads are the actors of the scene. Use a deque, and wait_event until something is in it",
    "array": "a search does not see into it. Keep a list of numbers",
    "pickle": "it can make anything. Keep a copy of what you need in an attribute",
    "private": "it is no part of what the module offers. Keep what you need in an attribute (self.…)",
    "world": "the world belongs to whoever runs it. A driver sees its own attributes and those of the objects it was given",
    "module": "anything could be asked of it. Name what you need of it, or import that by itself",
    "set": "it differs from process to process. Go through sorted(…), a list or a dict",
    "__del__": "it runs whenever Python lets go of the object, which is no step. Do it in a method that is called",
    "reflection": "it leads past what a search sees. Keep what you need in an attribute or a local variable",
    "else": "a search cannot see what that remembers or depends on. Keep it in an attribute (self.…), a local variable, or "
    "a constant of the module",
}
