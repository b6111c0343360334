"""``torch.utils.cpp_extension``: extensions in C++ are refused by name; they need PyTorch's own library."""

from wengert.absent import answers, refuses

CUDA_HOME = ROCM_HOME = None
answers(globals(), {"is_ninja_available": False})
refuses(
    globals(),
    ("load", "load_inline", "include_paths", "library_paths", "verify_ninja_availability", "CppExtension",
     "CUDAExtension", "SyclExtension"),
    ("BuildExtension",),
    why="has no C++ library that an extension could be built against",
)  # fmt: skip
