"""Parametrizations ready to use: orthogonal matrices, spectral norm one, length and direction apart."""

from enum import Enum, auto

import wengert

from .. import functional as F
from ..modules.module import Module
from . import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


def _is_orthogonal(q, eps=None):
    n, k = q.size(-2), q.size(-1)
    identity = wengert.eye(k, dtype=q.dtype, device=q.device)
    eps = 10.0 * n * wengert.finfo(q.dtype).eps if eps is None else eps
    return bool(wengert.allclose(q.mH @ q, identity, atol=eps))


def _make_orthogonal(a):
    """The orthogonal factor of a tall matrix, with the signs that make r's diagonal positive."""
    x, tau = wengert.geqrf(a)
    q = wengert.linalg.householder_product(x, tau)
    return q * x.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    def __init__(self, weight, orthogonal_map, *, use_trivialization=True):
        super().__init__()
        if weight.is_complex() and orthogonal_map == _OrthMaps.householder:
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x):
        n, k = x.size(-2), x.size(-1)
        transposed = n < k
        if transposed:
            x, n, k = x.mT, k, n
        if self.orthogonal_map in (_OrthMaps.matrix_exp, _OrthMaps.cayley):
            # A skew matrix from the lower triangle; rotations are its exponential or its Cayley transform.
            x = x.tril()
            if n != k:
                x = wengert.cat([x, x.new_zeros(n, n - k).expand(*x.shape[:-2], -1, -1)], dim=-1)
            a = x - x.mH
            if self.orthogonal_map == _OrthMaps.matrix_exp:
                q = wengert.matrix_exp(a)
            else:
                identity = wengert.eye(n, dtype=a.dtype, device=a.device)
                q = wengert.linalg.solve(wengert.add(identity, a, alpha=-0.5), wengert.add(identity, a, alpha=0.5))
            if n != k:
                q = q[..., :k]
        else:
            a = x.tril(diagonal=-1)
            tau = 2.0 / (1.0 + (a * a).sum(dim=-2))
            q = wengert.linalg.householder_product(a, tau)
            q = q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if transposed else q

    def right_inverse(self, q):
        with wengert.no_grad():
            if q.shape != self.shape:
                raise ValueError(
                    f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}."
                )
            original = q
            n, k = q.size(-2), q.size(-1)
            transpose = n < k
            if transpose:
                q, n, k = q.mT, k, n
            if not hasattr(self, "base"):
                if self.orthogonal_map in (_OrthMaps.cayley, _OrthMaps.matrix_exp):
                    raise NotImplementedError(
                        "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                        "use_trivialization=False."
                    )
                a, tau = wengert.geqrf(q)
                a.diagonal(dim1=-2, dim2=-1).sign_()
                # Where a column needed no reflection its sign counts the other way round.
                a.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
                return a.mT if transpose else a
            if n == k:
                # The base takes over the value; the original starts at the identity's logarithm.
                q = wengert.empty_like(q).copy_(q) if _is_orthogonal(q) else _make_orthogonal(q)
                self.base = q
                start = wengert.zeros_like(q)
            else:
                negative = wengert.randn(*q.shape[:-2], n, n - k, dtype=q.dtype, device=q.device)
                self.base = _make_orthogonal(wengert.cat([q, negative], dim=-1))
                start = wengert.zeros_like(original if not transpose else original.mT)
            # Householder reads the diagonal as signs; the other maps don't read it.
            start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return start.mT if transpose else start


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Keep `module.<name>` an orthogonal matrix (Lezcano-Casado 2019); returns `module`.

    `orthogonal_map` is "matrix_exp", "cayley" or "householder" (default: the first for square and complex matrices,
    the last otherwise).
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, wengert.Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1) or weight.is_complex()
        orthogonal_map = "matrix_exp" if square else "householder"
    kind = getattr(_OrthMaps, orthogonal_map, None)
    if kind is None:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    function = _Orthogonal(weight, kind, use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, function, unsafe=True)


class _WeightNorm(Module):
    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / _norm_except(weight_v, self.dim))

    def right_inverse(self, weight):
        return _norm_except(weight, self.dim), weight


def _norm_except(v, dim):
    """The 2-norm over all dimensions but `dim` (-1: over all), kept as dimensions of one."""
    if dim == -1:
        return v.norm(2)
    others = [d for d in range(v.dim()) if d != dim]
    return v.norm(2, others, keepdim=True)


def weight_norm(module, name="weight", dim=0):
    """Train length (original0) and direction (original1) of `module.<name>` apart (Salimans & Kingma 2016)."""
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def accept_old_names(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        for old, new in (("_g", "original0"), ("_v", "original1")):
            if f"{prefix}{name}{old}" in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.{new}"] = state_dict.pop(f"{prefix}{name}{old}")

    module._register_load_state_dict_pre_hook(accept_old_names)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight)
            h, w = matrix.size()
            u, v = matrix.new_empty(h).normal_(0, 1), matrix.new_empty(w).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=self.eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=self.eps))
            self._power_method(matrix, 15)

    def _matrix(self, weight):
        """The weight with dimension `dim` first and the others flattened."""
        if self.dim != 0:
            weight = weight.permute(self.dim, *(d for d in range(weight.dim()) if d != self.dim))
        return weight.flatten(1)

    def _power_method(self, matrix, iterations):
        with wengert.no_grad():
            for _ in range(iterations):
                self._u = F.normalize(wengert.mv(matrix, self._v), dim=0, eps=self.eps, out=self._u)
                self._v = F.normalize(wengert.mv(matrix.H, self._u), dim=0, eps=self.eps, out=self._v)

    def forward(self, weight):
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # Copies, since the next forward pass writes into the buffers that this one's backward needs.
        u, v = self._u.clone(), self._v.clone()
        return weight / wengert.vdot(u, wengert.mv(matrix, v))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divide `module.<name>` by its largest singular value, found by power iteration (Miyato et al. 2018)."""
    weight = getattr(module, name, None)
    if not isinstance(weight, wengert.Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        transposed = type(module).__name__ in ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
        dim = 1 if transposed else 0
    return parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
