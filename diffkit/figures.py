"""Figures: the house style, a palette by meaning, a few kinds of plot, a slider.

Colours mean the same in every chapter, and read on light and dark pages:
``exact`` neutral and thickest, ``learned`` blue, ``wrong`` red and dashed, ``noise``
light, ``time`` one perceptual map. Figures have a transparent background.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any, SupportsFloat

EXACT, LEARNED, WRONG, NOISE = "#7d8590", "#3b82d6", "#d64545", "#b8bec6"
SECOND = "#c98a1b"  # a second exact thing beside the first
AXES = "#7d8590"

STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "text.color": AXES,
    "axes.labelcolor": AXES,
    "axes.edgecolor": AXES,
    "axes.titlecolor": AXES,
    "xtick.color": AXES,
    "ytick.color": AXES,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "image.cmap": "gray_r",
    "image.interpolation": "nearest",
}


def time_colours(n: int) -> list:
    """n colours of one perceptual map, its ends cut: they must read on any page."""
    from matplotlib import colormaps

    return [colormaps["viridis"](0.3 + 0.5 * i / max(n - 1, 1)) for i in range(n)]


def canvas(
    title: str, width: float = 6.0, height: float = 2.8, columns: int = 1, **how: Any
) -> tuple:
    """A figure in the house style and its axes; the title is the finding."""
    import matplotlib.pyplot as plt

    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(1, columns, figsize=(width, height), **how)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return figure, axes


def label_line(
    axes: Any, x: SupportsFloat, y: SupportsFloat, text: str, colour: str = EXACT
) -> None:
    """A direct label beside a line, in its colour."""
    axes.annotate(
        text,
        (float(x), float(y)),
        xytext=(4, 0),
        textcoords="offset points",
        color=colour,
        va="center",
        annotation_clip=False,
    )


def strip(
    rows: Sequence[Any], row_labels: Sequence[str], tops: Sequence[str], title: str
) -> Any:
    """Rows of small square grey images, (m, side * side) each, under labels."""
    import matplotlib.pyplot as plt

    m = len(rows[0]) if len(rows) else 0
    counts = [len(row) for row in rows]
    if not m or set(counts) != {m} or (len(row_labels), len(tops)) != (len(rows), m):
        raise ValueError(
            f"rows of {counts} images under {len(row_labels)} row labels and "
            f"{len(tops)} tops: a strip is a full table with all its labels"
        )
    plt.rcParams.update(STYLE)
    figure, grid = plt.subplots(
        len(rows), m, figsize=(6.4, 0.35 + 0.72 * len(rows)), squeeze=False
    )
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    for images, name, line in zip(rows, row_labels, grid, strict=True):
        for image, axes in zip(images, line, strict=True):
            paint(axes, image)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    for axes, top in zip(grid[0], tops, strict=True):
        axes.set_title(top, fontsize=8, fontweight="normal", loc="center")
    return figure


def paint(axes: Any, image: Any, name: str = "") -> None:
    """One square grey image (side * side), from -1 (paper) to 1 (ink)."""
    axes.set_title(name, fontsize=8, fontweight="normal", loc="center")
    side = round(len(image) ** 0.5)
    if side**2 != len(image):
        raise ValueError(f"an image has {len(image)} pixels; it must be a square")
    axes.imshow(image.reshape(side, side).numpy(), vmin=-1, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_linewidth(0.4)


class Slider:
    """Pictures under a range input that needs no kernel and no library.

    frames: figures, closed once drawn; labels: what each shows; alt: the text for
    readers who do not see them; name: unique on the page. Renders as HTML with an
    inline script and works from the keyboard.
    """

    def __init__(
        self, frames: Sequence[Any], labels: Sequence[str], alt: str, name: str
    ):
        import matplotlib.pyplot as plt

        if len(frames) != len(labels) or not frames:
            raise ValueError(
                f"{len(frames)} frames and {len(labels)} labels do not pair"
            )
        if not alt.strip() or not name.isidentifier():
            raise ValueError("a slider needs an alt text, and a name that is one word")
        self.labels, self.alt, self.name, self.pngs = list(labels), alt, name, []
        for figure in frames:
            page = io.BytesIO()
            figure.savefig(page, format="png", dpi=90, metadata={"Software": None})
            plt.close(figure)
            self.pngs.append(base64.b64encode(page.getvalue()).decode())

    def __repr__(self) -> str:
        return f"Slider {self.name}: {len(self.pngs)} frames"

    def _repr_html_(self) -> str:
        shown, last = len(self.pngs) // 2, len(self.pngs) - 1
        images = "".join(
            f'<img src="data:image/png;base64,{png}" alt="{escape(self.alt)} '
            f'({escape(label)})"{"" if i == shown else " hidden"}>'
            for i, (png, label) in enumerate(zip(self.pngs, self.labels, strict=True))
        )
        texts = "".join(
            f"<output{'' if i == shown else ' hidden'}>{escape(label)}</output>"
            for i, label in enumerate(self.labels)
        )
        move = (
            "const f=this.parentElement;['img','output'].forEach(k=>"
            "f.querySelectorAll(k).forEach((e,i)=>{e.hidden=i!=this.value}))"
        )
        return (
            f'<figure class="slider" id="slider-{self.name}">{images}'
            f'<input type="range" min="0" max="{last}" value="{shown}" '
            f'aria-label="{escape(self.alt)}" oninput="{move}">{texts}</figure>'
        )
