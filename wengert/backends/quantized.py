"""Engines for quantized networks: there are none."""

engine = "none"
supported_engines = ["none"]
