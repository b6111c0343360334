"""``torch.utils.model_zoo``, the old name of a part of ``torch.hub``."""

from wengert.hub import load_state_dict_from_url, tqdm

__all__ = ["load_state_dict_from_url", "load_url", "tqdm"]
load_url = load_state_dict_from_url
