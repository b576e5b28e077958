"""Wrong steps in diffkit.learning.training."""

FILE = "learning/training.py"
HERE = "tests/test_training.py::"
AS_TORCH = HERE + "test_fifty_steps_are_those_of_torch"
AVERAGE = HERE + "test_the_average_is_the_sum_over_all_weights_so_far"
ENDS = HERE + "test_schedules_fall_from_one_to_zero_with_a_known_area"
ALONE = HERE + "test_seeds_are_those_of_the_net_unless_others_are_given"
HOLDS = HERE + "test_the_model_holds_the_average_whenever_the_caller_has_the_word"
RESUMED = (
    "tests/test_checkpoints.py::"
    "test_a_resumed_run_ends_bit_for_bit_as_one_that_went_through"
)
SAVES = "        if checkpoint is not None:\n            run.save(checkpoint)\n"
YIELDS = "        yield run.progress()\n"
ROWS = [
    # the average
    ("learning/optimiser.py", "[(1 - B) / (1 - B**t)]", "[B / (1 - B**t)]", AVERAGE),
    (
        "learning/optimiser.py",
        "[(1 - B) / (1 - B**t)]",
        "[(1 - B) / (1 - B ** (t + 1))]",
        AVERAGE,
    ),
    ("learning/optimiser.py", "[(1 - B) / (1 - B**t)]", "[1 - B]", AVERAGE),
    (
        "learning/optimiser.py",
        'for B in self.options["ema"]',
        'for B in self.options["ema"][::-1]',
        AVERAGE,
    ),
    # Adam
    ("learning/optimiser.py", "/ (1 - b1**t))", "/ (1 - b1 ** (t + 1)))", AS_TORCH),
    (
        "learning/optimiser.py",
        "c = self._shown, self.average, math.sqrt(1 - b2**t)",
        "c = self._shown, self.average, 1 - b2**t",
        AS_TORCH,
    ),
    (
        "learning/optimiser.py",
        ".add_(EPS * c)",
        ".add_(EPS)",
        HERE + "test_a_small_gradient_meets_the_eps_of_torch",
    ),
    (
        "learning/optimiser.py",
        "self.m.lerp_(g, 1 - b1)",
        "self.m.lerp_(g, 1 - b2)",
        AS_TORCH,
    ),
    (
        "learning/optimiser.py",
        "self.m.lerp_(g, 1 - b1)",
        "self.m.lerp_(g, b1)",
        AS_TORCH,
    ),
    (
        "learning/optimiser.py",
        ".addcmul_(g, g, value=1 - b2)",
        ".addcmul_(g, self.m, value=1 - b2)",
        AS_TORCH,
    ),
    (
        "learning/optimiser.py",
        "w.mul_(1 - share * self._shrink)",
        "g.add_(w * self._shrink)",
        AS_TORCH,
    ),
    (
        "learning/optimiser.py",
        "w.mul_(1 - share * self._shrink)",
        "w.mul_(1 - self._shrink)",
        AS_TORCH,
    ),
    (
        "learning/optimiser.py",
        "w.addcmul_(down, self._lr,",
        "w.addcmul_(down, self._lr.flip(0),",
        AS_TORCH,
    ),
    (
        "learning/optimiser.py",
        "(self._clip / norm).clamp(max=1)",
        "(self._clip / norm).clamp(min=1)",
        HERE + "test_gradients_are_clipped_member_by_member",
    ),
    (
        "learning/optimiser.py",
        "(self._clip / norm).clamp(max=1)",
        "(self._clip / norm.norm()).clamp(max=1)",
        HERE + "test_gradients_are_clipped_member_by_member",
    ),
    # the schedule
    (
        "learning/optimiser.py",
        "(1 + math.cos(math.pi * u)) / 2",
        "(1 + math.cos(math.pi * u / 2)) / 2",
        ENDS,
    ),
    (
        "learning/optimiser.py",
        "(1 + math.cos(math.pi * u)) / 2",
        "math.cos(math.pi * u / 2)",
        ENDS,
    ),
    ("learning/optimiser.py", "lambda u: 1 - u,", "lambda u: (1 - u) ** 2,", ENDS),
    (
        "learning/optimiser.py",
        "(n - warmup) / (steps - warmup)",
        "n / steps",
        HERE + "test_warmup_rises_in_equal_steps_to_the_full_rate",
    ),
    (
        "learning/optimiser.py",
        "return (n + 1) / (warmup + 1)",
        "return n / warmup",
        HERE + "test_warmup_rises_in_equal_steps_to_the_full_rate",
    ),
    (
        FILE,
        "self.adam.step(loss, self.share(n))",
        "self.adam.step(loss, self.share(n + 1))",
        HOLDS,
    ),
    # the members
    (
        FILE,
        "for own in rngs])\n        return self.objective",
        "for own in rngs[:1] * len(rngs)])\n        return self.objective",
        ALONE,
    ),
    (
        FILE,
        "(seed + STREAM) % SEEDS",
        "seed",
        HERE + "test_training_does_not_repeat_what_the_weights_were_drawn_from",
    ),
    (
        FILE,
        "(seed + STREAM) % SEEDS",
        "(seed + SEEDS) % 2**33",
        HERE + "test_training_does_not_repeat_what_the_weights_were_drawn_from",
    ),
    (
        FILE,
        "loss = self.losses(self.rngs).mean(1)",
        "loss = self.losses(self.rngs).sum(1)",
        HERE + "test_it_yields_after_every_so_many_steps_and_at_the_end",
    ),
    # the run
    (
        "learning/optimiser.py",
        "        self._shown.copy_(self.average)",
        "        pass",
        HOLDS,
    ),
    ("learning/optimiser.py", "self.weights.copy_(self._shown)\n", "pass\n", HOLDS),
    (
        "learning/optimiser.py",
        "        self._shown.copy_(self.weights)",
        "        pass",
        HOLDS,
    ),
    (
        FILE,
        "adam.steps - adam.steps % every + every",
        "adam.steps + every",
        "tests/test_checkpoints.py::test_a_run_may_be_resumed_with_other_pauses",
    ),
    (
        "learning/optimiser.py",
        "        if not math.isfinite((loss",
        "        if math.isnan((loss",
        HERE + "test_a_run_that_diverges_says_where_and_keeps_what_was_good",
    ),
    (
        "learning/optimiser.py",
        "(loss + norm[:, 0]).sum()",
        "loss.sum()",
        HERE + "test_a_run_that_diverges_says_where_and_keeps_what_was_good",
    ),
    (
        "learning/optimiser.py",
        "or not torch.equal(self._shown, self.average)",
        "",
        HERE + "test_weights_that_are_changed_between_yields_are_not_lost_in_silence",
    ),
    (
        "learning/optimiser.py",
        "places != self._places or ",
        "",
        HERE + "test_weights_that_are_changed_between_yields_are_not_lost_in_silence",
    ),
    # until
    (
        FILE,
        "reached = reached or _measured(last, excess)",
        "reached = reached or _measured(last, lambda: math.inf)",
        HERE + "test_until_is_content_with_the_last_yield",
    ),
    (
        FILE,
        "if reached and (reached.excess < below).all()",
        "if reached and (reached.excess < below).any()",
        HERE + "test_until_waits_for_the_last_member",
    ),
    # resuming
    (FILE, "own.set_state(state.clone())", "state.clone()", RESUMED),
    (
        FILE,
        "own.set_state(state.clone())",
        "own.set_state(tensors['rngs'][0].clone())",
        RESUMED,
    ),
    (
        "learning/optimiser.py",
        'names = ("weights", "average", "m", "v")',
        'names = ("weights", "average", "m")',
        RESUMED,
    ),
    (
        "learning/optimiser.py",
        'names = ("weights", "average", "m", "v")',
        'names = ("weights", "m", "v")',
        RESUMED,
    ),
    (
        FILE,
        "self.adam.steps, self.seconds = record",
        "_, self.seconds = record",
        RESUMED,
    ),
    (
        FILE,
        "rtol=LIKE, atol=0)",
        "rtol=0.5, atol=0)",
        "tests/test_checkpoints.py::test_files_of_other_runs_are_refused_and_left_alone",
    ),
    (
        FILE,
        "            self.adam.average.copy_(before)\n",
        "",
        "tests/test_checkpoints.py::test_files_of_other_runs_are_refused_and_left_alone",
    ),
    (
        FILE,
        SAVES + YIELDS,
        YIELDS + SAVES,
        "tests/test_checkpoints.py::test_a_checkpoint_is_written_before_its_yield",
    ),
]
