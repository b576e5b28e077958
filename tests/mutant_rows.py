"""Wrong formulas, each planted alone, and the test that must then fail.

(module, text that occurs once, text in its place, test)
"""

L, P, W = "tests/test_laws.py::", "tests/test_paths.py::", "tests/test_worlds.py::"
F, T, S = "tests/test_fields.py::", "tests/test_tables.py::", "tests/test_solvers.py::"
C, M, H = "tests/test_chains.py::", "tests/test_metrics.py::", "tests/test_shapes.py::"

ROWS = [
    # --- shapes
    (
        "shapes.py",
        "t.shape + (1,) * (like.ndim - t.ndim)",
        "(1,) * (like.ndim - t.ndim) + t.shape",
        H + "test_trailing_multiplies_rows_even_where_n_equals_d",
    ),
    # --- laws
    (
        "laws.py",
        "return -self.expect(",
        "return self.expect(",
        L + "test_score_is_the_gradient_of_torch_distributions",
    ),
    (
        "laws.py",
        "(maha + logdet + self.d * LOG_2PI) / 2",
        "maha / 2 - logdet - self.d * LOG_2PI / 2",
        L + "test_log_prob_is_that_of_torch_distributions",
    ),
    (
        "laws.py",
        "(self.d - r) * self.floor.log()",
        "r * self.floor.log()",
        L + "test_log_prob_is_that_of_torch_distributions",
    ),
    (
        "laws.py",
        "maha = maha + (rest**2).sum(-1) / self.floor",
        "pass",
        L + "test_log_prob_is_that_of_torch_distributions",
    ),
    (
        "laws.py",
        "return 2 * (rows * u - grad @ v)",
        "return 1 * (rows * u - grad @ v)",
        L + "test_log_prob_may_be_differentiated_twice",
    ),
    (
        "laws.py",
        "return within + between",
        "return within",
        L + "test_mean_and_cov_are_raw_moments",
    ),
    (
        "laws.py",
        "lift = self.spectrum - self.floor.unsqueeze(-1)",
        "lift = self.spectrum",
        L + "test_low_rank_storage_is_the_span_plus_a_floor_off_it",
    ),
    (
        "laws.py",
        "self.means @ A.mT + c, basis",
        "self.means @ A.mT - c, basis",
        L + "test_a_matrix_pushes_as_dense_algebra_says",
    ),
    (
        "laws.py",
        "torch.linalg.svd(A @ root",
        "torch.linalg.svd(A @ root @ root",
        L + "test_a_matrix_pushes_as_dense_algebra_says",
    ),
    (
        "laws.py",
        "spectrum=(a**2).unsqueeze(-1) * self.spectrum",
        "spectrum=a.abs().unsqueeze(-1) * self.spectrum",
        L + "test_a_number_pushes_as_its_matrix",
    ),
    (
        "laws.py",
        "floor=self.floor + v",
        "floor=self.floor",
        L + "test_blur_adds_the_variance",
    ),
    (
        "laws.py",
        "on, off = v2 * on, v1 * off",
        "on = self.spectrum - a2**2 * on * self.spectrum\n"
        "        off = self.floor - a1**2 * off * self.floor",
        L + "test_given_loses_no_digits",
    ),
    (
        "laws.py",
        "shift = seen.apply(y.unsqueeze(-2) - seen.means, a2 * on, a1 * off)",
        "shift = seen.apply(y.unsqueeze(-2) - seen.means, on, off)",
        L + "test_given_is_dense_conditioning",
    ),
    (
        "laws.py",
        "            seen._log_joint(y),",
        "            self.logw.expand(*rows, self.k),",
        L + "test_given_is_dense_conditioning",
    ),
    (
        "laws.py",
        "        return torch.as_tensor(value, **like)",
        "        return torch.as_tensor(value).to(self.means)",
        L + "test_given_loses_no_digits",
    ),
    (
        "laws.py",
        "roots = self.spectrum.sqrt(), self.floor.sqrt()",
        "roots = self.spectrum, self.floor",
        L + "test_samples_have_the_mean_and_the_covariance",
    ),
    (
        "laws.py",
        "noise = self.apply(wide, self.spectrum.sqrt(), self.floor.sqrt())",
        "noise = self.apply(wide, self.spectrum, self.floor)",
        L + "test_samples_have_the_mean_and_the_covariance",
    ),
    (
        "laws.py",
        "w = self.logw.exp().expand(*size, self.k).reshape(-1, self.k)",
        "w = torch.ones_like(self.logw).expand(*size, self.k).reshape(-1, self.k)",
        L + "test_samples_come_from_components_in_the_ratio_of_the_weights",
    ),
    (
        "laws.py",
        "k = k.mT.reshape(n, *size)",
        "k = k.reshape(n, *size)",
        L + "test_samples_of_a_batch_have_their_own_moments_and_are_independent",
    ),
    (
        "laws.py",
        'c = torch.einsum("kdr,...kd->...kr", self.basis, v)',
        'c = torch.einsum("krd,...kd->...kr", self.basis, v)',
        L + "test_samples_have_the_mean_and_the_covariance",
    ),
    (
        "laws.py",
        "return span + off.unsqueeze(-1) * (v - back)",
        "return span + off.unsqueeze(-1) * v",
        L + "test_score_is_the_gradient_of_torch_distributions",
    ),
    (
        "laws.py",
        "off.mT @ off / len(x)",
        "off.mT @ off / (len(x) - 1)",
        L + "test_fit_gaussian_is_numpys_covariance_with_divisor_n",
    ),
    (
        "laws.py",
        "top = cov.abs().amax((-2, -1), keepdim=True)",
        "top = cov.abs().amax()",
        L + "test_refuses",
    ),
    # --- paths
    (
        "paths.py",
        "optimize(e, [expm1_opt]).replace",
        "e.replace",
        P + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "g2.diff(t) / 2)",
        "g2.diff(t))",
        P + "test_slopes_are_differences",
    ),
    (
        "paths.py",
        "area = low * t + (high - low) * t**2 / 2",
        "area = low * t + (high - low) * t**2",
        P + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "grown = sympy.exp(2 * t *",
        "grown = sympy.exp(t *",
        P + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "return -2 * self.nsr(time).log()",
        "return -self.nsr(time).log()",
        P + "test_coefficients_are_the_papers_to_every_digit",
    ),
    (
        "paths.py",
        "for _ in range(80):",
        "for _ in range(30):",
        P + "test_when_inverts_nsr",
    ),
    (
        "paths.py",
        "torch.as_tensor(v, **like).expand_as(time)",
        "torch.as_tensor(v).to(time).expand_as(time)",
        P + "test_constants_have_all_their_digits_and_the_shape_of_time",
    ),
    # --- worlds
    (
        "worlds.py",
        "return self.joint.scale(c.a).blur(c.g2)\n\n    def log_prob",
        "return self.joint.scale(c.a).blur(c.g)\n\n    def log_prob",
        W + "test_draws_are_of_the_law_and_of_the_posterior",
    ),
    (
        "worlds.py",
        "law = self.joint.scale(c.a).blur(c.g2)",
        "law = self.joint.scale(c.a).blur(c.g)",
        W + "test_log_prob_and_score_are_those_of_the_dense_law",
    ),
    (
        "worlds.py",
        "c.da, c.a * c.da, c.gdg)",
        "c.da, c.a * c.da, 2 * c.gdg)",
        W + "test_velocity_solves_the_continuity_equation",
    ),
    (
        "worlds.py",
        "c.da, c.a * c.da, c.gdg)",
        "c.da, c.da, c.gdg)",
        W + "test_velocity_solves_the_continuity_equation",
    ),
    (
        "worlds.py",
        "torch.ones_like(c.a), c.a, torch.zeros_like(c.a)",
        "c.a, c.a, torch.zeros_like(c.a)",
        W + "test_fields_are_posterior_means_by_quadrature",
    ),
    (
        "worlds.py",
        "return -trailing(c.g, x) * law.score(x)",
        "return -trailing(c.g2, x) * law.score(x)",
        W + "test_fields_are_posterior_means_by_quadrature",
    ),
    (
        "worlds.py",
        "return self.joint.given(c.a, x, c.g2)",
        "return self.joint.given(c.a, x, c.g)",
        W + "test_posterior_has_the_moments_that_the_denoiser_gives",
    ),
    (
        "worlds.py",
        "trailing(c.a, x0) * x0 + trailing(c.g, x0) * z",
        "trailing(c.a, x0) * x0 + trailing(c.g2, x0) * z",
        W + "test_draws_are_of_the_law_and_of_the_posterior",
    ),
    # --- fields
    (
        "fields.py",
        '"score": (zero, -1 / c.g)',
        '"score": (zero, -1 / c.g2)',
        F + "test_any_target_gives_any_other",
    ),
    (
        "fields.py",
        '"v": (-c.g, c.a)',
        '"v": (c.g, c.a)',
        F + "test_any_target_gives_any_other",
    ),
    (
        "fields.py",
        "det = c.a * q - c.g * p",
        "det = c.a * q + c.g * p",
        F + "test_any_target_gives_any_other",
    ),
    (
        "fields.py",
        "total.movedim(0, 1).reshape",
        "total.permute(1, 2, 0).reshape",
        F + "test_jacobian_is_row_by_row_what_torch_finds_point_by_point",
    ),
    (
        "fields.py",
        'if {have, want} == {"noise", "score"}:',
        "if False:",
        F + "test_where_no_signal_is_left_what_is_determined_is_given",
    ),
    # --- tables
    (
        "tables.py",
        '"1/6 1/3 1/3 1/6"',
        '"1/8 3/8 3/8 1/8"',
        T + "test_runge_kutta_meets_its_order_conditions_and_no_more",
    ),
    (
        "tables.py",
        'return _stages(ts, "1", "1/2 1/2")',
        'return _stages(ts, "1", "1 0")',
        T + "test_runge_kutta_meets_its_order_conditions_and_no_more",
    ),
    (
        "tables.py",
        "S = g_s * eta * (1 - rest).sqrt()",
        "S = g_s * eta * (1 - rest)",
        T + "test_ancestral_steps_are_the_bridge_by_dense_conditioning",
    ),
    (
        "tables.py",
        "k = g_s * (1 - eta**2 * (1 - rest)).sqrt()",
        "k = g_s * (1 - eta * (1 - rest)).sqrt()",
        T + "test_every_eta_keeps_the_noise_level_of_the_path",
    ),
    (
        "tables.py",
        "(a_s - a_t * k / g_t).unsqueeze(1)",
        "(a_s - k / g_t).unsqueeze(1)",
        T + "test_ddim_is_euler_in_the_noise_to_signal_ratio",
    ),
    (
        "tables.py",
        "past.insert(0, field(x, self.ts[n]))",
        "past.append(field(x, self.ts[n]))",
        S + "test_a_table_remembers_its_evaluations_newest_first",
    ),
    (
        "tables.py",
        "t + float(c) * h)",
        "t)",
        S + "test_runge_kutta_converges_with_its_order_and_no_other",
    ),
    (
        "tables.py",
        "y = y + h * float(a) * f if a else y",
        "y = y + h * float(c) * f / len(row) if a else y",
        S + "test_runge_kutta_converges_with_its_order_and_no_other",
    ),
    (
        "tables.py",
        "new + self.S[n] * z",
        "new + self.S[n] ** 2 * z",
        S + "test_random_sampling_ends_in_the_law_of_the_linear_recursion",
    ),
    # --- solvers
    (
        "solvers.py",
        "torch.cat([u, div.unsqueeze(-1)], -1)",
        "torch.cat([u, -div.unsqueeze(-1)], -1)",
        S + "test_densities_agree_along_the_flow",
    ),
    (
        "solvers.py",
        "divergence(velocity, spot, t)",
        "divergence(velocity, spot, t) / 2",
        S + "test_logdet_is_that_of_the_jacobian_of_the_exact_flow",
    ),
    (
        "solvers.py",
        "    trail = [x]",
        "    trail = []",
        S + "test_the_trail_is_every_state",
    ),
    # --- chains
    (
        "chains.py",
        "(c.a.to(lam) ** 2 * lam + c.g2.to(lam)).sqrt()",
        "c.a.to(lam) * lam.sqrt() + c.g.to(lam)",
        C + "test_carry_is_the_product_of_dense_roots",
    ),
    (
        "chains.py",
        "return spread(path, lam, s) / start",
        "return start / spread(path, lam, s)",
        C + "test_carry_is_where_the_velocity_leads",
    ),
    (
        "chains.py",
        "factor = a * lam / (",
        "factor = lam / (",
        C + "test_endpoint_is_the_denoiser_on_the_carried_point",
    ),
    (
        "chains.py",
        "c.a.to(lam) * lam.sqrt())",
        "c.a.to(lam) * lam)",
        C + "test_angle_splits_the_variance_into_signal_and_noise",
    ),
    (
        "chains.py",
        "trailing(path.at(s).a.to(x), x) * law.means[0] + off",
        "trailing(path.at(t).a.to(x), x) * law.means[0] + off",
        C + "test_carry_is_the_product_of_dense_roots",
    ),
    (
        "chains.py",
        "rows = x.shape[:-1] + (1,) * lam.ndim",
        "rows = (1,) * lam.ndim + x.shape[:-1]",
        C + "test_one_time_per_point_is_the_points_one_by_one",
    ),
    # --- metrics
    (
        "metrics.py",
        "C.trace() + E.trace() - 2 * cross",
        "C.trace() + E.trace() - cross",
        M + "test_w2_is_the_bures_formula_by_scipy",
    ),
    (
        "metrics.py",
        "(root @ E @ root).clamp_min(0).sqrt().sum()",
        "(root @ E @ root).clamp_min(0).sum()",
        M + "test_w2_is_the_cost_of_the_optimal_map",
    ),
    (
        "metrics.py",
        "E.logdet() - C.logdet() + maha",
        "C.logdet() - E.logdet() + maha",
        M + "test_kl_is_that_of_torch_and_has_a_direction",
    ),
    (
        "metrics.py",
        "trace - p.d + ",
        "trace + ",
        M + "test_kl_is_that_of_torch_and_has_a_direction",
    ),
    (
        "metrics.py",
        "keepdim=True)) ** 2\n    total",
        "keepdim=True))\n    total",
        M + "test_principal_shares_are_the_eigenvalues_of_numpys_covariance",
    ),
    (
        "metrics.py",
        "off = ((want - want.mean(-2, keepdim=True)) ** 2)",
        "off = (want**2)",
        M + "test_unexplained_is_one_minus_r2_of_scikit_learn",
    ),
    # --- data, figures
    (
        "data.py",
        "dtype=torch.float64) / 8 - 1",
        "dtype=torch.float64) / 16",
        "tests/test_data.py::test_digits_are_the_images_in_order_between_paper_and_ink",
    ),
    (
        "figures.py",
        "image.reshape(side, side).numpy()",
        "image.reshape(side, side).T.numpy()",
        "tests/test_figures.py::"
        "test_a_strip_shows_every_image_upright_under_its_labels",
    ),
]
