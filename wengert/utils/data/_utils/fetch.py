"""Fetchers: from what a sampler says to a batch, by index from a map-style dataset or in turn from a stream."""


class Fetcher:
    """What the two kinds have in common.

    Args:
        dataset: what to read.
        auto_collation: whether an order is a list of indices, to be made one batch; otherwise it is one index.
        collate_fn: makes the batch.
        drop_last: leave out a last batch that is not full (streams only; a sampler sees to it otherwise).
    """

    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        self.dataset, self.auto_collation = dataset, auto_collation
        self.collate_fn, self.drop_last = collate_fn, drop_last


class MapFetcher(Fetcher):
    """Reads by index."""

    def fetch(self, order):
        """The batch of the samples at `order`."""
        dataset = self.dataset
        if not self.auto_collation:
            return self.collate_fn(dataset[order])
        fetch_many = getattr(dataset, "__getitems__", None)
        return self.collate_fn(fetch_many(order) if fetch_many else [dataset[index] for index in order])


class StreamFetcher(Fetcher):
    """Reads the next samples, however many are ordered; raises StopIteration when there are none left."""

    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.samples = iter(dataset)
        self.ended = False

    def fetch(self, order):
        """The batch of the next ``len(order)`` samples."""
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.samples))
        batch = []
        for _ in order:
            try:
                batch.append(next(self.samples))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and len(batch) < len(order)):
            raise StopIteration
        return self.collate_fn(batch)
