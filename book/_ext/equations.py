"""Links to equations keep their words.

Of `[the slope](#eq-slope)` Sphinx would keep the equation's number alone, and a
sentence would read otherwise on the page than in the notebook.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode


class Words(SphinxPostTransform):
    """Resolve links with words to equations before anyone else does."""

    default_priority = 8  # MyST's own is 9

    def run(self, **_: object) -> None:
        """Put a reference in place of each."""
        known = self.env.get_domain("math").equations
        for link in list(self.document.findall(pending_xref)):
            label = link.get("reftarget")
            if link["reftype"] == "myst" and link["refexplicit"] and label in known:
                page, anchor = known[label][0], nodes.make_id(f"equation-{label}")
                words = link.children[0].deepcopy()
                here = link.get("refdoc", self.env.docname)
                made = make_refnode(self.app.builder, here, page, anchor, words)
                link.replace_self(made)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_post_transform(Words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
