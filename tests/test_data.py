"""data: the digits are scikit-learn's, pixel by pixel."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from diffkit import data


def test_digits_are_the_images_in_order_between_paper_and_ink():
    x, labels = data.digits()
    raw = load_digits()
    assert x.dtype == torch.float64 and labels.dtype == torch.int64
    ink = (x.numpy().reshape(-1, 8, 8) + 1) * 8  # 0 to 16, exact in binary
    assert np.array_equal(ink, raw.images)
    assert np.array_equal(labels.numpy(), raw.target)
    assert (x.min(), x.max(), len(x)) == (-1, 1, 1797)


def test_three_pixels_are_never_inked():
    x, _ = data.digits()
    assert int((x.std(0) == 0).sum()) == 3
    assert np.linalg.matrix_rank(np.cov(x.numpy().T)) == 61
