"""``torch.package``: archives of code and models, refused by name."""

from wengert.absent import answers, refuses

answers(globals(), {"is_from_package": False})
refuses(globals(), classes=("PackageExporter", "PackageImporter"), why="packs no code; torch.save keeps a model")
