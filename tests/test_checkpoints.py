"""checkpoints: files that are whole or not there, and runs that never noticed."""

import json
import os
import signal
import stat
import struct
import sys
from pathlib import Path

import pytest
import torch
from examples import named, refuses
from test_training import F64, Bad, Denoising, Distance, Point, Tiny, cloud, flat

from diffkit.learning import checkpoints
from diffkit.learning.training import fit, until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import kill

RECIPE = {"lr": [0.1, 0.2], "data": "moons", "steps": 7, "nested": {"none": None}}
SETTINGS = {"batch": 4, "lr": (1e-2, 3e-3), "every": 5, "weight_decay": 0.1}


def run(file=None, steps=20, seeds=(0, 1), objective=None, draw=cloud, **more):
    """A model, and a run of it."""
    model = Tiny(seeds)
    more = {"checkpoint": file, **SETTINGS, **more}
    return model, fit(model, objective or Denoising(), draw, steps, **more)


def ended(file=None, **more):
    """A model after its run, and what was yielded."""
    model, progresses = run(file, **more)
    return model, list(progresses)


def broken_off(file, at=10, **more):
    """A model whose run was left at a step."""
    model, progresses = run(file, **more)
    for progress in progresses:
        if progress.step == at:
            break
    return model


# -------------------------------------------------------------------------- weights


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_what_is_saved_is_loaded(tmp_path, dtype):
    model, other = Tiny((0, 1), dtype=dtype), Tiny((5, 6), dtype=dtype)
    checkpoints.save(tmp_path / "net", model, RECIPE)
    assert checkpoints.load(tmp_path / "net", other) == RECIPE
    assert other.W.dtype == dtype
    assert torch.equal(flat(other), flat(model).float().to(dtype))


def test_weights_are_saved_as_float32_and_always_in_the_same_bytes(tmp_path):
    model, _ = ended()
    for name in "ab":
        checkpoints.save(tmp_path / name, model, RECIPE)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    # by the format's own definition: a length, a header, the numbers
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert {name: header[name]["dtype"] for name in "VbW"} == dict.fromkeys(
        "VbW", "F32"
    )
    assert header["V"]["shape"] == [2, 3, 8]
    begin, end = header["V"]["data_offsets"]
    numbers = torch.frombuffer(
        bytearray(data[8 + length :][begin:end]), dtype=torch.float32
    )
    assert torch.equal(numbers.view(2, 3, 8), model.V.detach().float())
    assert len(data) == 8 + length + 4 * flat(model).numel()


def test_what_is_saved_after_a_run_is_the_average(tmp_path):
    model, _ = ended(ema=0.9)
    checkpoints.save(tmp_path / "net", model, {})
    other = Tiny((5, 6))
    checkpoints.load(tmp_path / "net", other)
    ended(tmp_path / "run", ema=0.9)
    average = checkpoints.read(tmp_path / "run", "run")[0]["average"]
    assert torch.equal(flat(other), average.float().double())


def test_buffers_are_saved_too(tmp_path):
    model, other = Tiny(), Tiny((3,))
    model.register_buffer("count", torch.tensor([3]))
    other.register_buffer("count", torch.tensor([0]))
    checkpoints.save(tmp_path / "net", model, {})
    checkpoints.load(tmp_path / "net", other)
    assert other.count.item() == 3


# ---------------------------------------------------------------------------- files


def listened(monkeypatch, at="", act=None):
    """The system calls of a write; before those of one kind something happens."""
    heard = []
    for name, own in (("fsync", os.fsync), ("replace", os.replace)):

        def call(*args, name=name, own=own):
            folder = name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode)
            heard.append("folder" if folder else name)
            if heard[-1] == at:
                act(heard)
            return own(*args)

        monkeypatch.setattr(os, name, call)
    return heard


def full(_):
    raise OSError(28, "No space left on device")


def die_at_the_second(heard):
    if heard.count(heard[-1]) == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def test_bytes_reach_the_disk_before_their_name_does(tmp_path, monkeypatch):
    heard = listened(monkeypatch)
    checkpoints.write(tmp_path / "a", {"x": torch.ones(3)}, "run", {})
    assert heard == ["fsync", "replace", "folder"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, broken):
    file = tmp_path / "a"
    checkpoints.write(file, {"x": torch.ones(3)}, "run", {"step": 1})
    before = file.read_bytes()
    listened(monkeypatch, broken, full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.write(file, {"x": torch.zeros(9)}, "run", {"step": 2})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_written_is_no_file_until_it_is_whole(tmp_path, monkeypatch):
    """Looked at from the outside in the middle of a write, as after a kill."""
    file, seen = tmp_path / "a", []
    own = os.fsync

    def look(opened):
        seen.append([p.name for p in tmp_path.iterdir()])
        own(opened)

    monkeypatch.setattr(os, "fsync", look)
    checkpoints.write(file, {"x": torch.ones(3)}, "run", {})
    (partial,), after = seen
    assert partial.startswith("a.") and partial.endswith(".partial") and after == ["a"]


def test_leftovers_of_killed_runs_are_removed_and_nothing_else(tmp_path):
    left = [tmp_path / name for name in ("a[1].7.partial", "a[1].12345.partial")]
    kept = [
        tmp_path / name for name in ("a[1]", "b.7.partial", "a1.7.partial", "partial")
    ]
    for file in left + kept:
        file.write_text("half")
    assert checkpoints.prepare(tmp_path / "a[1]") == tmp_path / "a[1]"
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert (tmp_path / "a[1]").read_text() == "half"


def test_a_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "net")
    checkpoints.save(tmp_path / "link", Tiny(), {})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "net").is_file()


# --------------------------------------------------------------------------- resume


def same(file, other):
    """Whether two checkpoints are alike in all but the seconds and the last mean."""
    (a, told), (b, said) = checkpoints.read(file, "run"), checkpoints.read(other, "run")
    assert {*a, *b} == {"weights", "average", "m", "v", "rngs", "loss", "probe"}
    assert told["settings"] == said["settings"] and told["step"] == said["step"]
    return all(torch.equal(a[name], b[name]) for name in {*a} - {"loss"})


@pytest.mark.parametrize("stops", [(5,), (10,), (5, 10, 15), (5, 5, 15)])
def test_a_resumed_run_ends_bit_for_bit_as_one_that_went_through(tmp_path, stops):
    model, whole = ended(tmp_path / "whole", ema=0.9)
    for at in stops:
        broken_off(tmp_path / "parts", at, ema=0.9)
    other, rest = ended(tmp_path / "parts", ema=0.9)
    assert torch.equal(flat(model), flat(other))
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert [p.step for p in rest] == [p.step for p in whole if p.step >= stops[-1]]
    for a, b in zip(reversed(whole), reversed(rest), strict=False):
        assert torch.equal(a.loss, b.loss)


def test_a_checkpoint_changes_nothing(tmp_path):
    assert torch.equal(flat(ended(tmp_path / "run")[0]), flat(ended()[0]))


def test_a_run_may_be_resumed_with_other_pauses(tmp_path):
    model, _ = ended()
    broken_off(tmp_path / "run", 8, every=4)
    other, rest = ended(tmp_path / "run", every=3)
    assert torch.equal(flat(model), flat(other))
    assert [p.step for p in rest] == [8, 9, 12, 15, 18, 20]


def test_a_checkpoint_is_written_before_its_yield(tmp_path):
    model, progresses = run(tmp_path / "run")
    for progress in progresses:
        tensors, record = checkpoints.read(tmp_path / "run", "run")
        assert record["step"] == progress.step
        assert torch.equal(tensors["average"], flat(model))
        assert torch.equal(tensors["loss"], progress.loss)


def test_a_run_that_has_ended_gives_its_weights_at_once(tmp_path):
    model, whole = ended(tmp_path / "run")
    (tmp_path / "run").chmod(0o444)
    before = (tmp_path / "run").stat()
    other, progresses = run(tmp_path / "run")
    assert torch.equal(flat(model), flat(other))
    (last,) = progresses
    assert last.step == 20 and torch.equal(last.loss, whole[-1].loss)
    assert last.seconds == whole[-1].seconds > 0
    assert (tmp_path / "run").stat().st_mtime_ns == before.st_mtime_ns


def test_a_script_with_until_can_be_run_twice(tmp_path):
    found = []
    for _ in range(2):
        model, progresses = run(tmp_path / "run")
        steps = []

        def watched(progresses=progresses, steps=steps):
            for progress in progresses:
                steps.append(progress.step)
                yield progress

        until(watched(), lambda steps=steps: 1.0 if steps[-1] < 10 else 0.1, 0.2)
        found.append((steps, flat(model)))
    assert found[0][0] == [5, 10] and found[1][0] == [10]
    assert torch.equal(found[0][1], found[1][1])


def test_seconds_count_on_over_a_pause(tmp_path):
    broken_off(tmp_path / "run", 10)
    record = checkpoints.read(tmp_path / "run", "run")[1]
    _, rest = ended(tmp_path / "run")
    assert rest[0].seconds == record["seconds"] > 0
    assert rest[1].seconds > rest[0].seconds


def test_a_run_that_diverges_leaves_the_last_good_checkpoint(tmp_path):
    def nan(loss, model):
        return loss * torch.nan

    file, model = tmp_path / "run", Point(2)
    # each checkpoint asks for the loss once more, on its probe
    bad = Bad(2 + 10 + 2 + 3, nan)
    steps = fit(model, bad, cloud, 20, batch=4, every=5, checkpoint=file)
    with pytest.raises(FloatingPointError, match="in step 13 "):
        for _ in steps:
            before = file.read_bytes()
    assert checkpoints.read(file, "run")[1]["step"] == 10
    assert file.read_bytes() == before
    healthy = Point(2)
    rest = list(fit(healthy, Distance(), cloud, 20, batch=4, every=5, checkpoint=file))
    assert rest[-1].step == 20 and healthy.w.isfinite().all()


def stand_in():
    return Tiny((0, 1)), Denoising(), cloud


forks = pytest.mark.skipif(
    torch.cuda.is_available(), reason="a process that has used a GPU can not be forked"
)


@forks
@pytest.mark.parametrize("at", ["fsync", "replace", "folder"])
def test_a_run_killed_inside_a_write_goes_on_as_if_nothing_had_been(
    tmp_path, monkeypatch, at
):
    file = tmp_path / "run"
    ended(tmp_path / "whole")
    with monkeypatch.context() as patched:
        listened(patched, at, die_at_the_second)
        process = kill.FORK.Process(target=ended, args=(file,))
        process.start()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    step = {"fsync": 5, "replace": 5, "folder": 10}[at]  # the old file, or the new one
    assert checkpoints.read(file, "run")[1]["step"] == step
    assert len(kill.partials(file)) == (at != "folder")
    ended(file)
    assert same(tmp_path / "whole", file) and not kill.partials(file)


@forks
def test_runs_survive_kills(tmp_path):
    """Three rounds of what benchmarks/kill.py does twenty times with real nets."""
    tally = kill.campaign(3, tmp_path, stand_in)
    assert tally.holds and tally.kills == 6, str(tally)


def in_place(file, tensors, kind, record):
    """A write that is not atomic, and a kill in the middle of it."""
    draft = file.with_name("draft")
    write(draft, tensors, kind, record)
    with open(file, "wb") as out:
        out.write(draft.read_bytes()[:1000])
        out.flush()
        if file.name != "never killed":
            os.kill(os.getpid(), signal.SIGKILL)
        out.write(draft.read_bytes()[1000:])


write = checkpoints.write


@forks
def test_files_written_in_place_would_be_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "write", in_place)
    monkeypatch.setattr(kill, "KILLS", 1)
    tally = kill.campaign(1, tmp_path, stand_in)
    assert tally.half == 1 and not tally.same and not tally.holds, str(tally)


# ------------------------------------------------------------------------- bad input


def truncated(file, part):
    data = file.read_bytes()
    file.write_bytes(data[: int(part * len(data))])


def foreign(file, text="{}"):
    from safetensors.torch import save

    file.write_bytes(save({"x": torch.ones(3)}, {"diffkit": text}))


def later(file):
    foreign(file, json.dumps({"version": 2, "kind": "run"}))


V = ValueError
#            what is done to the file of a run left at step 10, and how it is gone on
WRONG_FILES = {
    "lr": (r"lr is \[0.01, 0.003\], not \[0.02, 0.003\]", {"lr": (0.02, 0.003)}),
    "batch": ("batch is 4, not 5", {"batch": 5}),
    "steps": ("steps is 20, not 30", {"steps": 30}),
    "decay": ("decay is cosine, not linear", {"decay": "linear"}),
    "ema": (r"ema is \[0.99, 0.99\], not \[0.9, 0.9\]", {"ema": 0.9}),
    "clip": (r"clip is None, not \[1.0, 1.0\]", {"clip": 1.0}),
    "seeds": (r"seeds is \[0, 1\], not \[0, 2\]", {"seeds": (0, 2)}),
    "members": ("members is 2, not 1", {"seeds_of_net": (0,), "lr": 0.01}),
    "width": (
        r"the shape of V is \[2, 3, 8\], not \[2, 3, 9\]",
        {"net": lambda: wider(Tiny((0, 1)))},
    ),
    "another parameter": (
        r"the shape of more is None, not \[2, 1\]",
        {"net": lambda: richer(Tiny((0, 1)))},
    ),
    "dtype": (
        "dtype is torch.float64, not torch.float32",
        {"net": lambda: Tiny((0, 1)).float()},
    ),
    "objective": ("of another objective, data or net", {"objective": Denoising(1.1)}),
    "data": (
        "of another objective, data",
        {"draw": lambda n, rng: cloud(n, rng) * 1.1},
    ),
    "bias": ("data or net", {"net": lambda: deafened(Tiny((0, 1)))}),
}


def wider(net):
    net.V.data = torch.ones(2, 3, 9, dtype=F64)
    net.b.data, net.W.data = (torch.ones(2, *s, dtype=F64) for s in ((1, 9), (9, 3)))
    return net


def richer(net):
    net.more = torch.nn.Parameter(torch.ones(2, 1, dtype=F64))
    return net


def deafened(net):
    """The same parameters, another function."""
    net.forward = lambda x: torch.baddbmm(net.b, x, net.V).relu() @ net.W
    return net


@named(WRONG_FILES)
def test_files_of_other_runs_are_refused_and_left_alone(tmp_path, name):
    says, given = WRONG_FILES[name]
    file, given = tmp_path / "run", dict(given)
    broken_off(file)
    before = file.read_bytes()
    seeds = given.pop("seeds_of_net", (0, 1))
    model = given.pop("net", lambda: Tiny(seeds))()
    start, objective = flat(model), given.pop("objective", Denoising())
    draw, steps = given.pop("draw", cloud), given.pop("steps", 20)
    given = {**SETTINGS, "checkpoint": file, **given}
    refuses(
        V,
        f"run (holds|is).*{says}",
        lambda: fit(model, objective, draw, steps, **given),
    )
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
    assert torch.equal(flat(model), start)


@pytest.mark.parametrize("part", [0.0, 1e-3, 0.05, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["run", "weights"])
def test_truncated_files_are_refused_and_left_alone(tmp_path, part, kind):
    file, model = tmp_path / "file", Tiny((0, 1))
    if kind == "run":
        broken_off(file)
    else:
        checkpoints.save(file, model, {})
    truncated(file, part)
    before = file.read_bytes()
    calls = {"run": lambda: run(file), "weights": lambda: checkpoints.load(file, model)}
    refuses(V, "is damaged, or no safetensors file: .*left alone", calls[kind])
    assert file.read_bytes() == before


def given(change, call):
    """A call on a file that has been changed, named in a folder of its own."""

    def made(folder):
        file = folder / "file"
        change(file)
        return lambda: call(file)

    return made


def saved(file):
    checkpoints.save(file, Tiny((0, 1)), {})


def resumes(file):
    return run(file)


def loads(file, net=None):
    return checkpoints.load(file, Tiny((0, 1)) if net is None else net)


def saves(file, recipe=None, net=None):
    return checkpoints.save(file, net or Tiny(), {} if recipe is None else recipe)


def nothing(file):
    """The file stays away."""


def protected(file):
    saved(file)
    file.chmod(0o444)


def protected_run(file):
    broken_off(file)
    file.chmod(0o444)


def with_nan():
    net = Tiny()
    net.b.data[:] = torch.nan
    return net


def large():
    net = Tiny()
    net.b.data[:] = 1e300
    return net


known = "nothing that this version of diffkit knows; wanted is a run"
WRONG = {
    "text": (
        V,
        "no safetensors file",
        given(lambda f: f.write_text("x" * 99), resumes),
    ),
    "empty": (V, "no safetensors file", given(Path.touch, resumes)),
    "no json": (V, "is damaged", given(lambda f: foreign(f, "{"), resumes)),
    "foreign": (V, known, given(foreign, resumes)),
    "later": (V, known, given(later, resumes)),
    "a folder": (V, "is a folder", given(Path.mkdir, resumes)),
    "weights for a run": (
        V,
        "holds weights, for load; wanted is a run",
        given(saved, resumes),
    ),
    "a run for weights": (V, "holds a run, for fit to go on", given(broken_off, loads)),
    "protected run": (V, "is write-protected", given(protected_run, resumes)),
    "no folder": (
        V,
        "can not be written: No such file or directory",
        given(nothing, lambda f: resumes(f / "deep" / "er")),
    ),
    "in a file": (
        V,
        "can not be written: Not a directory",
        given(saved, lambda f: saves(f / "a")),
    ),
    "closed": (V, "can not be written", given(nothing, lambda f: resumes("/proc/run"))),
    "nothing there": (V, "does not exist; a file that diffkit", given(nothing, loads)),
    "load a folder": (V, "is a folder; a file that", given(Path.mkdir, loads)),
    "save to a folder": (V, "is a folder; name a file in it", given(Path.mkdir, saves)),
    "protected": (V, "is write-protected; choose another", given(protected, saves)),
    "other net": (
        V,
        r"is of another net: 'V' is \(2, 3, 8\) there and \(3, 3, 8\) here",
        given(saved, lambda f: loads(f, Tiny((0, 1, 2)))),
    ),
    "less": (
        V,
        r"'more' is absent there and \(2, 1\) here",
        given(saved, lambda f: loads(f, richer(Tiny((0, 1))))),
    ),
    "nan": (
        V,
        "b holds NaN or inf",
        given(nothing, lambda f: saves(f, net=with_nan())),
    ),
    "inf": (V, "b holds NaN or inf", given(nothing, lambda f: saves(f, net=large()))),
    "recipe": (
        TypeError,
        "the recipe can not be written as JSON: Object of type Tensor",
        given(nothing, lambda f: saves(f, {"x": torch.ones(1)})),
    ),
    "recipe of nan": (
        TypeError,
        "recipe can not be written",
        given(nothing, lambda f: saves(f, {"x": torch.nan})),
    ),
}


@named(WRONG)
def test_refuses(name, tmp_path):
    kind, says, made = WRONG[name]
    call = made(tmp_path)
    before = {f: f.is_file() and f.read_bytes() for f in tmp_path.iterdir()}
    refuses(kind, says, call)
    after = {f: f.is_file() and f.read_bytes() for f in tmp_path.iterdir()}
    assert after == before
