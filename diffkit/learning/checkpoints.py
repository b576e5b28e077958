"""Checkpoints: what is learned, in files that are whole or not there.

A file is safetensors: a JSON header (names, shapes, and one text of diffkit's own:
what the file holds and how it came about), then the numbers, bare. There is no code
in it, so a file from elsewhere can be opened without running anything.

**Whole or not there.** `write` puts the bytes into a temporary file in the same
folder, has the system bring them to the disk (fsync), and renames that file onto the
old one. The rename is atomic: whoever is killed, and whenever, leaves the old file or
the new one, at worst with a temporary file beside it, which the next `prepare`
removes.

**Two kinds.** ``run``: all that `fit` needs to go on as if it had never stopped: the
weights, their average, both moments, the generators' states, and the settings.
``weights``: the average alone, with the recipe that made it, small enough to be
shipped: `save` and `load`.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..shapes import finite

File = str | os.PathLike
MARK = "diffkit"  # the one key of the header that is ours
VERSION = 1
KINDS = {"run": "a run, for fit to go on with", "weights": "weights, for load"}


def save(file: File, model: torch.nn.Module, recipe: Mapping) -> None:
    """Write the weights of a model, as float32, and the recipe that made them.

    After `fit` these are the averaged weights. recipe: what JSON can hold; `load`
    gives it back. The same weights and recipe make the same bytes.
    Raises: TypeError for a recipe that is no JSON, ValueError for weights that are
    not finite in float32 and a file that can not be written.
    Checked: tests/test_checkpoints.py
    """
    try:
        text = json.dumps(dict(recipe), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the recipe can not be written as JSON: {error}") from None
    tensors = {name: finite(name, _single(u)) for name, u in _weights(model).items()}
    write(prepare(file), tensors, "weights", {"recipe": json.loads(text)})


def load(file: File, model: torch.nn.Module) -> dict:
    """Put the weights of a file into a model, and return their recipe.

    The model keeps its dtype and device; it stays as it was if the file does not fit.
    Raises: ValueError for a file that is not there, is damaged, or is of another net.
    Checked: tests/test_checkpoints.py
    """
    tensors, record = read(file, "weights")
    own = _weights(model)
    for name in sorted({*tensors, *own}):
        there, here = (_form(of.get(name)) for of in (tensors, own))
        if there != here:
            raise ValueError(
                f"{file} is of another net: {name!r} is {there} there and {here} here"
            )
    for name, u in own.items():
        u.copy_(tensors[name])
    return record["recipe"]


def _weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: u.detach() for name, u in model.state_dict().items()}


def _single(u: Tensor) -> Tensor:
    return u.float() if u.is_floating_point() else u


def _form(u: Tensor | None) -> str:
    return "absent" if u is None else str(tuple(u.shape))


# ------------------------------------------------------------------- the files


def write(file: Path, tensors: Mapping[str, Tensor], kind: str, record: dict) -> None:
    """Put a file, whole or not at all, in the place of the one that was there.

    kind: "run" or "weights"; record: JSON. Raises: OSError (the disk is full, say),
    and the old file stands. Checked: tests/test_checkpoints.py
    """
    from safetensors.torch import save as serialised

    text = json.dumps({"kind": kind, "version": VERSION, **record}, sort_keys=True)
    # each in memory of its own: views of one buffer are refused
    own = {name: _apart(u) for name, u in tensors.items()}
    data = serialised(own, {MARK: text})
    partial = _partial(file)
    try:
        with open(partial, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())  # else the new name may outlive the new bytes
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    _settle(file.parent)


def read(file: File, kind: str) -> tuple[dict[str, Tensor], dict]:
    """The tensors of a file of this kind, and the record beside them.

    Raises: ValueError where there is no file, it is damaged, or holds something else.
    Checked: tests/test_checkpoints.py
    """
    from safetensors import SafetensorError, safe_open

    file = Path(file)
    if not file.is_file():
        how = "is a folder" if file.is_dir() else "does not exist"
        raise ValueError(f"{file} {how}; a file that diffkit wrote is wanted")
    try:
        with safe_open(file, "pt") as opened:
            record = json.loads((opened.metadata() or {}).get(MARK, "{}"))
            names = opened.keys()  # no dict: it has no other way to be walked
            tensors = {name: opened.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{file} is damaged, or no safetensors file: {error}; it is left alone"
        ) from None
    found = record.get("kind") if record.get("version") == VERSION else None
    if found != kind:
        holds = KINDS.get(found, "nothing that this version of diffkit knows")
        raise ValueError(f"{file} holds {holds}; wanted is {KINDS[kind]}")
    return tensors, record


def prepare(file: File) -> Path:
    """The full path of a file that may now be written, rid of what was left half.

    Temporary files of killed runs are removed.
    Raises: ValueError for a folder, a folder that does not exist or is closed to us,
    and a file that is write-protected. Checked: tests/test_checkpoints.py
    """
    file = Path(file).resolve()
    if file.is_dir():
        raise ValueError(f"{file} is a folder; name a file in it")
    # a rename would go over the protection: it asks the folder alone
    if file.exists() and not file.stat().st_mode & 0o222:
        raise ValueError(f"{file} is write-protected; choose another file")
    try:
        for left in file.parent.glob(f"{glob.escape(file.name)}.*.partial"):
            left.unlink()
        _partial(file).touch()
        _partial(file).unlink()
    except OSError as error:
        raise ValueError(f"{file} can not be written: {error.strerror}") from None
    return file


def _apart(u: Tensor) -> Tensor:
    return u.detach().cpu().clone(memory_format=torch.contiguous_format)


def _partial(file: Path) -> Path:
    """A name of our own in the same folder: a rename is atomic only there."""
    return file.with_name(f"{file.name}.{os.getpid()}.partial")


def _settle(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system lets us open it."""
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
