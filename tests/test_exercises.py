"""Exercises: the solution passes, the blank does not, each slip has its hint."""

import ast

import pytest

from book import exercises, press

CHAPTERS = [c for c in press.chapters() if exercises.section(c.read())]
pytestmark = pytest.mark.usefixtures("unchecked")  # as readers run it
every = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)


def source(cells):
    """The code of cells as one program."""
    return "\n\n".join(c.source for c in cells if c.cell_type == "code")


def attempts(cells):
    """The two arguments of each ``attempt(claim, answer)`` among cells, as code."""
    calls = [n for n in ast.walk(ast.parse(source(cells))) if isinstance(n, ast.Call)]
    named = [(n, getattr(n.func, "id", getattr(n.func, "attr", ""))) for n in calls]
    pairs = [n.args for n, name in named if name == "attempt"]
    return [tuple(ast.unparse(argument) for argument in pair) for pair in pairs]


def world(program):
    """The names that a program leaves, run without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    names = {"__name__": "exercises"}
    exec(compile(program, "exercises", "exec"), names)
    return names


def reader(chapter):
    """The cells of the reader's notebook, as it lies on disk."""
    import nbformat

    return nbformat.read(chapter.exercises, 4).cells


@every
def test_readers_notebook_is_the_generated_one(chapter):
    made = exercises.student(chapter.read(), chapter.name)
    assert press.view(made) == [
        (c.cell_type, c.source.strip(), {}) for c in reader(chapter)
    ]
    assert not any(
        c.get("outputs") or c.get("execution_count") for c in reader(chapter)
    )


@every
def test_blank_is_not_solved(chapter):
    from diffkit.claims import attempt

    names = world(source(reader(chapter)))
    found = attempts(reader(chapter))
    assert found
    for claim, answer in found:
        hint = attempt(eval(claim, names), eval(answer, names))
        assert not hint.solved, f"the blank solves {hint.id}"


@every
def test_solution_passes_and_each_slip_has_its_hint(chapter):
    from diffkit.claims import attempt

    nb = chapter.read()
    asked = exercises.section(nb)
    names = world(source([*exercises.setup(nb), *asked]))
    found = attempts(asked)
    assert found == attempts(reader(chapter))
    for claim, answer in found:
        claim, answer = eval(claim, names), eval(answer, names)
        hint = attempt(claim, answer)
        assert hint.solved, f"the solution of {hint.id}: {hint.text}"
        for slip, wrong in claim.controls.items():
            hint = attempt(claim, wrong)
            assert not hint.solved, f"{hint.id} takes {slip} for solved"
            assert hint.slip == slip, f"{hint.id}, {slip}: {hint.text}"


@every
def test_each_solution_is_asked_for(chapter):
    """A function that no attempt judges could say anything."""
    nb = chapter.read()
    solved = [c for c in exercises.section(nb) if "solution" in exercises.tags(c)]
    bodies = ast.parse(source(solved)).body
    functions = {n.name for n in bodies if isinstance(n, ast.FunctionDef)}
    judged = " ".join(answer for _, answer in attempts(exercises.section(nb)))
    assert functions
    assert {f for f in functions if f not in judged} == set()
