"""What PyTorch's own tests are written with, for test suites that borrow it.

PyTorch calls these names private, yet projects around it import them: a `TestCase` whose `assertEqual` knows tensors,
tests made for each dtype and device, what the machine has. They are here under the same module names, for the one
device that there is. Operator databases (`op_db` and its relatives) are not: they list PyTorch's operators.
"""
