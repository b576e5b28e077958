"""Wrong formulas in diffkit.tables.stochastic."""

HERE = "tests/test_stochastic.py::"
FILE = "tables/stochastic.py"
LOOP = HERE + "test_euler_maruyama_is_the_loop_in_beta"
HEUN = HERE + "test_stochastic_heun_is_the_loop_with_one_noise_a_step"
LAWS = HERE + "test_the_sde_of_every_noise_level_has_the_laws_of_the_path"
LAST = HERE + "test_the_step_to_noise_0_returns_the_denoiser_and_adds_none"
KARRAS = HERE + "test_churn_is_the_algorithm_as_printed"
SCALED = HERE + "test_churn_on_another_path_is_the_paper_s_scaled"
SLOPES = HERE + "test_the_numbers_have_slopes_in_the_grid"
ANNEALED = HERE + "test_langevin_at_many_times_is_annealed"
OWN = HERE + "test_langevin_tends_to_its_own_variance"
PRINTED = HERE + "test_predictor_and_corrector_are_the_algorithm_as_printed"
MEMORY = HERE + "test_a_predictor_keeps_its_memory_between_corrections"
IDLE = HERE + "test_corrections_that_do_nothing_change_nothing"
EATING = HERE + "test_a_table_may_eat_any_target"
ROWS = [
    (  # the score of the reverse SDE, without its 1/2
        FILE,
        "(h2 + k2 if ts[-1] < ts[0] else h2 - k2) / 2",
        "(h2 + k2 if ts[-1] < ts[0] else h2 - k2)",
        LOOP,
    ),
    (  # the noise without the drift that balances it
        FILE,
        "(h2 + k2 if ts[-1] < ts[0] else h2 - k2) / 2",
        "h2 / 2",
        LOOP,
    ),
    (  # the same sign in both directions
        FILE,
        "(h2 + k2 if ts[-1] < ts[0] else h2 - k2) / 2",
        "(h2 + k2) / 2",
        LAWS + "[euler_maruyama reverse-up-vp]",
    ),
    (FILE, "k2 = eta**2 * h2", "k2 = eta * h2", LOOP),
    (
        FILE,
        "S = torch.cat([_root(k2 * h.abs()), ",
        "S = torch.cat([k2 * h.abs(), ",
        LOOP,
    ),
    (FILE, "A = torch.cat([(1 + h * f)", "A = torch.cat([(1 - h * f)", LOOP),
    (  # noise in the last step
        FILE,
        "S = torch.cat([_root(k2 * h.abs()), torch.zeros_like(a[:, 0])])",
        "S = torch.cat([_root(k2 * h.abs()), torch.ones_like(a[:, 0])])",
        LAST,
    ),
    (
        FILE,
        "torch.cat([S, torch.zeros_like(a[:, 0])])",
        "torch.cat([S, torch.ones_like(a[:, 0])])",
        LAST,
    ),
    (  # Tweedie with g for g^2
        FILE,
        "c.a[1:] * c.g2[:1] / c.a[:1]",
        "c.a[1:] * c.g[:1] / c.a[:1]",
        LAST,
    ),
    (  # Euler's step of the reverse SDE to the data, in place of the denoiser
        FILE,
        "to_data = int(c.g2[1] == 0)",
        "to_data = 0",
        LAST,
    ),
    (  # fresh noise in the second stage: it then counts twice
        FILE,
        "S = torch.stack([_root(h.abs() * (k2_t + k2_s) / 2), zero], 1).flatten()",
        "S = _root(h.abs() * (k2_t + k2_s) / 2).repeat_interleave(2)",
        HEUN,
    ),
    (  # the noise of the stage is lost
        FILE,
        "[one + h / 2 * f_s, -h / 2 * f_t]",
        "[h / 2 * f_s, one + h / 2 * f_t]",
        HEUN,
    ),
    (
        FILE,
        "[-h / 2 * c_s, h / 2 * c_t]",
        "[-h / 2 * c_s, -h / 2 * c_t]",
        HEUN,
    ),
    (  # the variance rate of the start alone: order 1
        FILE,
        "_root(h.abs() * (k2_t + k2_s) / 2)",
        "_root(h.abs() * k2_t)",
        HEUN,
    ),
    (FILE, "lands[1 : 2 * len(h) : 2] = False", "lands[2:-1:2] = False", HEUN),
    (FILE, "min(churn / n, math.sqrt(2) - 1)", "churn / n", KARRAS),
    (FILE, "min(churn / n, math.sqrt(2) - 1)", "min(churn, math.sqrt(2) - 1)", KARRAS),
    (
        FILE,
        "(low <= nsr) & (nsr <= high)",
        "(low < nsr) & (nsr < high)",
        HERE + "test_churn_includes_both_ends_of_its_band",
    ),
    (FILE, "inflate * hat.g *", "hat.g *", KARRAS),
    (FILE, "gamma * (2 + gamma)", "gamma * (1 + gamma)", KARRAS),
    (FILE, "inflate * hat.g *", "inflate * c.g[:-1] *", KARRAS),
    (  # the signal is not brought along
        FILE,
        "torch.where(gamma > 0, hat.a / c.a[:-1], 1.0)",
        "torch.where(gamma > 0, hat.a / hat.a, 1.0)",
        SCALED,
    ),
    (FILE, "h, zero = ts[1:] - start,", "h, zero = ts.diff(),", KARRAS),
    (
        FILE,
        '(finite("k2", k2) >= 0)',
        '(finite("k2", k2) > 0)',
        HERE + "test_without_a_variance_rate_it_is_the_flow",
    ),
    (FILE, "[h / 2, h / 2]", "[h, zero]", KARRAS),
    (
        "paths/path.py",
        "slope = (c.gdg / c.g - c.g * c.da / c.a) / c.a",
        "slope = (c.gdg / c.g + c.g * c.da / c.a) / c.a",
        SLOPES,
    ),
    (FILE, "2 * snr * c.g,", "2 * snr**2 * c.g2,", ANNEALED),
    (FILE, "2 * snr * c.g,", "2**0.5 * snr * c.g,", OWN),
    (FILE, "(2 * snr**2 * c.g2)", "(snr**2 * c.g2)", OWN),
    (FILE, "stands.append(len(now) - 1)", "stands.append(n + 1)", MEMORY),
    (FILE, "in reversed(stands)]", "in stands]", MEMORY),
    (  # the predicted state is kept, not the corrected one
        FILE,
        "        lands[-1] = bool(table.lands[n + 1])\n",
        "        lands[-1 - len(fixes.get(t.item(), []))] = bool(table.lands[n + 1])\n",
        PRINTED,
    ),
    (
        FILE,
        "for m in fixes.get(t.item(), []) if table.lands[n + 1] else []:",
        "for m in fixes.get(t.item(), []):",
        IDLE,
    ),
    (
        "tables/table.py",
        "det = c.a * v - c.g * u ",
        "det = c.a * v + c.g * u ",
        EATING,
    ),
    (
        "tables/table.py",
        "A[:, :j] += table.B * alpha",
        "A[:, :1] += table.B[:, :1] * alpha[:, :1]",
        EATING,
    ),
    ("tables/table.py", "w[asked], 0.0)", "w[n[:m, None] + 0 * asked], 0.0)", EATING),
]
