"""Wrong formulas in diffkit.laws."""

HERE = "tests/test_laws.py::"
ROWS = [
    (
        "laws/mixtures.py",
        "return -self.expect(",
        "return self.expect(",
        HERE + "test_score_is_the_gradient_of_torch_distributions",
    ),
    (
        "laws/mixtures.py",
        "(maha + logdet + self.d * LOG_2PI) / 2",
        "maha / 2 - logdet - self.d * LOG_2PI / 2",
        HERE + "test_log_prob_is_that_of_torch_distributions",
    ),
    (
        "laws/mixtures.py",
        "(self.d - r) * self.floor.log()",
        "r * self.floor.log()",
        HERE + "test_log_prob_is_that_of_torch_distributions",
    ),
    (
        "laws/mixtures.py",
        "maha = maha + (rest**2).sum(-1) / self.floor",
        "pass",
        HERE + "test_log_prob_is_that_of_torch_distributions",
    ),
    (
        "laws/mixtures.py",
        "return 2 * (rows * u - grad @ v)",
        "return 1 * (rows * u - grad @ v)",
        HERE + "test_log_prob_may_be_differentiated_twice",
    ),
    (
        "laws/mixtures.py",
        "return within + between",
        "return within",
        HERE + "test_mean_and_cov_are_raw_moments",
    ),
    (
        "laws/mixtures.py",
        "lift = self.spectrum - self.floor.unsqueeze(-1)",
        "lift = self.spectrum",
        HERE + "test_low_rank_storage_is_the_span_plus_a_floor_off_it",
    ),
    (
        "laws/mixtures.py",
        "self.means @ A.mT + c, basis",
        "self.means @ A.mT - c, basis",
        HERE + "test_a_matrix_pushes_as_dense_algebra_says",
    ),
    (
        "laws/mixtures.py",
        "torch.linalg.svd(A @ root",
        "torch.linalg.svd(A @ root @ root",
        HERE + "test_a_matrix_pushes_as_dense_algebra_says",
    ),
    (
        "laws/mixtures.py",
        "spectrum=(a**2).unsqueeze(-1) * self.spectrum",
        "spectrum=a.abs().unsqueeze(-1) * self.spectrum",
        HERE + "test_a_number_pushes_as_its_matrix",
    ),
    (
        "laws/mixtures.py",
        "floor=self.floor + v",
        "floor=self.floor",
        HERE + "test_blur_adds_the_variance",
    ),
    (
        "laws/mixtures.py",
        "on, off = v2 * on, v1 * off",
        "on = self.spectrum - a2**2 * on * self.spectrum\n"
        "        off = self.floor - a1**2 * off * self.floor",
        HERE + "test_given_loses_no_digits",
    ),
    (
        "laws/mixtures.py",
        "shift = seen.apply(y.unsqueeze(-2) - seen.means, a2 * on, a1 * off)",
        "shift = seen.apply(y.unsqueeze(-2) - seen.means, on, off)",
        HERE + "test_given_is_dense_conditioning",
    ),
    (
        "laws/mixtures.py",
        "            seen._log_joint(y),",
        "            self.logw.expand(*rows, self.k),",
        HERE + "test_given_is_dense_conditioning",
    ),
    (
        "laws/mixtures.py",
        "        return torch.as_tensor(value, **like)",
        "        return torch.as_tensor(value).to(self.means)",
        HERE + "test_given_loses_no_digits",
    ),
    (
        "laws/mixtures.py",
        "roots = self.spectrum.sqrt(), self.floor.sqrt()",
        "roots = self.spectrum, self.floor",
        HERE + "test_samples_have_the_mean_and_the_covariance",
    ),
    (
        "laws/mixtures.py",
        "noise = self.apply(wide, self.spectrum.sqrt(), self.floor.sqrt())",
        "noise = self.apply(wide, self.spectrum, self.floor)",
        HERE + "test_samples_have_the_mean_and_the_covariance",
    ),
    (
        "laws/mixtures.py",
        "w = self.logw.exp().expand(*size, self.k).reshape(-1, self.k)",
        "w = torch.ones_like(self.logw).expand(*size, self.k).reshape(-1, self.k)",
        HERE + "test_samples_come_from_components_in_the_ratio_of_the_weights",
    ),
    (
        "laws/mixtures.py",
        "k = k.mT.reshape(n, *size)",
        "k = k.reshape(n, *size)",
        HERE + "test_samples_of_a_batch_have_their_own_moments_and_are_independent",
    ),
    (
        "laws/mixtures.py",
        'c = torch.einsum("kdr,...kd->...kr", self.basis, v)',
        'c = torch.einsum("krd,...kd->...kr", self.basis, v)',
        HERE + "test_samples_have_the_mean_and_the_covariance",
    ),
    (
        "laws/mixtures.py",
        "return span + off.unsqueeze(-1) * (v - back)",
        "return span + off.unsqueeze(-1) * v",
        HERE + "test_score_is_the_gradient_of_torch_distributions",
    ),
    (
        "laws/mixtures.py",
        "off.mT @ off / len(x)",
        "off.mT @ off / (len(x) - 1)",
        HERE + "test_fit_gaussian_is_numpys_covariance_with_divisor_n",
    ),
    (
        "laws/mixtures.py",
        "top = cov.abs().amax((-2, -1), keepdim=True)",
        "top = cov.abs().amax()",
        HERE + "test_refuses",
    ),
]
