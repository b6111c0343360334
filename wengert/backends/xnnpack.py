"""Whether XNNPACK is there: it is not."""

enabled = False
