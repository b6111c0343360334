"""``torch.backends``, answering truthfully: what this build can use, which is NumPy and its BLAS."""

from wengert.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]
