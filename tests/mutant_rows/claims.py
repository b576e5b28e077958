"""Wrong formulas in diffkit.claims."""

MEASURE = "claims/measure.py"
VERDICT, EXERCISE = "claims/verdict.py", "claims/exercise.py"
HERE = "tests/test_claims.py::test_"
ROWS = [
    (
        VERDICT,
        "bars = [(self.controls, self._bar())",
        "bars = [(self.controls, self.claim.tol)",
        HERE + "exact_control_must_exceed_a_hundred_tolerances",
    ),
    (
        VERDICT,
        "(self.probes, self.claim.tol)]",
        "({}, self.claim.tol)]",
        HERE + "probe_that_is_not_seen_fails_the_claim",
    ),
    (
        VERDICT,
        "for e in (PROBE, -PROBE):",
        "for e in (PROBE, PROBE):",
        HERE + "scale_must_be_seen_in_both_directions",
    ),
    (
        VERDICT,
        "if e is None or not e > bar]",
        "if e is not None and not e > bar]",
        HERE + "control_without_a_number_is_not_rejected",
    ),
    (
        MEASURE,
        "if not torch.isfinite(got).all():",
        "if torch.isinf(got).all():",
        HERE + "formula_without_a_number_fails",
    ),
    (
        MEASURE,
        "return float((got - want).abs().max() / top)",
        "return float((got - want).abs().min() / top)",
        HERE + "unknown_wrong_answer_is_told_the_input",
    ),
    (
        VERDICT,
        'found.min() if claim.kind == "trained"',
        'found.max() if claim.kind == "trained"',
        HERE + "trained_control_must_be_wrong_for_every_seed",
    ),
    (
        VERDICT,
        "self.claim.tol * self.claim.margin + 3 * self.spread",
        "self.claim.tol * self.claim.margin",
        HERE + "trained_control_must_exceed_three_spreads",
    ),
    (
        VERDICT,
        "        float(found.max()),\n",
        "        float(found.min()),\n",
        HERE + "trained_formula_must_hold_for_every_seed",
    ),
    (
        MEASURE,
        "found += zs.reshape(-1).abs().tolist()",
        "found += zs.reshape(-1).tolist()",
        HERE + "statistical_formula_may_miss_by_six",
    ),
    (
        MEASURE,
        "return worst if worst > 1e-30 else 0.0",
        "return worst if worst > 1e-3 else 0.0",
        HERE + "symbolic_difference_that_is_small_is_not_zero",
    ),
    (
        VERDICT,
        "self.looks * math.erfc(c.tol / math.sqrt(2))",
        "self.looks * math.erfc(c.tol)",
        HERE + "false_alarm_is_the_normal_tail_over_all_looks",
    ),
    (
        VERDICT,
        '({"diffkit": self.record()} if self.asserted else {})',
        '({"diffkit": self.record()} if self.holds else {})',
        HERE + "metadata_travels_only_when_checked",
    ),
    (
        EXERCISE,
        "return got.shape == slip.shape and float(apart) <= claim.tol",
        "return got.shape == slip.shape",
        HERE + "each_slip_is_known_by_its_name",
    ),
    (
        EXERCISE,
        "if value is None or value is Ellipsis:",
        "if value is None:",
        HERE + "blank_answer_is_not_solved",
    ),
]
