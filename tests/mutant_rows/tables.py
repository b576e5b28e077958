"""Wrong formulas in diffkit.tables: the one form, and its grids."""

HERE = "tests/test_tables.py::test_"
TABLE, GRIDS = "tables/table.py", "tables/grids.py"
SUM, EQUAL = "a_table_is_the_sum_it_says", "steps_are_equal_in_what_the_name_says"
ROWS = [
    (
        TABLE,
        "past.insert(0, field(states[0], row.t)",
        "past.insert(0, field(states[-1], row.t)",
        HERE + SUM,
    ),
    (TABLE, "b * past[j] if", "b * past[0] if", HERE + SUM),
    (TABLE, "row.noise * z if", "z if", HERE + SUM),
    (TABLE, "torch.add(new, past[j], alpha=b)", "torch.add(new, past[j])", HERE + SUM),
    (TABLE, "torch.add(new, states[i], alpha=a)", "new + states[i]", HERE + SUM),
    (TABLE, "alpha=row.noise)", "alpha=row.noise**2)", HERE + SUM),
    (
        TABLE,
        "del states[self.A.shape[1] :], past[self.B.shape[1] :]",
        "del states[self.A.shape[1] :], past[self.A.shape[1] :]",
        HERE + SUM,
    ),
    (
        TABLE,
        "asked = {n - j for",
        "asked = {n for",
        HERE + "the_field_is_asked_only_where_it_is_used",
    ),
    (
        TABLE,
        "weights.triu(1).any()",
        "weights.triu(2).any()",
        HERE + "refuses",
    ),
    (
        GRIDS,
        "uniform(math.log(high), math.log(low), n).exp()",
        "uniform(high, low, n)",
        HERE + EQUAL,
    ),
    (GRIDS, "low ** (1 / rho), n) ** rho", "low ** (1 / rho), n) ** 7.5", HERE + EQUAL),
    (GRIDS, "sd = math.sqrt(lam)", "sd = lam", HERE + EQUAL),
    (
        GRIDS,
        "uniform(math.atan(high / sd), math.atan(low / sd), n)",
        "uniform(math.atan(high), math.atan(low), n)",
        HERE + EQUAL,
    ),
    (
        GRIDS,
        "torch.linspace(start, end, n + 1, dtype=torch.float64)",
        "torch.linspace(start, end, n + 2, dtype=torch.float64)[:-1]",
        HERE + "uniform_steps_are_equal_and_the_ends_are_exact",
    ),
    (
        GRIDS,
        "torch.cat([ts, ts.new_zeros(1)])",
        "torch.cat([ts[:-1], ts.new_zeros(1)])",
        HERE + "to_data_adds_the_last_step",
    ),
]
