"""One driver, and the places in which it can keep the bit that decides whether it drains: some a search sees, some not.

The bug is the same in all of them: where the lock had to be waited for, the drain is left out. ``put`` and ``get`` keep
the bit. Whoever keeps it where a search sees it is found; whoever does not is refused.
"""

from __future__ import annotations

import collections
import contextvars
import copy
import dataclasses
import enum
import functools
import itertools
import json
import logging
import math
import os
import struct
import threading
import types
import weakref

import numpy as np

from p2plab.core.actors import step
from p2plab.drivers.nic import ObedientNic


class FastPath(ObedientNic):
    """Leaves the drain out where the lock had to be waited for."""

    def put(self, bit):
        self.bit = bit

    def get(self):
        return self.bit

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.put(False)

    async def invalidate_range_start(self, range):
        if self.lock.trylock():
            self.put(False)
        else:
            self.put(True)
            await self.lock.lock()
        self.invalidation_begins(range)
        low, high = self.concerned(range)
        await self.engine.clear(low, high)
        if not self.get():
            await self.engine.drain(low, high)
        await self.p2p_unmap(low, high)
        self.lock.unlock()
        return 0


class KeepsLocally(ObedientNic):
    """The same with the bit in a local variable: ``hide`` makes what keeps it, ``shows`` reads it."""

    def hide(self, bit):
        return bit

    def shows(self, kept):
        return kept

    async def invalidate_range_start(self, range):
        free = self.lock.trylock()
        kept = self.hide(not free)
        if not free:
            await self.lock.lock()
        self.invalidation_begins(range)
        low, high = self.concerned(range)
        await self.engine.clear(low, high)
        if not self.shows(kept):
            await self.engine.drain(low, high)
        await self.p2p_unmap(low, high)
        self.lock.unlock()
        return 0


# -- where a search sees it ------------------------------------------------------------------------------------------------


class InSlot(FastPath):
    __slots__ = ("bit",)


@dataclasses.dataclass(frozen=True)
class Hint:
    name: str
    bit: bool = dataclasses.field(compare=False)


class InUncomparedField(FastPath):
    def put(self, bit):
        self.hint = Hint("hint", bit)

    def get(self):
        return self.hint.bit


class InFrozenByForce(FastPath):
    def put(self, bit):
        if not hasattr(self, "hint"):
            self.hint = Hint("hint", bit)
        object.__setattr__(self.hint, "bit", bit)

    def get(self):
        return self.hint.bit


class Pair(tuple):
    """A tuple with attributes."""


class InTupleAttribute(FastPath):
    def put(self, bit):
        self.pair = Pair((1, 2))
        self.pair.bit = bit

    def get(self):
        return self.pair.bit


class Number(int):
    """A number with attributes."""


class InNumberAttribute(FastPath):
    def put(self, bit):
        self.number = Number(1)
        self.number.bit = bit

    def get(self):
        return self.number.bit


def policy(kept):
    class Policy:
        bit = kept

    return Policy


class InClassMadeHere(FastPath):
    def put(self, bit):
        self.policy = policy(bit)

    def get(self):
        return self.policy.bit


class Mode:
    """An object whose class changes."""

    bit = False


class Fast(Mode):
    bit = True


class InClassOfObject(FastPath):
    def put(self, bit):
        if not hasattr(self, "mode"):
            self.mode = Mode()
        self.mode.__class__ = Fast if bit else Mode

    def get(self):
        return self.mode.bit


class InDictOfItself(FastPath):
    def put(self, bit):
        vars(self)["hidden"] = bit

    def get(self):
        return vars(self)["hidden"]


class InDunderAttribute(FastPath):
    def put(self, bit):
        self.__bit__ = bit

    def get(self):
        return self.__bit__


class InDeque(FastPath):
    def put(self, bit):
        self.queue = collections.deque([bit], maxlen=1)

    def get(self):
        return self.queue[0]


class InDequesLength(FastPath):
    def put(self, bit):
        self.queue = collections.deque(maxlen=2 if bit else 1)

    def get(self):
        return self.queue.maxlen == 2


class InCounter(FastPath):
    def put(self, bit):
        self.counter = collections.Counter(bit=int(bit))

    def get(self):
        return self.counter["bit"]


class InFactory(FastPath):
    def put(self, bit):
        self.pages = collections.defaultdict(list if bit else int)

    def get(self):
        return self.pages["a"] == []


class Plain:
    def __init__(self):
        self.bit, self.deep = False, [[False]]


class InObject(FastPath):
    def put(self, bit):
        if not hasattr(self, "plain"):
            self.plain = Plain()
        self.plain.bit = bit

    def get(self):
        return self.plain.bit


class DeepInObject(FastPath):
    def put(self, bit):
        if not hasattr(self, "plain"):
            self.plain = Plain()
        self.plain.deep[0][0] = bit

    def get(self):
        return self.plain.deep[0][0]


class InWhoIsWho(FastPath):
    def put(self, bit):
        if not hasattr(self, "both"):
            self.both = [Plain(), Plain()]
        self.one = self.both[int(bit)]

    def get(self):
        return self.one is self.both[1]


class InPartial(FastPath):
    def put(self, bit):
        self.partial = functools.partial(bool, bit)

    def get(self):
        return self.partial()


class InPartialsAttribute(FastPath):
    def put(self, bit):
        self.partial = functools.partial(bool)
        self.partial.bit = bit

    def get(self):
        return self.partial.bit


class InClosure(FastPath):
    def put(self, bit):
        self.get_bit = lambda: bit

    def get(self):
        return self.get_bit()


class InClosuresList(FastPath):
    def put(self, bit):
        if not hasattr(self, "set_bit"):
            bits = [False]
            self.set_bit, self.get_bit = functools.partial(bits.__setitem__, 0), lambda: bits[0]
        self.set_bit(bit)

    def get(self):
        return self.get_bit()


class InDefault(FastPath):
    def put(self, bit):
        def kept(bit=bit):
            return bit

        self.kept = kept

    def get(self):
        return self.kept()


class InKeywordDefault(FastPath):
    def put(self, bit):
        def kept(*, bit=bit):
            return bit

        self.kept = kept

    def get(self):
        return self.kept()


class InFunctionsAttribute(FastPath):
    def put(self, bit):
        def kept():
            """Have attributes."""

        kept.bit = bit
        self.kept = kept

    def get(self):
        return self.kept.bit


class InNamespace(FastPath):
    def put(self, bit):
        self.space = types.SimpleNamespace(bit=bit)

    def get(self):
        return self.space.bit


class InOrderedDict(FastPath):
    def put(self, bit):
        if not hasattr(self, "order"):
            self.order = collections.OrderedDict(a=0, b=0)
        self.order.move_to_end("a" if bit else "b")

    def get(self):
        return next(iter(self.order)) == "b"


class InNan(FastPath):
    def put(self, bit):
        self.nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000001 + bit))[0]

    def get(self):
        return struct.pack("<d", self.nan)[0] == 2


class LocalChain(KeepsLocally):
    def hide(self, bit):
        return itertools.chain([bit], [2])

    def shows(self, kept):
        return next(kept) is True


class LocalCount(KeepsLocally):
    def hide(self, bit):
        return itertools.count(int(bit))

    def shows(self, kept):
        return next(kept) == 1


class LocalPairs(KeepsLocally):
    def hide(self, bit):
        pairs = itertools.pairwise([False, bit, 2])
        next(pairs)
        return pairs

    def shows(self, kept):
        return next(kept)[0]


class LocalSetsOrder(KeepsLocally):
    def hide(self, bit):
        found = set()
        for number in (8, 0) if bit else (0, 8):
            found.add(number)
        return found

    def shows(self, kept):
        return next(iter(kept)) == 8


class LocalCause(KeepsLocally):
    def hide(self, bit):
        error = RuntimeError("kept")
        error.__cause__ = KeyError("bit") if bit else None
        return error

    def shows(self, kept):
        return kept.__cause__ is not None


class LocalErrno(KeepsLocally):
    def hide(self, bit):
        error = OSError(1, "kept")
        error.errno = 2 if bit else 1
        return error

    def shows(self, kept):
        return kept.errno == 2


class LocalGenerator(KeepsLocally):
    def hide(self, bit):
        numbers = (number for number in (0, 1, 2))
        if bit:
            next(numbers)
        return numbers

    def shows(self, kept):
        return next(kept) == 1


class LocalDictsOrder(KeepsLocally):
    def hide(self, bit):
        return {1: 0, 0: 0} if bit else {0: 0, 1: 0}

    def shows(self, kept):
        return next(iter(kept)) == 1


class LocalClass(KeepsLocally):
    def hide(self, bit):
        return policy(bit)

    def shows(self, kept):
        return kept.bit


class LocalFunctionsAttribute(KeepsLocally):
    def hide(self, bit):
        def kept():
            """Have attributes."""

        kept.bit = bit
        return kept

    def shows(self, kept):
        return kept.bit


# -- where it does not: refused --------------------------------------------------------------------------------------------

GLOBAL = False
LIST = [False]
TABLE = {"bit": False}
PLAIN = Plain()
VARIABLE = contextvars.ContextVar("bit", default=False)
THREAD = threading.local()
LOGGER = logging.getLogger("hidden.bits")
WEAK = weakref.WeakValueDictionary()


class InGlobal(FastPath):
    def put(self, bit):
        global GLOBAL
        GLOBAL = bit

    def get(self):
        return GLOBAL


class InGlobalByGlobals(FastPath):
    def put(self, bit):
        globals()["GLOBAL"] = bit

    def get(self):
        return GLOBAL


class InGlobalList(FastPath):
    def put(self, bit):
        LIST[0] = bit

    def get(self):
        return LIST[0]


class InGlobalDict(FastPath):
    def put(self, bit):
        TABLE.update(bit=bit)

    def get(self):
        return TABLE["bit"]


class InGlobalObject(FastPath):
    def put(self, bit):
        plain = PLAIN
        plain.bit = bit

    def get(self):
        return PLAIN.bit


class DeepInGlobalObject(FastPath):
    def put(self, bit):
        PLAIN.deep[0][0] = bit

    def get(self):
        return PLAIN.deep[0][0]


class InClass(FastPath):
    bit = False

    def put(self, bit):
        type(self).bit = bit


class InBaseClass(FastPath):
    def put(self, bit):
        ObedientNic.bit_of_all = bit

    def get(self):
        return ObedientNic.bit_of_all


class InClassBySetattr(FastPath):
    bit = False

    def put(self, bit):
        self.__class__.bit = bit


class InDefaultArgument(FastPath):
    def put(self, bit, kept=[False]):  # noqa: B006  on purpose
        kept[0] = bit
        return kept

    def get(self):
        return self.put.__defaults__[0][0]


class InMethodsAttribute(FastPath):
    def put(self, bit):
        FastPath.put.bit = bit

    def get(self):
        return FastPath.put.bit


class InDefaults(FastPath):
    def put(self, bit):
        function = type(self).kept
        function.__defaults__ = (bit,)

    def kept(self, bit=False):
        return bit

    def get(self):
        return self.kept()


class Kind(enum.Enum):
    A = 1


class InMember(FastPath):
    def put(self, bit):
        member = Kind.A
        member.bit = bit

    def get(self):
        return Kind.A.bit


class Kept:
    """A descriptor with storage of its own."""

    def __init__(self):
        self.values = {}

    def __get__(self, thing, owner=None):
        return self if thing is None else self.values.get("bit", False)

    def __set__(self, thing, value):
        self.values["bit"] = value


class InDescriptor(FastPath):
    bit = Kept()


class InContextVariable(FastPath):
    def put(self, bit):
        VARIABLE.set(bit)

    def get(self):
        return VARIABLE.get()


class InThread(FastPath):
    def put(self, bit):
        THREAD.bit = bit

    def get(self):
        return THREAD.bit


class InEnvironment(FastPath):
    def put(self, bit):
        os.environ["P2PLAB_BIT"] = str(bit)

    def get(self):
        return os.environ["P2PLAB_BIT"] == "True"


class InFile(FastPath):
    def put(self, bit):
        with open("/tmp/p2plab-bit", "w") as file:
            file.write(str(bit))

    def get(self):
        with open("/tmp/p2plab-bit") as file:
            return file.read() == "True"


class InLogger(FastPath):
    def put(self, bit):
        LOGGER.setLevel(logging.DEBUG if bit else logging.INFO)

    def get(self):
        return LOGGER.level == logging.DEBUG


class InOwnClass(FastPath):
    def put(self, bit):
        self.__class__ = InOwnClassFast if bit else InOwnClass

    def get(self):
        return type(self) is InOwnClassFast


class InOwnClassFast(InOwnClass):
    """What the other one becomes."""


class InMethod(FastPath):
    def put(self, bit):
        if bit:
            self.kept = lambda: True

    def kept(self):
        return False

    def get(self):
        return self.kept()


class InWeakDictionary(FastPath):
    def put(self, bit):
        if bit:
            WEAK["bit"] = self
        else:
            WEAK.clear()

    def get(self):
        return "bit" in WEAK


@functools.lru_cache
def cached(nic):
    return nic.contended


class InCache(FastPath):
    def put(self, bit):
        self.contended = bit
        cached(self)

    def get(self):
        return cached(self)


@functools.lru_cache
def square(number):
    return number * number


class InCachesSize(FastPath):
    def put(self, bit):
        if bit:
            square(3)
        else:
            square.cache_clear()

    def get(self):
        return square.cache_info().currsize > 0


class InKeywordDefaults(FastPath):
    def keep(self, *, bit=False):
        return bit

    def put(self, bit):
        self.keep.__func__.__kwdefaults__["bit"] = bit

    def get(self):
        return self.keep()


class InFunctionsText(FastPath):
    def put(self, bit):
        setattr(FastPath.get, "__doc__", "yes" if bit else "no")  # noqa: B010

    def get(self):
        return FastPath.get.__doc__ == "yes"


class InNameOfClass(FastPath):
    def put(self, bit):
        Plain.__name__ = "Yes" if bit else "No"

    def get(self):
        return Plain.__name__ == "Yes"


class InStaticMethod(FastPath):
    @staticmethod
    def kept():
        """Have attributes."""

    def put(self, bit):
        vars(InStaticMethod)["kept"].bit = bit

    def get(self):
        return vars(InStaticMethod)["kept"].bit


class InGlobalsByText(FastPath):
    def put(self, bit):
        getattr(self.get.__func__, "__globals__")["GLOBAL"] = bit  # noqa: B009

    def get(self):
        return GLOBAL


class InBuiltins(FastPath):
    def put(self, bit):
        print.__self__.bit_of_mine = bit

    def get(self):
        return print.__self__.bit_of_mine


class InPureModule(FastPath):
    def put(self, bit):
        setattr(math, "bit_of_mine", bit)  # noqa: B010

    def get(self):
        return getattr(math, "bit_of_mine")  # noqa: B009


class InClassOfLibrary(FastPath):
    def put(self, bit):
        setattr(json.JSONEncoder, "bit_of_mine", bit)  # noqa: B010

    def get(self):
        return getattr(json.JSONEncoder, "bit_of_mine")  # noqa: B009


class InFunctionOfOurs(FastPath):
    def put(self, bit):
        setattr(step, "bit_of_mine", bit)  # noqa: B010

    def get(self):
        return getattr(step, "bit_of_mine")  # noqa: B009


class InLoggersAttribute(FastPath):
    def put(self, bit):
        setattr(LOGGER, "name", "yes" if bit else "no")  # noqa: B010

    def get(self):
        return LOGGER.name == "yes"


class InNumpysSetUp(FastPath):
    def put(self, bit):
        np.set_printoptions(precision=3 if bit else 8)

    def get(self):
        return np.get_printoptions()["precision"] == 3


class Listed(enum.Enum):
    A = 1

    def __init__(self, number):
        self.numbers = [number]


class InListOfMember(FastPath):
    def put(self, bit):
        Listed.A.numbers[0] = bit

    def get(self):
        return Listed.A.numbers[0] is True


class InPastTheCells(FastPath):
    def get(self):
        return getattr(object, "__getattri" + "bute__")(self, "bit")


class InCopyOfItself(FastPath):
    def put(self, bit):
        self.contended = bit
        self.copied = copy.copy(self)

    def get(self):
        return self.copied.contended


class InHash(FastPath):
    def put(self, bit):
        self.bit = bit and hash("bit") % 2 == 0


class InAddress(FastPath):
    def put(self, bit):
        self.bit = bit and id(self) % 32 == 0


class InFrameOfCaller(FastPath):
    def put(self, bit):
        self.error = bit

    def get(self):
        try:
            raise ValueError
        except ValueError as error:
            return error.__traceback__.tb_frame.f_back is None or self.error


class InOthersClass(FastPath):
    def put(self, bit):
        type(self.lock).bit_of_mine = bit

    def get(self):
        return type(self.lock).bit_of_mine


class InModuleByName(FastPath):
    def put(self, bit):
        setattr(os, "bit_of_mine", bit)  # noqa: B010

    def get(self):
        return os.bit_of_mine


class InGarbage(FastPath):
    class Loud:
        def __init__(self, nic):
            self.nic = nic

        def __del__(self):
            self.nic.bit = True

    def put(self, bit):
        self.bit = False
        self.loud = self.Loud(self)


class InOrderOfWords(FastPath):
    def put(self, bit):
        words = set()
        for word in ("yes", "no"):
            words.add(word)
        self.bit = bit and next(iter(words)) == "yes"


class InOrderOfNames(FastPath):
    def put(self, bit):
        names = {f"page {number}" for number in range(4)}
        self.bit = bit and list(names)[0] == "page 0"  # noqa: RUF015


class InOrderOfText(FastPath):
    def put(self, bit):
        for name in {"yes", "no"}:
            self.bit = bit and name == "yes"


def _those(first, last):
    kinds = [kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, ObedientNic)]
    names = [kind.__name__ for kind in kinds]
    return kinds[names.index(first) : names.index(last) + 1]


SEEN = _those("InSlot", "LocalFunctionsAttribute")
UNSEEN = [kind for kind in _those("InGlobal", "InOrderOfText") if kind is not InOwnClassFast]
