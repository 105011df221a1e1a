"""Where a random program keeps a bit: text for its module, its class, the way in and the way out; and whether that is seen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """``put`` and ``get`` are the bodies of methods of a driver ``s``; ``seen``: whether a search sees it."""

    name: str
    put: str
    get: str
    module: str = ""
    members: str = ""
    begin: str = ""
    seen: bool = True

    def methods(self) -> str:
        """What a driver's class has of it, indented."""
        text = "".join(f"    {line}\n" for line in self.members.splitlines())
        text += "    def put(s, bit):\n" + "".join(f"        {line}\n" for line in self.put.splitlines())
        return text + f"    def get(s):\n        return {self.get}\n"


_HINT = "@dataclasses.dataclass(frozen=True)\nclass Hint:\n    bit: int = dataclasses.field(compare=False)\n"
_PLAIN = "class Plain:\n    def __init__(p):\n        p.bit, p.list = 0, [[0]]\n"
_BITS = "def made(bits):\n    return functools.partial(bits.__setitem__, 0), lambda: bits[0]\n"
_POLICY = "def policy(kept):\n    class Policy:\n        bit = kept\n    return Policy\n"
_VALUE = "class Value(tuple):\n    pass\n"
_KIND = "class Kind(enum.Enum):\n    A = 1\nKind.A.bit = 0\n"
_STORE = (
    "class Store:\n    def __init__(d):\n        d.kept = {}\n    def __get__(d, s, owner=None):\n"
    "        return d.kept.get('bit', 0)\n    def __set__(d, s, bit):\n        d.kept['bit'] = bit\n"
)

PLACES = (
    Place("attribute", "s.bit = bit", "s.bit", begin="s.bit = 0"),
    Place("slot", "s.bit = bit", "s.bit", begin="s.bit = 0", members="__slots__ = ('bit',)"),
    Place("vars", "vars(s)['bit'] = bit", "vars(s)['bit']", begin="s.bit = 0"),
    Place("dunder", "s.__bit__ = bit", "s.__bit__", begin="s.__bit__ = 0"),
    Place("uncompared field", "s.hint = Hint(bit)", "s.hint.bit", _HINT, begin="s.hint = Hint(0)"),
    Place(
        "frozen by force", "object.__setattr__(s.hint, 'bit', bit)", "s.hint.bit", _HINT, begin="s.hint = Hint(0)"
    ),
    Place("tuple's attribute", "s.value = Value()\ns.value.bit = bit", "s.value.bit", _VALUE, begin="s.put(0)"),
    Place("object", "s.plain.bit = bit", "s.plain.bit", _PLAIN, begin="s.plain = Plain()"),
    Place("deep in an object", "s.plain.list[0][0] = bit", "s.plain.list[0][0]", _PLAIN, begin="s.plain = Plain()"),
    Place(
        "which object",
        "s.now = s.both[bit]",
        "int(s.now is s.both[1])",
        _PLAIN,
        begin="s.both = [Plain(), Plain()]; s.now = s.both[0]",
    ),
    Place("shared object", "s.g.plain.bit = bit", "s.g.plain.bit", _PLAIN, begin="s.g.plain = s.plain = Plain()"),
    Place("deque", "s.queue.append(bit)", "s.queue[0]", begin="s.queue = collections.deque([0], 1)"),
    Place("counter", "s.counter['a'] = bit", "s.counter['a']", begin="s.counter = collections.Counter()"),
    Place("factory", "s.pages[0].append(bit)", "s.pages[0][-1]", begin="s.pages = collections.defaultdict(lambda: [0])"),
    Place("partial", "s.partial = functools.partial(int, bit)", "s.partial()", begin="s.put(0)"),
    Place("closure", "s.set_bit(bit)", "s.get_bit()", _BITS, begin="s.set_bit, s.get_bit = made([0])"),
    Place("class made here", "s.policy = policy(bit)", "s.policy.bit", _POLICY, begin="s.put(0)"),
    Place("global", "global BIT\nBIT = bit", "BIT", "BIT = 0\n", seen=False),
    Place("global list", "BITS[0] = bit", "BITS[0]", "BITS = [0]\n", seen=False),
    Place("global object", "PLAIN.list[0][0] = bit", "PLAIN.list[0][0]", _PLAIN + "PLAIN = Plain()\n", seen=False),
    Place("class", "type(s).bit = bit", "s.bit", members="bit = 0", seen=False),
    Place("default", "s.keep(bit)", "s.keep()", members="def keep(s, bit=None, kept=[0]):\n    "
          "if bit is not None:\n        kept[0] = bit\n    return kept[0]", seen=False),
    Place("function", "s.get.__func__.bit = bit", "getattr(s.get.__func__, 'bit', 0)", seen=False),
    Place("member", "kind = Kind.A\nkind.bit = bit", "Kind.A.bit", _KIND, seen=False),
    Place("descriptor", "s.bit = bit", "s.bit", _STORE, members="bit = Store()", seen=False),
    Place("context", "KEPT.set(bit)", "KEPT.get()", "KEPT = contextvars.ContextVar('bit', default=0)\n", seen=False),
)  # fmt: skip
