"""``torch.distributed``, answering truthfully: there are no process groups here, and this process is alone.

Programs that ask `is_available` and `is_initialized` first run as on one machine; those that need a group are told so.
"""

import importlib
import os

from wengert.absent import answers, refuses
from wengert.outside import outside

NO_GROUP = ValueError(
    "Default process group has not been initialized, please make sure to call init_process_group. (wengert has no "
    "process groups: torch.distributed.is_available() is False.)"
)
answers(
    globals(),
    {
        "is_available": False, "is_initialized": False, "is_nccl_available": False, "is_gloo_available": False,
        "is_mpi_available": False, "is_ucc_available": False, "is_xccl_available": False,
        "is_backend_available": False,
    },
)  # fmt: skip
refuses(
    globals(),
    (
        "get_rank", "get_world_size", "get_backend", "get_group_rank", "get_global_rank", "get_process_group_ranks",
        "barrier", "monitored_barrier", "broadcast", "broadcast_object_list", "all_reduce", "reduce", "all_gather",
        "all_gather_into_tensor", "all_gather_object", "gather", "gather_object", "scatter", "scatter_object_list",
        "reduce_scatter", "reduce_scatter_tensor", "all_to_all", "all_to_all_single", "send", "recv", "isend", "irecv",
        "send_object_list", "recv_object_list", "batch_isend_irecv", "new_group", "new_subgroups",
        "destroy_process_group", "split_group",
    ),
    error=NO_GROUP,
)  # fmt: skip
refuses(
    globals(),
    ("init_process_group", "init_device_mesh"),
    ("TCPStore", "FileStore", "HashStore", "PrefixStore", "P2POp", "DeviceMesh", "Backend"),
    why="has no process groups: torch.distributed.is_available() is False, so a program should run on its own",
)


class ProcessGroup:
    """The class of process groups: there are none."""


class Store:
    """The class of stores that processes meet in: there are none."""


class Work:
    """The class of operations under way: there are none."""


class group:
    """The names of the groups that every process belongs to, were there one."""

    WORLD = None


class GroupMember:
    """The same, by its older name."""

    WORLD = NON_GROUP_MEMBER = None


class ReduceOp:
    """How values of several processes would become one."""

    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR, PREMUL_SUM = range(9)


reduce_op = ReduceOp


def is_torchelastic_launched():
    """Whether torchrun started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def get_node_local_rank(fallback_rank=None):
    """The number of this process on its machine, as the environment says, or `fallback_rank`; RuntimeError if neither.
    """
    rank = os.environ.get("LOCAL_RANK", fallback_rank)
    if rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow "
                           "`get_node_local_rank` to work, assuming you are not running in an environment that sets "
                           "LOCAL_RANK.")  # fmt: skip
    return int(rank)


__getattr__ = outside(__name__, submodules=True)
