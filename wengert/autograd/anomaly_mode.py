"""``torch.autograd.anomaly_mode``: the public names of `wengert.autograd.anomaly`."""

from wengert.autograd.anomaly import detect_anomaly, set_detect_anomaly

__all__ = ["detect_anomaly", "set_detect_anomaly"]
