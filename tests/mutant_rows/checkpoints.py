"""Files of diffkit.learning.checkpoints that are not whole, not ours, not safe."""

FILE = "learning/checkpoints.py"
HERE = "tests/test_checkpoints.py::"
LEAVES = HERE + "test_a_write_that_fails_leaves_the_old_file"
ORDER = HERE + "test_bytes_reach_the_disk_before_their_name_does"
ROWS = [
    (FILE, 'open(partial, "wb")', 'open(file, "wb")', LEAVES),
    (
        FILE,
        "os.replace(partial, file)",
        "file.write_bytes(partial.read_bytes())",
        ORDER,
    ),
    (FILE, "            os.fsync(out.fileno())", "            pass", ORDER),
    (FILE, "    _settle(file.parent)\n", "", ORDER),
    (FILE, "        partial.unlink(missing_ok=True)", "        pass", LEAVES),
    (
        FILE,
        'f"{glob.escape(file.name)}.*.partial"',
        'f"{file.name}.*.partial"',
        HERE + "test_leftovers_of_killed_runs_are_removed_and_nothing_else",
    ),
    (
        FILE,
        'f"{glob.escape(file.name)}.*.partial"',
        '"*.partial"',
        HERE + "test_leftovers_of_killed_runs_are_removed_and_nothing_else",
    ),
    (
        FILE,
        "            left.unlink()",
        "            pass",
        HERE + "test_leftovers_of_killed_runs_are_removed_and_nothing_else",
    ),
    (
        FILE,
        "file = Path(file).resolve()",
        "file = Path(file)",
        HERE + "test_a_link_is_followed",
    ),
    (FILE, "& 0o222", "& 0o777", HERE + "test_refuses"),
    (
        FILE,
        "u.float() if u.is_floating_point() else u",
        "u",
        HERE + "test_weights_are_saved_as_float32_and_always_in_the_same_bytes",
    ),
    (
        FILE,
        "u.float() if u.is_floating_point() else u",
        "u.half() if u.is_floating_point() else u",
        HERE + "test_weights_are_saved_as_float32_and_always_in_the_same_bytes",
    ),
    (
        FILE,
        "model.state_dict().items()",
        "model.named_parameters()",
        HERE + "test_buffers_are_saved_too",
    ),
    (FILE, "    if found != kind:", "    if found is None:", HERE + "test_refuses"),
    (FILE, "finite(name, _single(u))", "_single(u)", HERE + "test_refuses"),
]
