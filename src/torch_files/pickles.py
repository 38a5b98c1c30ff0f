"""A pickle as data: nothing that it names is imported, called or given attributes.

Python's own unpickler calls what a file tells it to call, so that a file can run any program. Here the opcodes, which
`pickletools` of the standard library parses, work on a stack of plain values; a global is only its two names, and
what a pickle "calls" becomes a `Record` of the names and arguments, but for the few that the caller makes itself.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

MOST_BYTES = 16 * 2**20  # of one pickle; that of the paper's network with its optimizer's state has 0.2 MB
PLAIN_KEYS = (str, bytes, int, float, bool, type(None))

Arguments = tuple[object, ...]


class MalformedFileError(ValueError):
    """What is wrong with a file, without its name: what was found and what was expected."""


@dataclass(frozen=True)
class Global:
    """What a pickle refers to by module and name: a class or function, which is not looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Record:
    """An object of a class that is not known here: what it would have been made of, and nothing more."""

    made_by: object  # mostly a `Global`
    arguments: object = ()
    state: object = None
    items: list[object] = field(default_factory=list)

    def __str__(self) -> str:
        return str(self.made_by) if isinstance(self.made_by, Global) else "unknown kind"


Makers = Mapping[Global, Callable[[Arguments], object]]


def read_pickle(stream: BinaryIO, makers: Makers, persistent: Callable[[object], object]) -> object:
    """The value of the pickle that starts at the stream's position; the stream is left after its end.

    A set becomes a list, and what a pickle sets on an object that is not a `Record` is passed over.

    Args:
        stream: a `BytesIO`: other streams make room for whatever length a damaged file claims.
        makers: by global, what makes a value of the arguments of its call; other calls become `Record`s.
        persistent: what makes a value of a persistent id.

    Raises:
        MalformedFileError: this is no pickle, or one of more than `MOST_BYTES`; also from makers and `persistent`.
    """
    machine = _Machine(makers, persistent)
    start = stream.tell()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if stream.tell() - start > MOST_BYTES:
                raise MalformedFileError(
                    f"found a pickle of more than {MOST_BYTES // 2**20} MB, expected a smaller one"
                )
            machine.execute(opcode.name, argument)
    except MalformedFileError:
        raise
    except (ValueError, OverflowError) as error:  # of pickletools
        raise MalformedFileError(f"found no whole pickle ({error}), expected one") from None
    return machine.pop()


class _Machine:
    """The stack, the memo, and what each opcode does to them (see the standard library's `pickletools`)."""

    def __init__(self, makers: Makers, persistent: Callable[[object], object]) -> None:
        self.makers, self.persistent = makers, persistent
        self.stack: list[object] = []
        self.outer: list[list[object]] = []  # a stack for every mark that is open, below the current one
        self.memo: dict[int, object] = {}

    def execute(self, name: str, argument: object) -> None:
        if name in PUSHED_ARGUMENTS:
            self.push(argument)
        elif name in MADE_VALUES:
            self.push(MADE_VALUES[name]())
        elif name in STEPS:
            STEPS[name](self)
        elif name in STEPS_WITH_ARGUMENT:
            STEPS_WITH_ARGUMENT[name](self, argument)
        else:
            raise MalformedFileError(f"found the pickle opcode {name}, expected none that needs data from elsewhere")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack:
            raise MalformedFileError("found a pickle that takes more values than it has, expected a whole one")
        return self.stack.pop()

    def top(self) -> object:
        value = self.pop()
        self.push(value)
        return value

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[object]:
        if not self.outer:
            raise MalformedFileError("found a pickle without the mark that it refers to, expected a whole one")
        values, self.stack = self.stack, self.outer.pop()
        return values

    def discard(self) -> None:
        if self.stack or not self.outer:
            self.pop()
        else:
            self.pop_to_mark()  # the mark itself was on top

    def put(self, index: object) -> None:
        assert isinstance(index, int)
        self.memo[index] = self.top()

    def get(self, index: object) -> None:
        assert isinstance(index, int)
        if index not in self.memo:
            raise MalformedFileError(
                f"found a pickle without the value {index} that it refers to, expected a whole one"
            )
        self.push(self.memo[index])

    def last_as_tuple(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def append(self, values: list[object]) -> None:
        target = self.top()
        (target.items if isinstance(target, Record) else _list(target)).extend(values)

    def set_items(self, values: list[object]) -> None:
        if len(values) % 2:
            raise MalformedFileError("found a key without its value in a pickle, expected both")
        target = self.top()
        pairs = list(zip(values[::2], values[1::2], strict=True))
        if isinstance(target, Record):
            target.items.extend(pairs)
        elif isinstance(target, dict):
            target.update((as_key(key), value) for key, value in pairs)
        else:
            raise MalformedFileError("found items for something else than a dictionary in a pickle")

    def set_item(self) -> None:
        value = self.pop()
        self.set_items([self.pop(), value])

    def dictionary(self) -> None:
        values = self.pop_to_mark()
        self.push({})
        self.set_items(values)

    def call(self, made_by: object, arguments: object) -> None:
        if isinstance(made_by, Global) and made_by in self.makers and isinstance(arguments, tuple):
            self.push(self.makers[made_by](arguments))
        else:
            self.push(Record(made_by, arguments))

    def reduce(self) -> None:
        arguments = self.pop()
        self.call(self.pop(), arguments)

    def new_object_with_names(self) -> None:
        named, arguments = self.pop(), self.pop()
        self.push(Record(self.pop(), (arguments, named)))

    def instance(self, names: object) -> None:
        self.push(Record(_global(names), tuple(self.pop_to_mark())))

    def instance_of_first(self) -> None:
        values = self.pop_to_mark()
        self.push(Record(values[0] if values else None, tuple(values[1:])))

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Record):
            target.state = state

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise MalformedFileError("found a global whose name is no text in a pickle, expected a text")
        self.push(Global(module, name))


def as_key(value: object) -> object:
    """A key for a dictionary: what is not plain is wrapped, for a nested tuple may take for ever to hash."""
    return value if type(value) in PLAIN_KEYS else Record(value)


def _list(target: object) -> list[object]:
    if not isinstance(target, list):
        raise MalformedFileError("found elements for something else than a list in a pickle")
    return target


def _global(names: object) -> Global:
    module, _, name = str(names).partition(" ")
    return Global(module, name)


PUSHED_ARGUMENTS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
    ]
)
MADE_VALUES: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
}
STEPS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.discard,
    "POP_MARK": lambda machine: (machine.pop_to_mark(), None)[1],
    "DUP": lambda machine: machine.push(machine.top()),
    "MEMOIZE": lambda machine: machine.put(len(machine.memo)),
    "TUPLE": lambda machine: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine: machine.last_as_tuple(1),
    "TUPLE2": lambda machine: machine.last_as_tuple(2),
    "TUPLE3": lambda machine: machine.last_as_tuple(3),
    "LIST": lambda machine: machine.push(machine.pop_to_mark()),
    "FROZENSET": lambda machine: machine.push(machine.pop_to_mark()),
    "DICT": _Machine.dictionary,
    "APPEND": lambda machine: machine.append([machine.pop()]),
    "APPENDS": lambda machine: machine.append(machine.pop_to_mark()),
    "ADDITEMS": lambda machine: machine.append(machine.pop_to_mark()),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine: machine.set_items(machine.pop_to_mark()),
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "NEWOBJ_EX": _Machine.new_object_with_names,
    "OBJ": _Machine.instance_of_first,
    "BUILD": _Machine.build,
    "BINPERSID": lambda machine: machine.push(machine.persistent(machine.pop())),
    "STOP": lambda machine: None,
}
STEPS_WITH_ARGUMENT: dict[str, Callable[[_Machine, object], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(
        ("EXT1", "EXT2", "EXT4"), lambda machine, code: machine.push(Global("copyreg", f"extension {code}"))
    ),
    "GLOBAL": lambda machine, names: machine.push(_global(names)),
    "INST": _Machine.instance,
    "PERSID": lambda machine, text: machine.push(machine.persistent(text)),
}
