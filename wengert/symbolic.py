"""The types of numbers in a program that PyTorch's compiler traces: named in annotations, and held by nothing here."""


def unmade(name, stands_for):
    def refuse(cls, *args, **kwargs):
        raise NotImplementedError(f"torch.{name}: wengert traces no symbols, its numbers are Python's")

    doc = f"{stands_for} known only by its symbol while a program is traced; nothing here is an instance."
    return type(name, (), {"__new__": refuse, "__module__": "wengert", "__doc__": doc})


SymInt = unmade("SymInt", "An int")
SymFloat = unmade("SymFloat", "A float")
SymBool = unmade("SymBool", "A truth value")
