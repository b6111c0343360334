"""Arrays in, arrays out: what is computed, with no knowledge of tensors or of the graph."""
