"""Fast kernels for large arrays on CPUs, from the extra `fast`; `wengert.kernels.choices` says when they are used.

    native        LLVM: assembly in, functions out; the cache on disk
    objects       object files put into memory without LLVM
    runtime.ll    threads and memory, in LLVM's language
    threads       how many threads share the work
    pool          large arrays in recycled memory
    expressions   formulas recorded as trees
    mathematics   exp, log, tanh, ... as trees
    gamma         the gamma function's kin, as trees
    assembly      trees as the body of a vector loop
    pointwise     elementwise kernels
    streaming     results written past the caches
    conversions   from one dtype to another
    rows          row programs: softmax, normalization, losses, reductions along the last dimension
    abreast       row programs along other dimensions
    columns       reductions along other dimensions
    activation    gated linear units
    scans         running sums and products
    distances     between rows of arrays
    updates       formulas that write in place: optimisers' steps
    copying       copies between places of any strides
    function      functions in LLVM's language, written instruction by instruction
    products      small products of matrices, as parts of those
    gemm          large products in single precision
    blas          NumPy's BLAS kept to one thread, and its products shared out
    pooling       the greatest of each window
    resampling    planes resized
    sorting       the best elements of rows
    convolution   which of direct, winograd and onednn takes a convolution
    direct        convolutions of few channels
    recurrence    recurrent layers' loops over time
    mersenne      the random engine's words in bulk, and shuffles
    normals       normal numbers
    recorded      what stands for a reference kernel that can't be recorded as it is
"""


def begin():
    """Start the threads and install the pool, when the first fast kernel is about to be used."""
    from wengert.kernels.cpu import blas, pool, threads
    from wengert.kernels.cpu.pointwise import readable

    if not readable():
        raise RuntimeError("this Python lays out arrays in a way that compiled kernels don't know")
    threads.start()
    pool.install()
    blas.use(1)
