"""The reference: a page for each module of diffkit, made from its docstrings.

`{reference} laws` is a module's page, `{reference-map}` the plan of the modules, one
line a level, and `{reference-conventions}` the package's own docstring. The domain
for Python of Sphinx shows the signatures and resolves the names; what a docstring
names that does not exist is a warning, so it ends the strict build.
"""

from __future__ import annotations

import builtins
import re
from functools import cached_property
from pathlib import Path

import docstrings
import yaml
from catalogue import Claim, Fault, read_toc
from docutils import nodes
from docutils.statemachine import StringList
from package import File, Module, Name, Package
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

HOME = "book/reference"
KEY = re.compile(r"\b([a-z]+\d{4}[a-z]*)\b")  # of the bibliography
CHECK = re.compile(r"([\w-]+/[\w./-]*\w)")  # a claim or a file of the repository
QUOTED = re.compile(r"""'([^'"]*)'""")
LINE = 68  # characters of a signature; a longer one has a line for each argument
ERROR = re.compile(r"\b([A-Z][a-z]+[A-Z]\w+)\b")
logger = logging.getLogger(__name__)


def paragraph(*content: nodes.Node, **how: list[str]) -> nodes.paragraph:
    """A paragraph whose primes, A', stay what they are."""
    return nodes.paragraph("", "", *content, support_smartquotes=False, **how)


class Reference(SphinxDirective):
    """What the three directives share: the package, links, and docstrings as nodes."""

    has_content = True
    file: File  # whose words are read
    at = ""  # the name whose docstring is read, for warnings
    inside = ""  # the full name of the class whose docstring is read

    @cached_property
    def package(self) -> Package:
        """The package, read once a build; the page is as old as its oldest file."""
        app = self.env.app
        root = Path(app.confdir)
        if not hasattr(app, "diffkit"):
            try:
                app.diffkit = Package(root / "diffkit")
            except (Fault, SyntaxError) as wrong:
                raise ExtensionError(str(wrong), modname="reference") from wrong
        here = Path(__file__)
        own = [here, here.with_name("docstrings.py"), here.with_name("package.py")]
        other = [root / name for name in ("_config.yml", *self.config.bibtex_bibfiles)]
        for path in [*app.diffkit.files, *own, *other]:
            self.env.note_dependency(str(path))
        return app.diffkit

    def warn(self, sentence: str) -> None:
        """A warning that every build repeats until the fault is gone."""
        logger.warning(sentence, location=(self.env.docname, self.lineno))
        self.env.note_dependency("nothing")  # a page with a missing file is read again

    def fault(self, sentence: str) -> None:
        """A warning about a docstring."""
        self.warn(f"{self.file.path.name}{self.at}: {sentence}")

    # --------------------------------------------------------------- links

    def named(self, text: str, full: str) -> addnodes.pending_xref:
        """A name of the package, linked to its place in the reference."""
        code = nodes.literal(text, text, classes=["xref", "py"])
        return addnodes.pending_xref(
            "",
            code,
            refdomain="py",
            reftype="obj",
            reftarget=full,
            refdoc=self.env.docname,
        )

    def outward(self, text: str, path: str, anchor: str = "") -> nodes.reference:
        """A file of the repository, on its site."""
        return nodes.reference(text, text, refuri=f"{self.site}/{path}{anchor}")

    @cached_property
    def site(self) -> str:
        """Where the files of the repository are shown."""
        config = Path(self.env.app.confdir, "_config.yml").read_text("utf-8")
        home = yaml.safe_load(config)["repository"]
        return f"{home['url']}/blob/{home.get('branch', 'main')}"

    @cached_property
    def toc(self) -> list[str]:
        return read_toc(Path(self.env.app.confdir, "_toc.yml"))

    def place(self, said: str) -> nodes.Node | None:
        """A claim, a chapter or a file of the repository; None if it is none."""
        root = Path(self.env.app.confdir)
        claims: list[Claim] = self.env.app.entrances[1]
        claim = next((c for c in claims if c.id == said), None)
        chapter = f"chapters/{claim.chapter if claim else said}"
        if not claim and chapter not in self.toc:
            return self.outward(said, said) if (root / said).is_file() else None
        uri = self.env.app.builder.get_relative_uri(self.env.docname, chapter)
        if claim:
            self.env.note_dependency(str(root / f"{chapter}.claims.json"))
            uri += f"#{claim.anchor}"
        return nodes.reference(said, said, refuri=uri, internal=True)

    # ---------------------------------------------------------- docstrings

    def prose(self, text: str, known: frozenset[str] = frozenset()) -> list[nodes.Node]:
        """A paragraph's nodes: plain text, code, names and places with links."""
        made: list[nodes.Node] = []
        for kind, said in docstrings.pieces(text, known):
            if kind in ("code", "name"):
                made.append(self.code(said, said in known))
            else:
                mark = {"stress": nodes.emphasis, "strong": nodes.strong}.get(kind)
                made.append(mark(said, said) if mark else nodes.Text(said))
        return made

    def code(self, said: str, mere: bool = False) -> nodes.Node:
        """Code in a docstring; unless ``mere``, what it names gets its link."""
        if not mere and CHECK.fullmatch(said):
            if place := self.place(said):
                return place
        elif not mere and re.fullmatch(r"[\w.]+(\(\))?", said):
            try:
                if full := self.package.full(said, self.file.scope, self.inside):
                    return self.named(said, full)
            except Fault as fault:
                self.fault(str(fault))
        return nodes.literal(said, said)

    def docstring(
        self, doc: str, known: frozenset[str] = frozenset(), titled: bool = False
    ) -> list[nodes.Node]:
        """A docstring's nodes: paragraphs, formulas, and last the labelled parts.

        titled: the noun that it opens with is the title above it.
        """
        made: list[nodes.Node] = []
        parts = nodes.field_list(classes=["parts"])
        for kind, text in docstrings.items(doc):
            if kind == "text":
                text = docstrings.noun(text)[1] if titled and not made else text
                made.append(paragraph(*self.prose(text, known)))
            elif kind == "block":
                lines = text.split("\n")
                margin = min(len(s) - len(s.lstrip()) for s in lines if s)
                made.append(self.block("\n".join(s[margin:] for s in lines)))
            else:
                body = paragraph(*self.part(kind, text, known))
                name = nodes.field_name(kind, kind)
                parts += nodes.field("", name, nodes.field_body("", body))
        return [*made, parts] if len(parts) else made

    def block(self, text: str) -> nodes.literal_block:
        """Formulas as they stand in the source, `names` in them linked."""
        block = nodes.literal_block(f"{text}\n")  # its source differs: not coloured
        for i, said in enumerate(re.split(r"`+([^`\n]+)`+", text)):
            block += self.code(said) if i % 2 else nodes.Text(said)
        return block

    def part(self, label: str, text: str, known: frozenset[str]) -> list[nodes.Node]:
        """What is raised, cited, or checked where; all of it must exist."""
        made: list[nodes.Node] = []
        pattern = {"Raises": ERROR, "Source": KEY, "Checked": CHECK}[label]
        for i, said in enumerate(pattern.split(text)):
            if not i % 2:
                made += self.prose(said, known)
            else:
                found = {"Raises": self.error, "Source": self.paper}
                node = found.get(label, self.place)(said)
                if node is None:
                    self.fault(f"{label}: {said} does not exist.")
                made.append(node or nodes.Text(said))
        return made

    def paper(self, key: str) -> nodes.Node | None:
        """A citation; None for a key that is not in the bibliography."""
        if key not in self.env.get_domain("cite").bibdata.data.entries:
            return None
        return self.state.inline_text(f"{{cite}}`{key}`", self.lineno)[0][0]

    def error(self, said: str) -> nodes.Node | None:
        """An exception of Python or of the package; None if there is none."""
        if hasattr(builtins, said):
            return nodes.literal(said, said)
        for full, name in self.package.names.items():
            if name.kind == "exception" and name.name == said:
                return self.named(said, full)
        return None


class ModulePage(Reference):
    """`{reference} laws`: the page of one module.

    The content may give public names of a folder: their files are read first.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.package.modules.get(self.arguments[0])
        if module is None:
            self.warn(f"{self.package.name} has no module {self.arguments[0]}.")
            return []
        full, self.file = f"{self.package.name}.{module.name}", module.files[0]
        made = self.described("module", full, synopsis=docstrings.noun(module.doc)[1])
        made += self.docstring(module.doc, titled=True)
        for file in self.ordered(module):
            self.file = file
            told = [n for name in file.names for n in self.entry(full, name)]
            if told and file is not module.files[0]:
                told = [self.section(told, module.doc)]
            made += told
        return made

    def ordered(self, module: Module) -> list[File]:
        """Its files: the first, those of the names that the page gives, the others."""
        home = {name.name: file for file in module.files for name in file.names}
        wanted = " ".join(self.content).split()
        if lost := [name for name in wanted if name not in home]:
            self.warn(f"{module.name} has no {', '.join(lost)}.")
        first = [module.files[0], *(home[name] for name in wanted if name in home)]
        order = {file.path: file for file in [*first, *module.files]}
        return list(order.values())

    def section(self, told: list[nodes.Node], above: str) -> nodes.section:
        """A file of a folder, under the noun of its docstring."""
        title, self.at = docstrings.noun(self.file.doc)[0], ""
        if not title or title == docstrings.noun(above)[0]:
            title = self.file.path.stem.capitalize()
        section = nodes.section("", nodes.title(title, title), names=[title.lower()])
        section += [*self.docstring(self.file.doc, titled=True), *told]
        self.state.document.note_implicit_target(section, section)
        return section

    def entry(self, module: str, name: Name) -> list[nodes.Node]:
        """One public name: its signature, its docstring, its members."""
        options, call = {name.how: ""} if name.how else {}, name.name
        self.at = f", {name.name}"
        if name.kind in ("data", "property"):
            options["value" if name.kind == "data" else "type"] = name.signature
        else:
            call += name.signature
        if len(re.sub(r"~[\w.]*\.", "", call)) <= LINE:  # as it is shown
            options["single-line-parameter-list"] = ""
        made = self.described(name.kind, call, **options)
        (shown, content), context = made[-1].children, self.env.ref_context
        for prefix in shown.findall(addnodes.desc_addname):  # laws.gaussian(...)
            short = prefix.astext().removeprefix(f"{self.package.name}.")
            prefix.clear()
            prefix += nodes.Text(short)
        for link in shown.findall(addnodes.pending_xref):
            link["reftype"] = "obj"  # an annotation may be an alias, not a class
        for text in [*shown.findall(nodes.Text)]:  # quoted as the house does
            text.parent.replace(text, nodes.Text(QUOTED.sub(r'"\1"', text)))
        shown += self.source(name)
        if name.members:
            self.inside = f"{module}.{name.name}"
        if name.bases:
            links = [self.named(base.split(".", 1)[1], base) for base in name.bases]
            content += paragraph(nodes.Text("A kind of "), *links)
        content += self.docstring(name.doc, name.known)
        for member in name.members:
            context["py:class"] = name.name
            content += self.entry(module, member)
        if name.members:
            self.inside = context["py:class"] = ""
        return made

    def described(self, kind: str, call: str, **options: str) -> list[nodes.Node]:
        """What the directive of Sphinx's domain for Python makes of a signature."""
        directive = self.env.get_domain("py").directive(kind)
        place = (StringList(), self.lineno, 0, "", self.state, self.state_machine)
        return directive(f"py:{kind}", [call], options, *place).run()

    def source(self, name: Name) -> nodes.reference:
        """The link to the lines that define it."""
        path = name.path.relative_to(self.env.app.confdir).as_posix()
        link = self.outward("source", path, "#L{}-L{}".format(*name.lines))
        link["classes"].append("viewcode-link")
        return link


class ModuleMap(Reference):
    """`{reference-map}`: the modules, one line of names a level, the lowest first."""

    def run(self) -> list[nodes.Node]:
        lines = [line.split() for line in self.content]
        level = {name: i for i, line in enumerate(lines) for name in line}
        modules = self.package.modules
        if off := level.keys() ^ modules.keys():
            self.warn(f"the map and __all__ differ in {', '.join(sorted(off))}.")
        made = nodes.bullet_list(classes=["levels"])
        for i, line in enumerate(lines):
            cards = nodes.bullet_list()
            for module in [modules[name] for name in line if name in modules]:
                below = sorted(module.imports - {"shapes"})
                if high := [name for name in below if level.get(name, 0) >= i]:
                    self.warn(f"{module.name} imports {', '.join(high)}, not below it.")
                self.file = module.files[0]
                name = self.named(module.name, f"{self.package.name}.{module.name}")
                says = self.prose(docstrings.noun(module.doc)[1])
                card = nodes.list_item("", paragraph(name), paragraph(*says))
                if below:
                    text = nodes.Text(f"imports {', '.join(below)}")
                    card += paragraph(text, classes=["below"])
                cards += card
            made += nodes.list_item("", paragraph(nodes.Text(f"Level {i}")), cards)
        return [made]


class Conventions(Reference):
    """`{reference-conventions}`: what holds everywhere, from the package itself.

    "Conventions: data at t = 0; score = grad_x log p_t. More." becomes a list.
    """

    def run(self) -> list[nodes.Node]:
        self.file = self.package.home
        made: list[nodes.Node] = []
        for _, text in docstrings.items(self.file.doc)[1:]:
            head, _, rest = text.partition(": ")
            listed, dot, tail = rest.partition(". ")
            made.append(paragraph(*self.prose(f"{head}:" if listed else text)))
            if listed:
                lines = [paragraph(*self.prose(s)) for s in f"{listed}{dot}".split(";")]
                made.append(
                    nodes.bullet_list("", *[nodes.list_item("", x) for x in lines])
                )
            if tail:
                made.append(paragraph(*self.prose(tail)))
        return made


def foreign(app: Sphinx, env, node, contnode) -> nodes.Node | None:
    """In signatures, the names of other libraries stay without a link."""
    ours = node["reftarget"].split(".")[0] == "diffkit"
    mine = node.get("refdoc", "").startswith(HOME)
    return contnode if mine and node["refdomain"] == "py" and not ours else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the three directives."""
    app.add_directive("reference", ModulePage)
    app.add_directive("reference-map", ModuleMap)
    app.add_directive("reference-conventions", Conventions)
    app.connect("missing-reference", foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
