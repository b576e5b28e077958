"""The package as its sources show it: modules and their public names.

Read from the syntax trees; nothing is imported. So signatures and values stay as
they were written, and the book is built without torch. The public names of a file
are those it defines; of a folder, those that its `__init__` takes from its files.
"""

from __future__ import annotations

import ast
import builtins
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from catalogue import Fault

LONGEST = 72  # characters of a value that is shown
MADE = {"dict": "{}", "list": "[]", "tuple": "()"}  # by a default_factory


@dataclass(frozen=True)
class Name:
    """A public name of a module (`Mixture`) or of a class (`Mixture.push`)."""

    kind: str  # its directive in Sphinx's domain for Python
    name: str
    signature: str  # with its brackets; of data the value, of a property the type
    doc: str
    path: Path
    lines: tuple[int, int]
    known: frozenset[str] = frozenset()  # the names of its arguments
    bases: tuple[str, ...] = ()  # public classes of the package, in full
    members: tuple[Name, ...] = ()
    how: str = ""  # classmethod or staticmethod


@dataclass
class File:
    """One source file, and what it can say by one word.

    scope: public names, in full; aliases: other values of the package, and the
    files that define them.
    """

    path: Path
    text: str
    scope: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, tuple[File, ast.expr]] = field(default_factory=dict)
    names: list[Name] = field(default_factory=list)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def doc(self) -> str:
        return _doc(self.tree)

    @cached_property
    def defined(self) -> dict[str, ast.stmt]:
        """The functions, classes and values of its top level, in order."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = node
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = (
                    node.targets[0] if isinstance(node, ast.Assign) else node.target
                )
                parts = target.elts if isinstance(target, ast.Tuple) else [target]
                found |= {n.id: node for n in parts if isinstance(n, ast.Name)}
        return found

    def imported(self, root: Path, at_once: bool = False):
        """(path of the module, what, its name here) for each name of the package.

        at_once: without those in functions and for type checkers only.
        """
        home = [root.name, *self.path.relative_to(root).with_suffix("").parts]
        for node in self.tree.body if at_once else ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                base = node.module.split(".") if node.module else []
                base = home[: len(home) - node.level] + base if node.level else base
                for alias in node.names:
                    here = alias.asname or alias.name
                    if base == [root.name]:  # from . import laws
                        yield [*base, alias.name], "", here
                    elif base[:1] == [root.name]:
                        yield base, alias.name, here


@dataclass
class Module:
    """One module: its file, or its folder's files, `__init__` first."""

    name: str
    files: list[File]
    imports: set[str]  # other modules

    @property
    def doc(self) -> str:
        return self.files[0].doc

    @property
    def names(self) -> list[Name]:
        return [name for file in self.files for name in file.names]


class Package:
    """All modules in the order of `__all__`, all public names by their full names.

    Raises: Fault if a module in `__all__` is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        home = path / "__init__.py"
        self.home = File(home, home.read_text("utf-8"))
        listed = ast.literal_eval(self.home.defined["__all__"].value)
        self.modules = {name: self._module(name) for name in listed}
        self.names: dict[str, Name] = {}
        public = {name: self._public(module) for name, module in self.modules.items()}
        for name, module in self.modules.items():
            for file in module.files:
                file.scope |= {n: f"{self.name}.{name}.{n}" for n in public[name]}
                for where, what, here in file.imported(self.path):
                    if not what or what in public.get(where[1], ()):
                        full = [self.name, where[1], what]
                        file.scope[here] = ".".join(filter(None, full))
                    self._alias(file, here)
                for word in file.defined:
                    self._alias(file, word)
        for module in self.modules.values():
            for file in module.files:
                homes = public[module.name]
                mine = [n for n in file.defined if homes.get(n) is file]
                file.names = [self._told(file, name) for name in mine]
            for name in module.names:
                for each in (name, *name.members):
                    self.names[f"{self.name}.{module.name}.{each.name}"] = each

    @property
    def files(self) -> list[Path]:
        return sorted(self.path.rglob("*.py"))

    def full(self, said: str, scope: dict[str, str], inside: str = "") -> str:
        """The full name of what a docstring calls ``said``; empty if unknown.

        inside: of the class it belongs to. A field leads to its class. Raises: Fault
        for a name that a module does not have.
        """
        first, _, rest = said.removesuffix("()").partition(".")
        if f"{inside}.{first}" in self.names and not rest:
            return f"{inside}.{first}"
        start = scope.get(first, "")
        if first in self.modules and not start:
            start = f"{self.name}.{first}"
        if first == self.name:
            start = first
        found = f"{start}.{rest}".rstrip(".")
        if found in self.names or found.removeprefix(f"{self.name}.") in self.modules:
            return found
        owner, _, last = found.rpartition(".")
        if owner in self.names and last in self.names[owner].known:
            return owner
        if rest and start in {f"{self.name}.{m}" for m in self.modules} | {self.name}:
            raise Fault(f"`{said}` is no public name of {self.name}.")
        return ""

    # ------------------------------------------------------------- modules

    def _module(self, name: str) -> Module:
        folder = self.path / name
        inside = sorted(folder.rglob("*.py"))  # __init__ comes first
        paths = inside or [folder.with_suffix(".py")]
        if not paths[0].exists():
            raise Fault(f"{self.name}.{name} is in __all__ but not in {self.path}.")
        files = [File(path, path.read_text("utf-8")) for path in paths]
        wider, below = set(), {}
        for file in files:
            wider |= {where[1] for where, _, _ in file.imported(self.path)} - {name}
            uses = [where for where, _, _ in file.imported(self.path, at_once=True)]
            below[file.path] = {where[-1] for where in uses if where[1] == name}
        files, rest = files[:1], files[1:]
        while rest:  # a file is read after those it stands on
            late = {file.path.stem for file in rest}
            free = [f for f in rest if not below[f.path] & late - {f.path.stem}]
            files.append((free or rest)[0])
            rest.remove(files[-1])
        return Module(name, files, wider)

    def _origin(self, file: File, word: str) -> tuple[File, ast.stmt] | None:
        """Where the package defines what a file says by a word."""
        if word in file.defined:
            return file, file.defined[word]
        for where, what, here in file.imported(self.path):
            if here == word and where[1] in self.modules:
                files = self.modules[where[1]].files
                files = sorted(files, key=lambda home: home.path.stem != where[-1])
                for home in files:
                    if what in home.defined:
                        return home, home.defined[what]
        return None

    def _public(self, module: Module) -> dict[str, File]:
        """The public names of a module and the files that define them."""
        first = module.files[0]
        homes = dict.fromkeys(first.defined, first)
        for where, what, here in first.imported(self.path):
            if where[1] == module.name and (found := self._origin(first, here)):
                homes[what] = found[0]
        return {name: file for name, file in homes.items() if name[0] != "_"}

    def _alias(self, file: File, word: str) -> None:
        """Note a word for a value that is not public: signatures show the value."""
        found = self._origin(file, word)
        if found and word not in file.scope and isinstance(found[1], ast.Assign):
            file.aliases[word] = found[0], found[1].value

    # --------------------------------------------------------------- names

    def _told(self, file: File, name: str) -> Name:
        node = file.defined[name]
        if isinstance(node, ast.ClassDef):
            return self._class(file, node)
        if isinstance(node, ast.FunctionDef):
            return _function(file, node)
        lines = node.lineno, node.end_lineno
        return Name("data", name, *_value(file, name, node), file.path, lines)

    def _class(self, file: File, node: ast.ClassDef) -> Name:
        lineage = [*self._lineage(file, node)]
        fields = dict(f for home, base in lineage for f in _fields(home, base))
        call, known = f"({', '.join(fields.values())})", frozenset(fields)
        members: dict[str, Name] = {}
        for home, base in lineage:
            if base is node or base.name[0] == "_":  # a public base has its own place
                own = [f for f in base.body if isinstance(f, ast.FunctionDef)]
                told = {f.name: _function(home, f, node.name) for f in own}
                members |= {n: m for n, m in told.items() if n[0] != "_"}
                if "__init__" in told:
                    call, known = told["__init__"].signature, told["__init__"].known
                    call = call.removesuffix(" -> None")
        bases = [ast.unparse(base) for _, made in lineage for base in made.bases]
        kinds = [getattr(builtins, base, object) for base in bases]
        error = any(isinstance(k, type) and issubclass(k, Exception) for k in kinds)
        above = [file.scope.get(ast.unparse(base), "") for base in node.bases]
        return Name(
            "exception" if error else "class",
            node.name,
            call if known else "",
            _doc(node),
            file.path,
            (node.lineno, node.end_lineno),
            known,
            tuple(filter(None, above)),
            tuple(members.values()),
        )

    def _lineage(self, file: File, node: ast.ClassDef):
        """The class and the bases that the package defines, the farthest first."""
        for base in node.bases:
            found = self._origin(file, ast.unparse(base))
            if found and isinstance(found[1], ast.ClassDef):
                yield from self._lineage(*found)
        yield file, node


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    """The docstring, its lines moved left by what its first line is indented.

    Not by what they have in common: that may be the indentation of a formula.
    """
    text = ast.get_docstring(node, clean=False) or ""
    margin = " " * (node.body[0].col_offset if text else 0)
    return "\n".join(line.removeprefix(margin) for line in text.split("\n")).strip()


def _function(file: File, node: ast.FunctionDef, owner: str = "") -> Name:
    """A function, or what a class calls by its name."""
    marks = {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
    how = next((m for m in ("classmethod", "staticmethod") if m in marks), "")
    kind = "method" if owner else "function"
    if marks & {"property", "cached_property"}:
        kind = "property"
    args = copy.deepcopy(node.args)
    for arg in ast.walk(args):
        if isinstance(arg, ast.arg) and arg.annotation:
            arg.annotation = _InFull(file).visit(arg.annotation)
    if owner and how != "staticmethod":
        del (args.posonlyargs or args.args)[:1]
    known = frozenset(arg.arg for arg in ast.walk(args) if isinstance(arg, ast.arg))
    returns = _written(node.returns, file) if node.returns else ""
    call = f"({ast.unparse(args)})" + (f" -> {returns}" if returns else "")
    return Name(
        kind,
        f"{owner}.{node.name}".lstrip("."),
        returns if kind == "property" else call,
        _doc(node),
        file.path,
        (node.lineno, node.end_lineno),
        known,
        how=how,
    )


def _fields(file: File, node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The fields of a dataclass or named tuple, as its constructor takes them."""
    marks = [ast.unparse(mark) for mark in [*node.decorator_list, *node.bases]]
    if not any(re.match(r"(\w+\.)?(dataclass|NamedTuple)\b", mark) for mark in marks):
        return
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or "ClassVar" in ast.unparse(item):
            continue
        name, value = ast.unparse(item.target), item.value
        if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("field"):
            given = {key.arg: ast.unparse(key.value) for key in value.keywords}
            if given.get("init") == "False":
                continue
            made = given.get("default_factory")
            default = MADE.get(made, "...") if made else given.get("default")
        else:
            default = ast.unparse(value) if value else None
        text = f"{name}: {_written(item.annotation, file)}"
        yield name, f"{text} = {default}" if default else text


def _value(file: File, name: str, node: ast.Assign | ast.AnnAssign) -> tuple[str, str]:
    """The value of a constant as it is written, and the comment behind it."""
    value, target = node.value, getattr(node, "targets", [None])[0]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        value = value.elts[[ast.unparse(part) for part in target.elts].index(name)]
    shown = ast.get_source_segment(file.text, value) if value else ""
    if "\n" in shown or len(shown) > LONGEST:
        shown = "..."
    line = file.text.split("\n")[node.end_lineno - 1].encode()
    behind = line[node.end_col_offset :].decode().strip()
    said = behind[1:].strip().rstrip(".") if behind[:1] == "#" else ""
    return shown, said[:1].upper() + said[1:] + "." * bool(said)


def _written(annotation: ast.expr, file: File) -> str:
    return ast.unparse(_InFull(file).visit(copy.deepcopy(annotation)))


class _InFull(ast.NodeTransformer):
    """In an annotation, `~diffkit.laws.Mixture` for Mixture: Sphinx shows the end.

    What is not public is replaced by what it stands for.
    """

    def __init__(self, file: File) -> None:
        self.file = file

    def visit_Name(self, node: ast.Name | ast.Attribute) -> ast.expr:
        first, dot, rest = ast.unparse(node).partition(".")
        if first in self.file.aliases and not dot:
            home, value = self.file.aliases[first]
            return _InFull(home).visit(copy.deepcopy(value))
        if first not in self.file.scope:
            return node
        full = ast.parse(self.file.scope[first] + dot + rest, mode="eval").body
        return ast.UnaryOp(ast.Invert(), full)

    visit_Attribute = visit_Name

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):  # Float[Tensor, " d"], so for the linter
            return ast.Constant(node.value.strip())
        return node
