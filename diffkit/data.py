"""Data: small real data sets that need no download.

The handwritten digits are the test part of the "Optical Recognition of Handwritten
Digits" set of E. Alpaydin and C. Kaynak (UCI Machine Learning Repository, 1998,
CC BY 4.0), as shipped with scikit-learn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .shapes import Float, Int


def digits() -> tuple[Float[Tensor, "1797 64"], Int[Tensor, " 1797"]]:
    """1,797 handwritten digits of 8 x 8 pixels, and their labels.

    Pixels run from -1 (paper) to 1 (ink), in float64, row by row.
    Source: alpaydin1998digits, through pedregosa2011sklearn.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    x = torch.tensor(found.data, dtype=torch.float64) / 8 - 1
    return x, torch.tensor(found.target, dtype=torch.int64)
