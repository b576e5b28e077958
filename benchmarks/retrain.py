"""Make a net that ships with the book anew, and measure it.

    python benchmarks/retrain.py NAME       (make retrain NAME)

The run leaves a checkpoint in _build/retrain and goes on from there if it is killed.
The weights are written into diffkit/recipes only if the net reaches what its recipe
claims; else the old ones stay, and the exit status is 1. Afterwards `make run`: the
chapters that use the net are out of date.
"""

from __future__ import annotations

import sys

from report import ROOT

from diffkit import recipes
from diffkit.shapes import Estimate

DIGESTS = ROOT / "diffkit" / "recipes" / "digests.py"


def told(found: Estimate) -> str:
    """Each member's number and standard error."""
    pairs = zip(found.value.tolist(), found.error.tolist(), strict=True)
    return ", ".join(f"{value:.4f} ({error:.4f})" for value, error in pairs)


def record(name: str, sha: str) -> None:
    """Put the digest of a file into the source, where chapters see it change."""
    known = dict(sorted({**recipes.digests.DIGESTS, name: sha}.items()))
    head = DIGESTS.read_text().split("DIGESTS:")[0]
    rows = "".join(f'    "{n}": "{s}",\n' for n, s in known.items())
    DIGESTS.write_text(f"{head}DIGESTS: dict[str, str] = {{\n{rows}}}\n")


def main(names: list[str]) -> int:
    """Retrain one net."""
    if len(names) != 1:
        print(f"make retrain NAME, one of {', '.join(recipes.RECIPES)}")
        return 2
    try:
        recipe = recipes.find(names[0])
    except ValueError as error:
        print(error)
        return 2
    folder = ROOT / "_build" / "retrain"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{recipe.name}.run"
    model = recipe.model()
    print(f"{recipe.name}: {recipe.says}")
    for progress in recipe.train(model, checkpoint):
        if progress.step % 1000 == 0:
            loss = ", ".join(f"{u:.4f}" for u in progress.loss.tolist())
            print(f"step {progress.step}, {progress.seconds:.0f} s, loss {loss}")
    found = recipe.measure(model)
    reached = bool((found.value < recipe.below).all())
    print(f"measured {told(found)}; it must be below {recipe.below:g}")
    if not reached:
        print("it is not: the weights that ship stay as they are")
        return 1
    record(recipe.name, recipe.ship(model))
    checkpoint.unlink()
    print(f"{recipe.file.relative_to(ROOT)} is written; make run")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
