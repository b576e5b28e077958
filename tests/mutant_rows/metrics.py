"""Wrong formulas in diffkit.metrics."""

HERE = "tests/test_metrics.py::"
ROWS = [
    (
        "metrics/gaussians.py",
        "U = left @ right  #",
        "U = torch.eye(p.d).to(R)  #",
        HERE + "test_w2_is_the_bures_formula_by_scipy",
    ),
    (
        "metrics/gaussians.py",
        "(S @ R).detach()",
        "(R @ S).detach()",
        HERE + "test_w2_is_the_cost_of_the_optimal_map",
    ),
    (
        "metrics/gaussians.py",
        "pairs = r.unsqueeze(1) + r",
        "pairs = 2 * r.unsqueeze(1) + 0 * r",
        HERE
        + "test_w2_has_the_gradient_of_the_optimal_map_even_where_eigenvalues_repeat",
    ),
    (
        "metrics/gaussians.py",
        "C.logdet() - 2 * L.diagonal().log().sum()",
        "C.logdet() - L.diagonal().log().sum()",
        HERE + "test_kl_is_that_of_torch_and_has_a_direction",
    ),
    (
        "metrics/gaussians.py",
        "solve_triangular(L, C - E, upper=False)",
        "solve_triangular(L, E - C, upper=False)",
        HERE + "test_kl_is_that_of_torch_and_has_a_direction",
    ),
    (
        "metrics/gaussians.py",
        "near = e.abs().amax() < 0.5",
        "near = e.abs().amax() < 0",
        HERE + "test_kl_of_nearly_equal_laws_keeps_its_digits_and_is_never_negative",
    ),
    (
        "metrics/shares.py",
        "keepdim=True)) ** 2\n    total",
        "keepdim=True))\n    total",
        HERE + "test_principal_shares_are_the_eigenvalues_of_numpys_covariance",
    ),
    (
        "metrics/shares.py",
        "off = ((want - want.mean(-2, keepdim=True)) ** 2)",
        "off = (want**2)",
        HERE + "test_unexplained_is_one_minus_r2_of_scikit_learn",
    ),
    (
        "metrics/line.py",
        "for left in (False, True)]\n    top",
        "for left in (False, False)]\n    top",
        HERE + "test_samples_on_the_line_have_the_distances_of_scipy",
    ),
    (
        "metrics/line.py",
        "torch.cat([-whole, inner, whole])",
        "torch.cat([whole, inner, whole])",
        HERE + "test_total_variation_is_the_quadrature_of_scipy",
    ),
    (
        "metrics/line.py",
        "atoms = torch.cat([a.loga.exp(), -b.loga.exp()])",
        "atoms = torch.cat([a.loga.exp(), b.loga.exp()])",
        HERE + "test_total_variation_is_the_quadrature_of_scipy",
    ),
    (
        "metrics/line.py",
        "return (w * off(y).abs()).sum()",
        "return (w * off(y)).sum().abs()",
        HERE + "test_w1_is_the_area_between_distribution_functions_by_scipy",
    ),
    (
        "metrics/line.py",
        "gap = quantile(p, u, upper) - quantile(q, u, upper)",
        "gap = quantile(p, u, upper) - quantile(q, u)",
        HERE + "test_w2_of_gaussians_and_of_samples_is_the_closed_form",
    ),
    (
        "metrics/line.py",
        "narrow = torch.cat([s.where(near, wide), wide], 1).amin(1)",
        "narrow = torch.cat([s.where(near, 0 * wide), wide * 0 + s.amax()], 1).amax(1)",
        HERE + "test_a_thin_crossing_is_not_missed",
    ),
    (
        "metrics/quadrature.py",
        "z @ R.mT)",
        "z @ (R @ R).mT)",
        HERE + "test_kl_of_gaussians_by_quadrature_is_the_closed_form",
    ),
    (
        "metrics/quadrature.py",
        "(h / math.sqrt(2 * math.pi)) ** d",
        "(h / math.sqrt(2 * math.pi))",
        HERE + "test_kl_of_gaussians_by_quadrature_is_the_closed_form",
    ),
    (
        "metrics/quadrature.py",
        "lambda x: p.log_prob(x) - q.log_prob(x), ANALYTIC",
        "lambda x: q.log_prob(x) - p.log_prob(x), ANALYTIC",
        HERE + "test_kl_on_the_line_is_the_sum_on_a_dense_grid_by_scipy",
    ),
    (
        "metrics/kernels.py",
        "torch.exp(-(r**2) / (2 * c**2))",
        "torch.exp(-(r**2) / c**2)",
        HERE + "test_mmd_and_energy_are_sums_over_pairs",
    ),
    (
        "metrics/kernels.py",
        "(rows - self_pair) / m",
        "rows / m",
        HERE + "test_mmd_and_energy_are_sums_over_pairs",
    ),
    (
        "metrics/kernels.py",
        "logs = -((u**2).sum((-2, -1)) / 2) - L",
        "logs = -((u**2).sum((-2, -1)) / 2) - 2 * L",
        HERE + "test_exact_mmd_is_the_integral_of_both_densities",
    ),
    (
        "metrics/samples.py",
        "off**2 / n - C**2)",
        "off**2 / n)",
        HERE + "test_moment_scores_are_the_t_statistics_of_scipy",
    ),
    (
        "metrics/samples.py",
        "parts.append(share @ (u[i] - v[j]) ** 2)",
        "parts.append(share @ (u[i] - v[j]).abs())",
        HERE + "test_sliced_w2_is_the_mean_of_assignments",
    ),
    (
        "metrics/samples.py",
        "i, j = (torch.searchsorted(s, ends) for s in steps)",
        "j, i = (torch.searchsorted(s, ends).clamp_max(3) for s in steps)",
        HERE + "test_sliced_w2_is_the_mean_of_assignments",
    ),
    (
        "shapes.py",
        "(x.var(0) / len(x)).sqrt()",
        "x.var(0) / len(x)",
        HERE + "test_an_estimate_counts_its_errors",
    ),
]
