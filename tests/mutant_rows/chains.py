"""Wrong formulas in diffkit.chains."""

HERE = "tests/test_chains.py::"
GAIN = HERE + "test_gain_is_what_solve_does_to_a_mode"
MOMENTS = HERE + "test_moments_are_those_of_the_forward_block_matrix"
RUNS = HERE + "test_responses_are_runs_on_a_perturbed_field"
FLOW = HERE + "test_the_response_of_the_flow_is_that_of_a_perturbed_flow"
COSINES = HERE + "test_ddim_loses_cosines_upwards_too_and_neither_none_nor_sines"
TURN = HERE + "test_fields_that_turn_are_read_the_right_way_round"
SPREAD = HERE + "test_the_best_grid_of_a_random_table_counts_its_noise"
ROWS = [
    (
        "chains/modes.py",
        "(c.a.to(lam) ** 2 * lam + c.g2.to(lam)).sqrt()",
        "c.a.to(lam) * lam.sqrt() + c.g.to(lam)",
        HERE + "test_carry_is_the_product_of_dense_roots",
    ),
    (
        "chains/modes.py",
        "return spread(path, lam, s) / start",
        "return start / spread(path, lam, s)",
        HERE + "test_carry_is_where_the_velocity_leads",
    ),
    (
        "chains/modes.py",
        "factor = a * lam / (",
        "factor = lam / (",
        HERE + "test_endpoint_is_the_denoiser_on_the_carried_point",
    ),
    (
        "chains/modes.py",
        "c.a.to(lam) * lam.sqrt())",
        "c.a.to(lam) * lam)",
        HERE + "test_angle_splits_the_variance_into_signal_and_noise",
    ),
    (
        "chains/modes.py",
        "theta.where(lam > 0, math.pi / 2)",
        "theta",
        HERE + "test_angle_of_white_data_is_the_clock_and_of_no_data_a_quarter_turn",
    ),
    (
        "chains/modes.py",
        "trailing(path.at(s).a.to(x), x) * law.means[0] + off",
        "trailing(path.at(t).a.to(x), x) * law.means[0] + off",
        HERE + "test_carry_is_the_product_of_dense_roots",
    ),
    (
        "chains/modes.py",
        "rows = x.shape[:-1] + (1,) * lam.ndim",
        "rows = (1,) * lam.ndim + x.shape[:-1]",
        HERE + "test_one_time_per_point_is_the_points_one_by_one",
    ),
    (  # the history of the states read forwards
        "chains/sweep.py",
        "A[n + i, i] * P[i]",
        "A[n, i] * P[i]",
        GAIN,
    ),
    (  # the history of the field read forwards
        "chains/sweep.py",
        "B[n + j, j] * P[j]",
        "B[n, j] * P[j]",
        GAIN,
    ),
    (  # the factor on the wrong side
        "chains/sweep.py",
        "times(r, J[n])",
        "times(J[n], r)",
        HERE + "test_responses_are_the_derivative_by_autograd_of_random_runs_too",
    ),
    (  # one age too few
        "chains/sweep.py",
        "range(min(m - n, B.shape[1]))",
        "range(min(m - n, B.shape[1] - 1))",
        HERE + "test_one_sampler_in_three_targets_has_one_gain",
    ),
    (
        "chains/gains.py",
        '"denoise": c.a * lam,',
        '"denoise": lam,',
        HERE + "test_rates_are_those_of_the_world",
    ),
    (
        "chains/gains.py",
        '"noise": c.g,',
        '"noise": c.g2,',
        HERE + "test_rates_are_those_of_the_world",
    ),
    (
        "chains/gains.py",
        "c.a * c.da * lam + c.gdg",
        "c.a * c.da * lam + 2 * c.gdg",
        HERE + "test_rates_are_those_of_the_world",
    ),
    (
        "chains/gains.py",
        "c.a * c.g * (1 - lam)",
        "c.a * c.g * (1 + lam)",
        HERE + "test_rates_are_those_of_the_world",
    ),
    (  # the noise of a row carried on as if it were the state before
        "chains/gains.py",
        "zip(S, P[1:], strict=True)",
        "zip(S, P[:-1], strict=True)",
        HERE + "test_variances_are_the_moments_of_a_diagonal_law",
    ),
    (
        "chains/gains.py",
        "s**2 * p**2",
        "s * p**2",
        HERE + "test_variances_are_the_moments_of_a_diagonal_law",
    ),
    (
        "chains/gains.py",
        "P[0] ** 2 * start",
        "P[0] * start",
        HERE + "test_variances_are_the_moments_of_a_diagonal_law",
    ),
    (
        "chains/gains.py",
        "_swept(table, path, lam)[1])",
        "_swept(table, path, lam)[0][:-1])",
        RUNS,
    ),
    (
        "chains/gains.py",
        '"denoise": -w / c.g2,',
        '"denoise": w / c.g2,',
        FLOW,
    ),
    (
        "chains/gains.py",
        '"score": -w / c.a,',
        '"score": -w,',
        FLOW,
    ),
    (
        "chains/gains.py",
        "w = c.a * c.gdg - c.g2 * c.da",
        "w = c.a * c.gdg + c.g2 * c.da",
        FLOW,
    ),
    (
        "chains/gains.py",
        "flow_factor(path, lam, t, s) * entries",
        "flow_factor(path, lam, s, t) * entries",
        HERE + "test_each_response_per_step_tends_to_that_of_the_flow",
    ),
    (
        "chains/linear.py",
        "K = (y[1 : d + 1] - k).mT",
        "K = y[1 : d + 1] - k",
        TURN,
    ),
    (
        "chains/linear.py",
        "R[n] @ k for n, k",
        "P[n] @ k for n, k",
        MOMENTS,
    ),
    (  # noise that only the last row adds
        "chains/linear.py",
        "root = torch.cat([s * p for s, p in zip(S, P[1:], strict=True) if s], -1)",
        "root = S[-1] * one",
        MOMENTS,
    ),
    (  # a field that bends is taken as affine
        "chains/linear.py",
        "if not (off <= ",
        "if (off < -",
        HERE + "test_refuses",
    ),
    (
        "chains/linear.py",
        "J.movedim(0, -2)",
        "J.movedim(0, -1)",
        TURN,
    ),
    (
        "chains/angles.py",
        "c.a[:-1] * c.a[1:] * lam + c.g[:-1] * c.g[1:]",
        "c.a[:-1] * c.a[1:] * lam - c.g[:-1] * c.g[1:]",
        COSINES,
    ),
    (
        "chains/angles.py",
        "still = (lam == 0)",
        "still = (lam < 0)",
        HERE + "test_without_variance_ddim_is_exact",
    ),
    (
        "chains/angles.py",
        "((ratio + 1 / ratio) / 2)",
        "((1 + 1 / ratio) / 2)",
        HERE + "test_a_frozen_score_adds_the_product_of_hyperbolic_cosines",
    ),
    (
        "chains/angles.py",
        "(c.a[:-1] / c.a[1:])",
        "(c.a[1:] / c.a[:-1])",
        HERE + "test_a_frozen_score_adds_the_product_of_hyperbolic_cosines",
    ),
    (
        "chains/angles.py",
        "(turn / n).cos() ** n",
        "turn.cos() ** (1 / n)",
        HERE + "test_the_best_of_a_whole_quarter_turn_is_as_known",
    ),
    (
        "chains/optima.py",
        "end = gain(table, path, lam) * first",
        "end = gain(table, path, lam)",
        HERE + "test_weights_choose_between_absolute_and_relative_errors",
    ),
    (
        "chains/optima.py",
        "end = variances(table, path, lam, first**2).sqrt()",
        "end = gain(table, path, lam) * first",
        SPREAD,
    ),
    (  # relative and absolute exchanged
        "chains/optima.py",
        "return ((end - last) ** 2).sum()",
        "return ((end / last - 1) ** 2).sum()",
        HERE + "test_weights_choose_between_absolute_and_relative_errors",
    ),
    (  # the search is not made
        "chains/optima.py",
        "if n > 1 and error.size > 0:",
        "if n > 99 and error.size > 0:",
        HERE + "test_the_best_grid_of_a_frozen_score_is_equal_in_log_psi",
    ),
    (  # half a gradient is not noticed
        "chains/optima.py",
        "<= 0.01 * steep",
        "<= 100 * steep",
        HERE + "test_refuses",
    ),
]
