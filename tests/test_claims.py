"""Claims: what is well posed, what holds, what a wrong answer is told."""

import math
import re

import pytest
import sympy
import torch

from diffkit.claims import (
    Claim,
    ClaimError,
    ClaimFails,
    Verdict,
    attempt,
    check,
    judge,
    scaled,
)

X = torch.linspace(0.1, 1.0, 7, dtype=torch.float64)
S = sympy.Symbol("s", positive=True)
EXACT = {
    "id": "test/square",
    "says": "The square of $x$ is $x x$.",
    "papers": ("048",),
    "kind": "exact",
    "formula": lambda x: x * x,
    "truth": lambda x: torch.exp(2 * torch.log(x)),
    "at": X,
    "tol": 1e-12,
    "because": "rounding of an exponential",
    "controls": {"the cube": lambda x: x**3},
}
SYMBOLIC = {
    "id": "test/binomial",
    "says": "$(1 + s)^2$ is expanded.",
    "papers": ("048",),
    "kind": "symbolic",
    "formula": 1 + 2 * S + S**2,
    "truth": (1 + S) ** 2,
    "controls": {"no cross term": 1 + S**2},
}


def estimate(mean, rng):
    """z-score of a sample mean of N(1, 1) against ``mean``."""
    z = 1 + torch.randn(20_000, generator=rng, dtype=torch.float64)
    return (z.mean() - mean) / (z.std() / len(z) ** 0.5)


STATISTICAL = {
    "id": "test/mean",
    "says": "The mean is $1$.",
    "papers": ("048",),
    "kind": "statistical",
    "formula": 1.0,
    "measure": estimate,
    "seeds": (3, 4),
    "n": 20_000,
    "controls": {"half": 0.5},
    "scale": lambda mean, e: mean * (1 + 200 * e),
}


def excess(slope, seeds):
    """What a fitted slope loses against the best, 2, for each seed."""
    noise = torch.tensor([0.01 * math.sin(seed) for seed in seeds])
    return (slope - 2) ** 2 + noise.abs()


TRAINED = {
    "id": "test/slope",
    "says": "The slope is $2$.",
    "papers": ("048",),
    "kind": "trained",
    "formula": 2.0,
    "measure": excess,
    "seeds": (0, 1, 2, 3, 4),
    "n": 100,
    "tol": 0.02,
    "because": "twice the noise of the fit",
    "controls": {"one": 1.0},
    "scale": lambda slope, e: slope + 1000 * e,
}
KINDS = [EXACT, SYMBOLIC, STATISTICAL, TRAINED]
by_kind = pytest.mark.parametrize("given", KINDS, ids=lambda given: given["kind"])


def claim(given=EXACT, **changed):
    return Claim(**{**given, **changed})


def exercise(**changed):
    return claim(formula=None, **changed)


# ------------------------------------------------------------ well posed

BAD = {
    "the id must read part/name": (EXACT, {"id": "Square"}),
    "id must be text, not int": (EXACT, {"id": 7}),
    "says must be text, not NoneType": (EXACT, {"says": None}),
    "it says nothing": (EXACT, {"says": "  "}),
    "kind 'guessed' is unknown; the kinds are": (EXACT, {"kind": "guessed"}),
    "papers must be a tuple such as": (EXACT, {"papers": "048"}),
    "it names no paper": (EXACT, {"papers": ()}),
    "must be atlas numbers": (EXACT, {"papers": ("48",)}),
    "papers (48,) must be atlas numbers": (EXACT, {"papers": (48,)}),
    "it has no control": (EXACT, {"controls": {}}),
    "controls must be a mapping": (EXACT, {"controls": [X]}),
    "give either truth (with at) or measure": (EXACT, {"truth": None}),
    "either truth (with at) or measure": (EXACT, {"measure": lambda f: 0.0}),
    "a statistical claim needs measure": (
        STATISTICAL,
        {"measure": None, "truth": 1.0},
    ),
    "tolerance nan must be a finite number": (EXACT, {"tol": math.nan}),
    "tolerance inf must be a finite number": (EXACT, {"tol": math.inf}),
    "tolerance -1.0 must be a finite number": (EXACT, {"tol": -1.0}),
    "tolerance None must be a finite number": (EXACT, {"tol": None}),
    "tol must be a number, not str": (EXACT, {"tol": "tiny"}),
    "a symbolic claim is exact": (SYMBOLIC, {"tol": 1e-9}),
    "an exact claim needs a tolerance > 0": (EXACT, {"tol": 0.0}),
    "the tolerance needs its reason": (EXACT, {"because": ""}),
    "because must be text": (EXACT, {"because": None}),
    "reports its seeds and its sample size": (STATISTICAL, {"n": None}),
    "seeds and its sample size": (TRAINED, {"seeds": ()}),
    "seeds must be a tuple of integers": (STATISTICAL, {"seeds": 3}),
    "at least five different seeds": (TRAINED, {"seeds": (0, 1, 2, 3, 3)}),
    "margin 99.0 is below 100": (EXACT, {"margin": 99.0}),
    "margin 1.5 is below 2": (STATISTICAL, {"margin": 1.5}),
    "margin nan is below": (EXACT, {"margin": math.nan}),
    "scale must plant an error, or be a sentence": (EXACT, {"scale": " "}),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("sentence", BAD)
def test_bad_claim_is_refused_in_one_sentence(sentence):
    given, changed = BAD[sentence]
    with pytest.raises(ClaimError) as refused:
        claim(given, **changed)
    text = str(refused.value)
    assert sentence.split(" ", 1)[1] in text, text
    assert text.startswith("claim ") and "\n" not in text and len(text) < 140


# ------------------------------------------------------------ the kinds


@by_kind
def test_right_formula_holds(given):
    verdict = judge(claim(given))
    assert verdict.holds, verdict.why
    assert verdict.why == "" and verdict.accepted == []


@by_kind
def test_wrong_formula_fails(given):
    wrong = next(iter(given["controls"].values()))
    verdict = judge(claim(given, formula=wrong))
    assert not verdict.holds
    assert "off by more than" in verdict.why


@by_kind
def test_control_that_is_right_fails_the_claim(given):
    verdict = judge(claim(given, controls={"the same": given["formula"]}))
    assert not verdict.holds
    assert verdict.why == "not rejected, though wrong: the same"


@by_kind
def test_one_toothless_control_among_two_fails_the_claim(given):
    controls = {**given["controls"], "the same": given["formula"]}
    assert judge(claim(given, controls=controls)).accepted == ["the same"]


@by_kind
def test_probe_that_is_not_seen_fails_the_claim(given):
    verdict = judge(claim(given, scale=lambda formula, e: formula))
    assert verdict.accepted == ["planted error +0.001", "planted error -0.001"]


@by_kind
def test_check_raises_what_judge_says(given):
    assert check(claim(given)).asserted
    with pytest.raises(ClaimFails, match=f"{given['id']}: not rejected"):
        check(claim(given, controls={"the same": given["formula"]}))


def test_scale_must_be_seen_in_both_directions():
    one_way = judge(claim(scale=lambda f, e: scaled(f, max(e, 0.0))))
    assert one_way.accepted == ["planted error -0.001"]


def test_scale_may_be_a_reason():
    verdict = judge(claim(scale="the answer is a whole number."))
    assert verdict.holds and not verdict.probes
    assert "the answer is a whole number." in verdict._repr_markdown_()


def test_own_planted_error_is_not_said_to_be_the_usual_one():
    assert "times 1 ± 0.001" in judge(claim())._repr_markdown_()
    text = judge(claim(STATISTICAL))._repr_markdown_()
    assert "0.001" not in text and "own choice" in text


@pytest.mark.parametrize(("factor", "holds"), [(99.0, False), (101.0, True)])
def test_exact_control_must_exceed_a_hundred_tolerances(factor, holds):
    near = {"near": lambda x: x * x + factor * 1e-6 * (X**2).max()}
    assert judge(claim(tol=1e-6, controls=near)).holds is holds


@pytest.mark.parametrize(("z", "holds"), [(11.9, False), (12.1, True)])
def test_statistical_control_must_exceed_twelve_standard_errors(z, holds):
    given = {**STATISTICAL, "measure": lambda mean, rng: mean, "formula": 0.5}
    wide = claim(given, controls={"z": z}, scale=lambda f, e: 7.0)
    assert judge(wide).holds is holds


@pytest.mark.parametrize(("z", "holds"), [(-5.9, True), (-6.1, False), (6.1, False)])
def test_statistical_formula_may_miss_by_six(z, holds):
    given = {**STATISTICAL, "measure": lambda mean, rng: [0.0, mean], "formula": z}
    wide = claim(given, controls={"z": 20.0}, scale=lambda f, e: 7.0)
    assert judge(wide).holds is holds


def test_statistical_seeds_start_afresh_for_each_formula():
    drawn = []

    def measure(mean, rng):
        drawn.append(torch.rand(1, generator=rng).item())
        return 0.0 if mean == 1.0 else 100.0

    judge(claim(STATISTICAL, measure=measure))
    assert len(drawn) == 8  # formula, two probes, one control, each with two seeds
    assert drawn[0::2] == [drawn[0]] * 4 and drawn[1::2] == [drawn[1]] * 4
    assert drawn[0] != drawn[1]


def test_trained_control_must_be_wrong_for_every_seed():
    def lucky_once(slope, seeds):
        return [0.0 if s == 2 and slope == 1 else abs(slope - 2) for s in seeds]

    given = {**TRAINED, "measure": lucky_once, "scale": "no scale here"}
    assert judge(claim(given, controls={"three": 3.0})).holds
    assert judge(claim(given, controls={"one": 1.0})).accepted == ["one"]


def test_trained_control_must_exceed_three_spreads():
    def measure(slope, seeds):
        noise = torch.linspace(0.0, 0.02, 5, dtype=torch.float64)
        return noise if slope == 2.0 else torch.full((5,), slope)

    bar = 0.02 + 3 * torch.linspace(0.0, 0.02, 5).std().item()
    given = {**TRAINED, "measure": measure, "scale": "no scale here"}
    assert not judge(claim(given, controls={"below": bar - 1e-4})).holds
    assert judge(claim(given, controls={"above": bar + 1e-4})).holds


def test_trained_formula_must_hold_for_every_seed():
    def once(slope, seeds):
        return torch.tensor([0.5 if s == 2 else 0.0 for s in seeds]) + slope - 2

    given = {**TRAINED, "measure": once, "scale": "no scale here"}
    assert "off by more than" in judge(claim(given)).why


# --------------------------------------------------- measurements that break

NO_NUMBER = {
    "NaN": lambda x: x * math.nan,
    "inf": lambda x: x / 0,
    "NaN once": lambda x: torch.where(x == x[3], math.nan, x * x),
}


@pytest.mark.parametrize("formula", NO_NUMBER.values(), ids=list(NO_NUMBER))
def test_formula_without_a_number_fails(formula):
    assert judge(claim(formula=formula)).why == "the formula gives NaN or inf"


@pytest.mark.parametrize("wrong", NO_NUMBER.values(), ids=list(NO_NUMBER))
def test_control_without_a_number_is_not_rejected(wrong):
    verdict = judge(claim(controls={"broken": wrong}))
    assert verdict.accepted == ["broken"] and verdict.controls == {"broken": None}


def test_formula_that_raises_fails_with_its_sentence():
    def stop(x):
        raise ValueError("no such letter\nsecond line")

    assert "no such letter" in judge(claim(formula=stop)).why
    assert "second line" not in judge(claim(formula=stop)).why
    assert judge(claim(controls={"stop": stop})).accepted == ["stop"]


BROKEN = {
    "the measurement is nan": claim(truth=None, at=(), measure=lambda f: math.nan),
    "the measurement is negative": claim(truth=None, at=(), measure=lambda f: -1.0),
    "the truth is zero": claim(truth=lambda x: 0 * x),
    "the formula has shape (7,), the truth (3,)": claim(truth=X[:3]),
    "the measurement gave no number": claim(STATISTICAL, measure=lambda f, rng: []),
    "the measurement is inf": claim(STATISTICAL, measure=lambda f, rng: math.inf),
    "5 seeds gave 2 excesses": claim(TRAINED, measure=lambda f, seeds: [0.0, 0.0]),
    "an excess is below": claim(TRAINED, measure=lambda f, seeds: [-1.0] * 5),
    "this is an exercise": exercise(),
}


@pytest.mark.parametrize("why", BROKEN)
def test_broken_measurement_is_a_verdict_not_an_exception(why):
    verdict = judge(BROKEN[why])
    assert not verdict.holds
    assert verdict.why.startswith(why)
    assert "FAILS" in repr(verdict)


# -------------------------------------------------------------- symbolic


def test_symbolic_zero_that_does_not_simplify():
    root = sympy.sqrt(5 + 2 * sympy.sqrt(6)) * S
    sum_of_roots = (sympy.sqrt(2) + sympy.sqrt(3)) * S
    assert sympy.simplify(root - sum_of_roots) != 0  # else it shows nothing
    assert judge(claim(SYMBOLIC, formula=root, truth=sum_of_roots)).holds


def test_symbolic_difference_that_is_small_is_not_zero():
    near = (1 + S) ** 2 + sympy.Rational(1, 10**20)
    assert not judge(claim(SYMBOLIC, formula=near)).holds


def test_symbolic_matrices_and_measure():
    turn = sympy.Matrix([[sympy.cos(S), -sympy.sin(S)], [sympy.sin(S), sympy.cos(S)]])
    orthogonal = claim(
        SYMBOLIC,
        truth=None,
        formula=turn,
        measure=lambda m: m * m.T - sympy.eye(2),
        controls={"one sign": sympy.Matrix([[1, 1], [1, 1]]) * turn},
    )
    assert judge(orthogonal).holds


def test_scaled_reaches_into_what_a_formula_may_be():
    assert scaled(S, 1e-3) == S * sympy.Rational(1001, 1000)
    assert scaled((2.0, [4.0]), 0.5) == (3.0, [6.0])
    assert scaled(lambda x: x, 0.5)(2.0) == 3.0


# ------------------------------------------------------------- rendering


@by_kind
def test_verdict_shows_no_measured_digit(given):
    verdict = check(claim(given))
    found = dict.fromkeys(verdict.controls, 1e9), dict.fromkeys(verdict.probes, 1e9)
    other = Verdict(verdict.claim, 0.0, *found, looks=verdict.looks)
    assert other._repr_markdown_() == verdict._repr_markdown_()
    assert repr(other) == repr(verdict) == f"{given['id']}: HOLDS"


@by_kind
def test_verdict_states_the_claim(given):
    text = check(claim(given))._repr_markdown_()
    assert given["says"] in text and "**HOLDS**" in text
    assert f'id="claim-{given["id"].replace("/", "-")}"' in text
    assert 'data-paper="048"' in text
    assert all(name in text for name in given["controls"])
    assert given.get("because", "") in text
    if "seeds" in given:
        assert f"n = {given['n']}" in text and str(given["seeds"][-1]) in text


def test_failing_verdict_says_so():
    text = judge(claim(formula=lambda x: x))._repr_markdown_()
    assert "**FAILS**" in text and "HOLDS" not in text and "claim fails" in text


def test_accepted_control_is_not_listed_as_rejected():
    text = judge(claim(controls={"the same": EXACT["formula"]}))._repr_markdown_()
    assert "*Rejected*" not in text


def test_tolerance_is_shown_as_it_is():
    assert "to within 2.5e-06" in judge(claim(tol=2.5e-6))._repr_markdown_()


@pytest.mark.parametrize("looks", [1, 30])
def test_false_alarm_is_the_normal_tail_over_all_looks(looks):
    given = {**STATISTICAL, "seeds": (0,), "formula": 0.0, "scale": "none is needed"}
    many = claim(given, measure=lambda f, rng: torch.full((looks,), 100.0 * f))
    shown = re.search(r"false alarm below (\S+) ", judge(many)._repr_markdown_())[1]
    z = torch.tensor(6.0, dtype=torch.float64)
    tail = 2 * torch.special.ndtr(-z).item()  # another route than erfc
    assert float(shown) == pytest.approx(looks * tail, rel=0.5)


def test_metadata_travels_only_when_checked():
    for verdict, there in [(judge(claim()), False), (check(claim()), True)]:
        data, metadata = verdict._repr_mimebundle_()
        assert set(data) == {"text/plain", "text/markdown"}
        assert ("diffkit" in metadata) is there


RECORD = ["id", "says", "kind", "papers", "tol", "error", "controls", "seconds"]


@by_kind
def test_record(given):
    record = check(claim(given))._repr_mimebundle_()[1]["diffkit"]
    assert list(record) == RECORD
    assert record["id"] == given["id"] and record["papers"] == ["048"]
    assert set(record["controls"]) == set(given["controls"])
    assert 0 <= record["error"] <= record["tol"]
    bar = {"exact": 100, "statistical": 2, "trained": 1}.get(given["kind"])
    for factor in record["controls"].values():
        assert factor is None if bar is None else factor >= bar


# ------------------------------------------------------------- exercises


def test_right_answer_is_solved():
    assert attempt(exercise(), lambda x: x**2).solved
    assert repr(attempt(exercise(), lambda x: x**2)).startswith("SOLVED")


@pytest.mark.parametrize("empty", [None, ...])
def test_blank_answer_is_not_solved(empty):
    measured = exercise(truth=None, at=(), measure=lambda f: float(abs(f(X) - X).max()))
    for asked in (exercise(), measured):
        hint = attempt(asked, lambda x: empty)
        assert not hint.solved and hint.text == "nothing is written here yet."


ANSWERS = {
    "your function stopped with ZeroDivisionError": lambda x: 1 / 0,
    "your function stopped with TypeError": lambda: X,
    "the formula has shape (2,), the truth (7,)": lambda x: x[:2],
    "the formula gives NaN": lambda x: x * math.nan,
    "give a function": X**2,
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("text", ANSWERS)
def test_answer_that_is_no_answer_is_told_why(text):
    hint = attempt(exercise(), ANSWERS[text])
    assert not hint.solved and hint.slip is None
    assert hint.text.startswith(text)


SLIPS = {
    "the cube": lambda x: x**3,
    "the double": lambda x: 2 * x,
    "nothing": lambda x: 0 * x,
    "broken": lambda x: 1 / 0,
}


@pytest.mark.parametrize("name", ["the cube", "the double", "nothing"])
def test_each_slip_is_known_by_its_name(name):
    hint = attempt(exercise(controls=SLIPS), lambda x: SLIPS[name](x) * (1 + 1e-15))
    assert not hint.solved and hint.slip == name and name in hint.text


def test_slip_of_a_measured_exercise_is_known():
    def measure(f):
        return float((f(X) - X * X).abs().max())

    asked = exercise(truth=None, at=(), measure=measure, controls=SLIPS)
    assert attempt(asked, lambda x: x * x).solved
    assert attempt(asked, SLIPS["the double"]).slip == "the double"
    assert attempt(asked, lambda x: x + 5).slip is None


def test_unknown_wrong_answer_is_told_the_input():
    def kink(x):
        return torch.where(x > 0.9, x * x - 0.125, x * x)

    hint = attempt(exercise(controls=SLIPS, at={"x": X}), kink)
    assert hint.slip is None
    assert "right at 6 of 7 inputs" in hint.text
    assert "x = 1" in hint.text and "too small" in hint.text
    assert "0.875" not in hint.text  # never the answer


def test_input_that_is_no_number_is_passed_over():
    asked = exercise(
        at=(X, "label"),
        truth=lambda x, label: x * x,
        controls={"the cube": lambda x, label: x**3},
    )
    assert "x = 1," in attempt(asked, lambda x, label: x * x + x**4).text
    assert "argument 1 = " in attempt(exercise(at=(X,)), torch.tanh).text


def test_only_an_exercise_can_be_attempted():
    with pytest.raises(ClaimError, match="it is no exercise"):
        attempt(claim(), lambda x: x)


def test_hint_renders():
    for answer, state in [(lambda x: x * x, "SOLVED"), (lambda x: x, "NOT YET")]:
        data = attempt(exercise(), answer)._repr_mimebundle_()
        assert f"**{state}**" in data["text/markdown"]
        assert data["text/plain"].startswith(state)
