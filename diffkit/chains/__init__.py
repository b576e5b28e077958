"""Chains: the linear-Gaussian calculus, one eigen-direction at a time.

For Gaussian data the probability flow splits along the eigenvectors u_k of the
covariance. With psi_k(t) = sqrt(a^2 lambda_k + g^2) and c_k the coordinate of
x_T - a_T m,

    x_t       = a_t m + sum_k psi_k(t) / psi_k(T) c_k u_k
    D(x_t, t) =     m + sum_k a_t lambda_k / (psi_k(t) psi_k(T)) c_k u_k

(derived in the chapter `gaussian/painters`). A direction without variance is
lambda = 0, not an exception.

A sampler is a table, and where its field is affine, F_n = J_n x_n + k_n, each end
point is a linear image of the start, of the k_n and of the noise. One sweep through
the table, from the last state M to the first, finds all of it at once:

    P_M = 1,   R_n = sum_j B_{n+j,j} P_{n+j+1}
    P_n = sum_i A_{n+i,i} P_{n+i+1} + R_n J_n

    x_M = P_0 x_0 + sum_n R_n k_n + sum_n S_n P_{n+1} z_n

P_n is the change of the end per change of state n, R_n per change of F_n. So P_0 is
the gain of a run, R_n what an error of the field at state n comes to in the end, and
the sums are its mean and covariance. On a mode of a Gaussian law all are numbers and
J_n = J(lambda, t_n); `moments` and `responses` do the same with matrices.

DDIM turns. With theta = arctan(g / (a sqrt(lambda))), a sqrt(lambda) = psi cos theta
and g = psi sin theta, DDIM's step a_s D + g_s N multiplies a mode by

    (a_s a_t lambda + g_s g_t) / psi_t^2 = psi_s / psi_t cos(theta_t - theta_s)

since D = a_t lambda / psi_t^2 x and N = g_t / psi_t^2 x. That is the exact factor and
a cosine: for any grid, DDIM loses prod cos(theta_n - theta_{n+1}) of each mode. As
log cos is concave and the angles add up, equal angles lose least, cos(Theta / N)^N.
"""

from .angles import best_cosines, coshes, cosines
from .gains import flow_response, gain, rate, response, variances
from .linear import moments, responses
from .modes import angle, carry, endpoint, endpoint_factor, flow_factor, spread
from .optima import optimal_grid, spread_error

__all__ = [
    "angle",
    "best_cosines",
    "carry",
    "coshes",
    "cosines",
    "endpoint",
    "endpoint_factor",
    "flow_factor",
    "flow_response",
    "gain",
    "moments",
    "optimal_grid",
    "rate",
    "response",
    "responses",
    "spread",
    "spread_error",
    "variances",
]
