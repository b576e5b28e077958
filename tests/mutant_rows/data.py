"""Wrong formulas in diffkit.data."""

HERE = "tests/test_data.py::"
SPIRAL = HERE + "test_spiral_turns_with_its_radius_and_fills_rings_evenly"
ROWS = [
    (
        "data.py",
        "dtype=torch.float64) / 8 - 1",
        "dtype=torch.float64) / 16",
        HERE + "test_digits_are_the_images_in_order_between_paper_and_ink",
    ),
    (
        "data.py",
        "[0.299, 0.587, 0.114]",
        "[0.114, 0.587, 0.299]",
        HERE + "test_patches_are_pillows_grey_cut_by_hand",
    ),
    (
        "data.py",
        "grey.unfold(0, 16, stride).unfold(1, 16, stride)",
        "grey.unfold(1, 16, stride).unfold(0, 16, stride)",
        HERE + "test_patches_are_pillows_grey_cut_by_hand",
    ),
    (
        "data.py",
        "if (i + j) % 2 == 0]",
        "if (i + j) % 2 == 1 or cells == 1]",
        HERE + "test_checkerboard_is_uniform_on_the_black_squares",
    ),
    (
        "data.py",
        "0.5 - s.sin()",
        "s.sin() - 0.5",
        HERE + "test_moons_are_two_half_circles_walked_evenly",
    ),
    ("data.py", ".squeeze(-1).sqrt()", ".squeeze(-1)", SPIRAL),
    ("data.py", "device=rng.device).to(r)", "device=rng.device)", SPIRAL),
    (
        "data.py",
        "S * (1 + 2 * u[:, 0]) / 3",
        "S * (1 + 2 * u[:, 0].sqrt()) / 3",
        HERE + "test_swiss_roll_unrolls_to_its_parameters",
    ),
    (
        "data.py",
        "z = _normal(_count(n), d, rng)",
        "z = 2 * _uniform(n, d, rng) - 1",
        HERE + "test_sphere_is_round_and_isotropic",
    ),
    (
        "data.py",
        "return x + noise * _normal(*x.shape, rng)",
        "return x + noise**2 * _normal(*x.shape, rng)",
        HERE + "test_noise_is_isotropic_and_comes_on_top",
    ),
]
