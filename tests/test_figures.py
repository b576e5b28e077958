"""figures: what a reader sees, read back from the figure or from the page."""

import base64
import io
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import torch
from examples import named, normal, refuses

from diffkit import figures

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def closed():
    """Each test begins and ends without open figures."""
    plt.close("all")
    yield
    plt.close("all")


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
@pytest.mark.parametrize("ink", ["EXACT", "LEARNED", "WRONG", "AXES"])
def test_colours_read_on_light_and_on_dark_pages(ink, page):
    dark, light = sorted([luminance(getattr(figures, ink)), luminance(page)])
    assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 2.1, 1.4.11: graphics


def test_time_runs_from_dark_to_light():
    shades = [np.dot(c[:3], [0.2126, 0.7152, 0.0722]) for c in figures.time_colours(7)]
    assert len(shades) == 7 and (np.diff(shades) > 0).all()
    assert figures.time_colours(1)[0] == figures.time_colours(7)[0]


def test_a_canvas_has_its_finding_as_title_and_no_background():
    figure, axes = figures.canvas("What was found", columns=2)
    assert figure.get_suptitle() == "What was found" and len(axes) == 2
    assert figure.get_facecolor()[3] == 0 and axes[0].get_facecolor()[3] == 0
    assert not axes[0].spines["top"].get_visible()
    assert axes[0].spines["left"].get_visible()


def test_a_label_stands_at_its_point():
    _, axes = figures.canvas("t")
    figures.label_line(axes, 2.0, torch.tensor(3.0), "exact", figures.WRONG)
    (label,) = axes.texts
    assert label.xy == (2.0, 3.0) and label.get_text() == "exact"
    assert label.get_color() == figures.WRONG


def test_a_strip_shows_every_image_upright_under_its_labels():
    rows = [normal(3, 16, seed=s) for s in (0, 1)]
    figure = figures.strip(rows, ["one", "two"], ["a", "b", "c"], "found")
    grid = np.array(figure.axes).reshape(2, 3)
    for i in range(2):
        for j in range(3):
            (image,) = grid[i, j].images
            shown = np.asarray(image.get_array())
            assert np.array_equal(shown, rows[i][j].reshape(4, 4).numpy())
            assert image.origin == "upper" and image.get_clim() == (-1, 1)
    assert [axes.get_title() for axes in grid[0]] == ["a", "b", "c"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["one", "two"]
    assert figure.get_suptitle() == "found"


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


def frames(n: int) -> list:
    """Figures that differ."""
    drawn = []
    for i in range(n):
        figure, axes = figures.canvas("t", 2.0, 1.0)
        axes.plot([0, i])
        drawn.append(figure)
    return drawn


def slider(n: int = 3, labels=("t = 0", "t < 1", '"end"'), alt="a & b", name="s1"):
    return figures.Slider(frames(n), labels, alt, name)


def test_a_slider_shows_one_picture_of_all_and_says_which():
    made = slider()
    page = Page(made._repr_html_())
    images, outputs, (control,) = map(page.all, ("img", "output", "input"))
    shown = int(control["value"])  # a page without scripts shows this one
    for parts in (images, outputs):
        assert [i for i, u in enumerate(parts) if "hidden" not in u] == [shown]
    assert [i["alt"] for i in images] == [
        "a & b (t = 0)",
        "a & b (t < 1)",
        'a & b ("end")',
    ]
    assert page.text == ["t = 0", "t < 1", '"end"']
    assert (control["type"], control["min"], control["max"]) == ("range", "0", "2")
    assert shown in range(3) and control["aria-label"] == "a & b"
    (figure,) = page.all("figure")
    assert figure["id"] == "slider-s1"
    assert "http" not in made._repr_html_() and "3 frames" in repr(made)


def test_the_pictures_of_a_slider_are_the_figures():
    made = slider()
    shown = []
    for i in Page(made._repr_html_()).all("img"):
        kind, png = i["src"].split(",")
        assert kind == "data:image/png;base64"
        shown.append(plt.imread(io.BytesIO(base64.b64decode(png))))
    assert len({u.tobytes() for u in shown}) == 3
    assert not plt.get_fignums()  # nothing is left to be shown twice
    assert slider().pngs == made.pngs  # the same bytes every time


WRONG = {
    "no frames": (ValueError, "0 frames and 0 labels", lambda: slider(0, ())),
    "labels": (ValueError, "3 frames and 2 labels", lambda: slider(3, ("a", "b"))),
    "alt": (ValueError, "needs an alt text", lambda: slider(alt=" ")),
    "name": (ValueError, "a name that is one word", lambda: slider(name="two words")),
    "no name": (ValueError, "one word", lambda: slider(name="")),
    "quote": (ValueError, "one word", lambda: slider(name='a"b')),
    "empty strip": (ValueError, "full table", lambda: figures.strip([], [], [], "t")),
    "ragged strip": (
        ValueError,
        r"rows of \[2, 1\] images",
        lambda: figures.strip([normal(2, 4), normal(1, 4)], "ab", "xy", "t"),
    ),
    "row labels": (
        ValueError,
        "under 2 row labels",
        lambda: figures.strip([normal(2, 4)], "ab", "xy", "t"),
    ),
    "tops": (
        ValueError,
        "3 tops",
        lambda: figures.strip([normal(2, 4)], "a", "xyz", "t"),
    ),
    "oblong": (
        ValueError,
        "an image has 5 pixels; it must be a square",
        lambda: figures.strip([normal(2, 5)], "a", "xy", "t"),
    ),
}


@named(WRONG)
def test_refuses(name):
    refuses(*WRONG[name])
