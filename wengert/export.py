"""``torch.export``: exported programs, refused by name."""

from wengert.absent import refuses

refuses(
    globals(),
    ("export", "export_for_training", "draft_export", "load", "save", "dims", "register_dataclass", "unflatten",
     "default_decompositions"),
    ("Constraint", "Dim", "ExportedProgram", "ExportGraphSignature", "ShapesCollection"),
    why="has no exporter of programs",
)  # fmt: skip
