"""The polynomial functions of the compiled kernels against NumPy."""

import numpy as np
from numba import njit

from fluxatlas.process._vector import exp, log, power


@njit
def evaluate(x, positive, base, exponent, out):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        out[0, i] = exp(x[i])
        out[1, i] = log(positive[i])
        out[2, i] = power(base[i], exponent[i])


def test_compiled_functions_equal_numpy() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-690, 690, 5000)
    positive = np.exp(rng.uniform(-100, 100, 5000))
    base, exponent = rng.uniform(0, 2, 5000), rng.uniform(0, 20, 5000)
    base[:10], exponent[5:15] = 0.0, 0.0
    out = np.empty((3, 5000))
    evaluate(x, positive, base, exponent, out)
    np.testing.assert_allclose(out[0], np.exp(x), rtol=1e-13)
    np.testing.assert_allclose(out[1], np.log(positive), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(out[2], base**exponent, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(power(base, exponent), base**exponent, rtol=1e-13, atol=1e-300)
