"""Module: a tree of named parameters, buffers and submodules, with a `forward`.

Assigning a Parameter, a Module or a registered buffer as an attribute files it in one of three dictionaries;
everything else here walks those dictionaries: naming, converting, saving, loading, switching modes.
A call with no hooks goes straight to `forward`.
"""

import functools
import inspect
import itertools
import warnings
import weakref
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

import wengert
from wengert.autograd.graph import rare
from wengert.dtypes import from_python
from wengert.tensor import Tensor
from wengert.utils.hooks import RemovableHandle

from ..parameter import Buffer, Parameter

__all__ = [
    "Module",
    "register_module_forward_pre_hook",
    "register_module_forward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_backward_hook",
    "register_module_full_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

# Hooks of all modules at once.
_global_buffer_registration_hooks = OrderedDict()
_global_module_registration_hooks = OrderedDict()
_global_parameter_registration_hooks = OrderedDict()
_global_backward_pre_hooks = OrderedDict()
_global_backward_hooks = OrderedDict()
_global_forward_pre_hooks = OrderedDict()
_global_forward_hooks = OrderedDict()
_global_forward_hooks_always_called = OrderedDict()
_global_forward_hooks_with_kwargs = OrderedDict()
_global_is_full_backward_hook = None

# The ids of all global hooks that a call of a module runs: as long as there are none, one look is enough. While
# `wengert.lens` records, its `_watcher` stands here too, and runs each call in place of `Module.__call__`.
_global_call_hooks = OrderedDict()
_watcher = None

_EXTRA_STATE_KEY = _EXTRA_STATE_KEY_SUFFIX = "_extra_state"
TORCHSCRIPT_ONLY = {
    "save", "save_to_buffer", "graph", "inlined_graph", "code", "code_with_constants", "graph_for", "original_name",
    "_c", "get_debug_state",
}  # fmt: skip


NO_OP = (
    "for {}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current model, which is a "
    "no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their corresponding key in "
    "the module instead of copying them in place?)"
)


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict(strict=False)` did not match."""

    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def _typename(obj):
    return wengert.typename(obj)


def _addindent(text, spaces):
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line for line in rest)])


def _register(hooks, hook, *flags, prepend=False):
    """File `hook` in `hooks`, and its id in each of the dictionaries `flags`; returns the handle."""
    handle = RemovableHandle(hooks, extra_dict=list(flags) or None)
    hooks[handle.id] = hook
    for flag in flags:
        flag[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_module_buffer_registration_hook(hook):
    """Call `hook(module, name, buffer)` whenever any module registers a buffer; a returned tensor replaces it."""
    return _register(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook):
    """Call `hook(module, name, submodule)` whenever any module registers a submodule; a returned one replaces it."""
    return _register(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook):
    """Call `hook(module, name, param)` whenever any module registers a parameter; a returned one replaces it."""
    return _register(_global_parameter_registration_hooks, hook)


def register_module_forward_pre_hook(hook):
    """Call `hook(module, args)` before every module's forward; a returned value replaces the arguments."""
    return _register(_global_forward_pre_hooks, hook, _global_call_hooks)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Call `hook(module, args, output)` after every module's forward; a returned value replaces the output."""
    flags = [_global_forward_hooks_with_kwargs] * with_kwargs + [_global_forward_hooks_always_called] * always_call
    return _register(_global_forward_hooks, hook, _global_call_hooks, *flags)


def _set_global_backward_kind(full):
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is (not full):
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. "
            "Please use only one of them."
        )
    _global_is_full_backward_hook = full


def register_module_backward_hook(hook):
    """Call `hook(module, grad_input, grad_output)` at the last operation of every module (deprecated form)."""
    _set_global_backward_kind(False)
    return _register(_global_backward_hooks, hook, _global_call_hooks)


def register_module_full_backward_pre_hook(hook):
    """Call `hook(module, grad_output)` before the backward pass of every module."""
    return _register(_global_backward_pre_hooks, hook, _global_call_hooks)


def register_module_full_backward_hook(hook):
    """Call `hook(module, grad_input, grad_output)` when every module's input gradients are known."""
    _set_global_backward_kind(True)
    return _register(_global_backward_hooks, hook, _global_call_hooks)


class _BoundHook:
    """A state-dict hook that is called with its module first, without keeping the module alive."""

    def __init__(self, hook, module=None):
        functools.update_wrapper(self, hook)
        self.hook, self.with_module = hook, module is not None
        self.module = weakref.ref(module) if self.with_module else None

    def __call__(self, *args, **kwargs):
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self):
        return {
            "hook": self.hook,
            "with_module": self.with_module,
            "module": self.module() if self.with_module else None,
        }

    def __setstate__(self, state):
        self.hook, self.with_module = state["hook"], state["with_module"]
        self.module = weakref.ref(state["module"]) if self.with_module else None


def _forward_unimplemented(self, *input):
    """Compute the module's output from its inputs; every subclass overrides it."""
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')


def watch_calls(watcher):
    """Have `watcher(module, args, kwargs)` run every call of a module; None for the usual way."""
    global _watcher
    _watcher = watcher
    if watcher is None:
        _global_call_hooks.pop("watcher", None)
    else:
        _global_call_hooks["watcher"] = True


class Module:
    """Base class of all neural-network modules."""

    dump_patches = False
    _version = 1
    call_super_init = False
    _compiled_call_impl = None
    T_destination = dict
    training: bool

    forward = _forward_unimplemented

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
                )
        # Straight into __dict__: __setattr__ needs these dictionaries to do its work.
        d = self.__dict__
        d["training"] = True
        d["_parameters"] = {}
        d["_buffers"] = {}
        d["_non_persistent_buffers_set"] = set()
        d["_backward_pre_hooks"] = OrderedDict()
        d["_backward_hooks"] = OrderedDict()
        d["_is_full_backward_hook"] = None
        d["_forward_hooks"] = OrderedDict()
        d["_forward_hooks_with_kwargs"] = OrderedDict()
        d["_forward_hooks_always_called"] = OrderedDict()
        d["_forward_pre_hooks"] = OrderedDict()
        d["_forward_pre_hooks_with_kwargs"] = OrderedDict()
        d["_state_dict_hooks"] = OrderedDict()
        d["_state_dict_pre_hooks"] = OrderedDict()
        d["_load_state_dict_pre_hooks"] = OrderedDict()
        d["_load_state_dict_post_hooks"] = OrderedDict()
        d["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # ---------------------------------------------------------------- attributes

    def _check_name(self, kind, name, members):
        """Refuse a name that is no string, is empty, has a dot in it, or belongs to something else."""
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
        if hasattr(self, name) and name not in members:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor (or None) that belongs to the module's state but is not trained.

        Raises TypeError or KeyError for a bad or occupied name, TypeError for something that is not a tensor.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not (isinstance(tensor, Tensor) or hasattr(tensor, "__torch_function__")):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        for hook in _global_buffer_registration_hooks.values():
            replaced = hook(self, name, tensor)
            tensor = tensor if replaced is None else replaced
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name, param):
        """Add a Parameter (or None, an absent one) under `name`.

        Raises TypeError or KeyError for a bad or occupied name, TypeError for a non-Parameter, ValueError for a
        tensor that has a history.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{_typename(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if param.grad_fn:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                    f"explicitly. To express '{name}' as a function of another Tensor, compute the value in the "
                    "forward() method."
                )
            for hook in _global_parameter_registration_hooks.values():
                replaced = hook(self, name, param)
                param = param if replaced is None else replaced
        self._parameters[name] = param

    def add_module(self, name, module):
        """Add a submodule (or None, an absent one) under `name`."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        self._modules[name] = _through_registration_hooks(self, name, module)

    def register_module(self, name, module):
        """Same as `add_module`."""
        self.add_module(name, module)

    def __getattr__(self, name):
        # Called only when the ordinary lookup failed.
        d = self.__dict__
        if "_modules" in d:
            if name in (members := d["_parameters"]):
                return members[name]
            if name in (members := d["_modules"]):
                return members[name]
            if name in (members := d["_buffers"]):
                return members[name]
        missing = f"'{type(self).__name__}' object has no attribute '{name}'"
        if "_not_scripted_by" in d and name in TORCHSCRIPT_ONLY:
            missing += (
                f": {d['_not_scripted_by']} returned the module as it was, since wengert has no TorchScript. "
                "torch.save(model.state_dict(), ...) keeps a model"
            )
        raise AttributeError(missing)

    def __setattr__(self, name, value):
        d = self.__dict__
        if isinstance(value, Tensor):
            if isinstance(value, Parameter):
                if "_parameters" not in d:
                    raise AttributeError("cannot assign parameters before Module.__init__() call")
                _remove_name(name, d, d["_buffers"], d["_modules"], d["_non_persistent_buffers_set"])
                self.register_parameter(name, value)
                return
        elif isinstance(value, Module):
            if "_modules" not in d:
                raise AttributeError("cannot assign module before Module.__init__() call")
            _remove_name(name, d, d["_parameters"], d["_buffers"], d["_non_persistent_buffers_set"])
            d["_modules"][name] = _through_registration_hooks(self, name, value)
            return
        parameters = d.get("_parameters")
        if parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
            return
        modules = d.get("_modules")
        if modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            modules[name] = _through_registration_hooks(self, name, value)
            return
        buffers = d.get("_buffers")
        if buffers is not None and (name in buffers or isinstance(value, Buffer)):
            self._assign_buffer(name, value, buffers)
            return
        object.__setattr__(self, name, value)

    def _assign_buffer(self, name, value, buffers):
        if value is not None and not (isinstance(value, Tensor) or hasattr(value, "__torch_function__")):
            raise TypeError(
                f"cannot assign '{_typename(value)}' as buffer '{name}' "
                "(torch.nn.Buffer, torch.Tensor or None expected)"
            )
        if name not in buffers:
            _remove_name(name, self._parameters, self._modules)
            if "persistent" in inspect.signature(self.register_buffer).parameters:
                self.register_buffer(name, value, persistent=value.persistent)
            else:  # as subclasses from before there was the argument define it
                self.register_buffer(name, value)
            return
        for hook in _global_buffer_registration_hooks.values():
            replaced = hook(self, name, value)
            value = value if replaced is None else replaced
        buffers[name] = value

    def __delattr__(self, name):
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __dir__(self):
        names = itertools.chain(dir(type(self)), self.__dict__, self._parameters, self._modules, self._buffers)
        return sorted(name for name in set(names) if not name[:1].isdigit())

    def _member_owner(self, target):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return module, name

    def get_submodule(self, target):
        """The submodule at the dotted path `target` ("" is the module itself); AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target, module, strict=False):
        """Put `module` at the dotted path `target`; with `strict`, only in place of one that is there."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target):
        """The Parameter at the dotted path `target`; AttributeError if there is none."""
        module, name = self._member_owner(target)
        param = getattr(module, name)
        if not isinstance(param, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return param

    def get_buffer(self, target):
        """The buffer at the dotted path `target`; AttributeError if there is none."""
        module, name = self._member_owner(target)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return getattr(module, name)

    # ---------------------------------------------------------------- calling

    def __call__(self, *args, **kwargs):
        try:
            if not (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
                or _global_call_hooks
            ):
                return self.forward(*args, **kwargs)
            if _watcher is not None:
                return _watcher(self, args, kwargs)
            return self._call_with_hooks(args, kwargs)
        except Exception as error:
            from .blame import name_layer  # needed only now

            name_layer(error, self, args, kwargs)
            raise

    def _call_impl(self, *args, **kwargs):
        return Module.__call__(self, *args, **kwargs)

    def _call_with_hooks(self, args, kwargs):
        state = {"args": args, "kwargs": kwargs, "result": None, "called": set()}
        try:
            return self._run_hooks_and_forward(state)
        except Exception:
            self._run_pending_always_called(state)
            raise

    def _run_hooks_and_forward(self, state):
        args, kwargs = self._run_forward_pre_hooks(state["args"], state["kwargs"])
        state["args"], state["kwargs"] = args, kwargs
        full, legacy = self._get_backward_hooks()
        pre = self._get_backward_pre_hooks()
        boundary = None
        if full or pre or legacy:
            from .hook import BackwardHook, register_legacy_backward_hooks  # rarely needed, so not loaded before
        if full or pre:
            boundary = BackwardHook(self, full, pre)
            args = boundary.setup_input_hook(args)
        result = state["result"] = self.forward(*args, **kwargs)
        for hook_id, hook, with_kwargs, always in self._all_forward_hooks():
            if always:
                state["called"].add(hook_id)
            replaced = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            if replaced is not None:
                result = state["result"] = replaced
        if boundary is not None:
            if not isinstance(result, (Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors"
                    f" but received {type(result)}",
                    stacklevel=4,
                )
            else:
                result = boundary.setup_output_hook(result)
        if legacy:
            register_legacy_backward_hooks(self, legacy, args, result)
        return result

    def _run_forward_pre_hooks(self, args, kwargs):
        hooks = [(hook, False) for hook in _global_forward_pre_hooks.values()]
        hooks += [(hook, key in self._forward_pre_hooks_with_kwargs) for key, hook in self._forward_pre_hooks.items()]
        for hook, with_kwargs in hooks:
            if with_kwargs:
                replaced = hook(self, args, kwargs)
                if replaced is None:
                    continue
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                    )
                args, kwargs = replaced
            else:
                replaced = hook(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
        return args, kwargs

    def _all_forward_hooks(self):
        """(id, hook, with_kwargs, always_call) of the global forward hooks and then of this module's."""
        for hooks, with_kwargs, always in (
            (_global_forward_hooks, _global_forward_hooks_with_kwargs, _global_forward_hooks_always_called),
            (self._forward_hooks, self._forward_hooks_with_kwargs, self._forward_hooks_always_called),
        ):
            for key, hook in list(hooks.items()):
                yield key, hook, key in with_kwargs, key in always

    def _run_pending_always_called(self, state):
        """After an error in forward, run the hooks registered with `always_call` that did not run."""
        for hook_id, hook, with_kwargs, always in self._all_forward_hooks():
            if not always or hook_id in state["called"]:
                continue
            args, kwargs, result = state["args"], state["kwargs"], state["result"]
            try:
                replaced = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                if replaced is not None:
                    state["result"] = replaced
            except Exception as e:
                where = "global module" if hook_id in _global_forward_hooks else "module"
                warnings.warn(
                    f"{where} forward hook with ``always_call=True`` raised an exception "
                    f"that was silenced as another error was raised in forward: {e}",
                    stacklevel=4,
                )

    def _get_backward_hooks(self):
        """The full and the legacy backward hooks, global ones first."""
        full, legacy = [], []
        if _global_backward_hooks:
            (full if _global_is_full_backward_hook else legacy).extend(_global_backward_hooks.values())
        if self._backward_hooks:
            (full if self._is_full_backward_hook else legacy).extend(self._backward_hooks.values())
        return full, legacy

    def _get_backward_pre_hooks(self):
        return [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]

    def compile(self, *args, **kwargs):
        """Ask for compilation of this module's call; arguments as in `compile`."""
        compiled = wengert.compile(self._call_impl, *args, **kwargs)
        if compiled is not None:
            object.__setattr__(self, "_compiled_call_impl", None)

    # ---------------------------------------------------------------- hooks

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook(module, args)` (`hook(module, args, kwargs)`) before forward; a returned value replaces them."""
        flags = [self._forward_pre_hooks_with_kwargs] * with_kwargs
        return _register(self._forward_pre_hooks, hook, *flags, prepend=prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call `hook(module, args[, kwargs], output)` after forward; a returned value replaces the output.

        `always_call` runs it even when forward raised an error.
        """
        flags = [self._forward_hooks_with_kwargs] * with_kwargs + [self._forward_hooks_always_called] * always_call
        return _register(self._forward_hooks, hook, *flags, prepend=prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call `hook(module, grad_output)` before the module's backward pass; a returned value replaces it."""
        return _register(self._backward_pre_hooks, hook, prepend=prepend)

    def _set_backward_kind(self, full):
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. "
                "Please use only one of them."
            )
        self._is_full_backward_hook = full

    def register_backward_hook(self, hook):
        """Call `hook(module, grad_input, grad_output)` at the last operation of forward (deprecated form)."""
        self._set_backward_kind(False)
        return _register(self._backward_hooks, hook)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call `hook(module, grad_input, grad_output)` once the gradients of the inputs are known.

        A returned value replaces grad_input.
        """
        self._set_backward_kind(True)
        return _register(self._backward_hooks, hook, prepend=prepend)

    def _register_state_dict_hook(self, hook):
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return _register(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Call `hook(module, state_dict, prefix, local_metadata)` at the end of this module's `state_dict`."""
        hook._from_public_api = True
        return _register(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook):
        """Call `hook(module, prefix, keep_vars)` before this module's part of `state_dict` is written."""
        return _register(self._state_dict_pre_hooks, hook)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        return _register(self._load_state_dict_pre_hooks, _BoundHook(hook, self if with_module else None))

    def register_load_state_dict_pre_hook(self, hook):
        """Call `hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)` before loading."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook):
        """Call `hook(module, incompatible_keys)` after this module was loaded; it may edit the key lists in place."""
        return _register(self._load_state_dict_post_hooks, hook)

    # ---------------------------------------------------------------- saving and loading

    def get_extra_state(self):
        """Extra state to be kept in `state_dict`; a subclass that has any overrides this and `set_extra_state`."""
        raise RuntimeError("Module.get_extra_state() must be overridden by a module that keeps extra state.")

    def set_extra_state(self, state):
        """Take back what `get_extra_state` returned."""
        raise RuntimeError("Module.set_extra_state() must be overridden by a module that keeps extra state.")

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buf in self._buffers.items():
            if buf is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buf if keep_vars else buf.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """An OrderedDict of all parameters and persistent buffers by dotted name.

        The tensors are detached (unless `keep_vars`) and share memory with the module's.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for details.",
                FutureWarning,
                stacklevel=2,
            )
            names = ("destination", "prefix", "keep_vars")
            given = dict(zip(names, args, strict=False))
            destination = given.get("destination", destination)
            prefix, keep_vars = given.get("prefix", prefix), given.get("keep_vars", keep_vars)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            replaced = hook(self, destination, prefix, local_metadata)
            if getattr(hook, "_from_public_api", False):
                if replaced is not None:
                    raise RuntimeError("state_dict post-hook must return None")
            elif replaced is not None:
                destination = replaced
        return destination

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        persistent = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        for name, own in itertools.chain(self._parameters.items(), persistent.items()):
            if own is None:
                continue
            key = prefix + name
            if key in state_dict:
                self._load_one(name, own, key, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        self._load_extra_state(state_dict, prefix, strict, missing_keys, unexpected_keys)
        if strict:
            self._collect_unexpected(state_dict, prefix, unexpected_keys)

    def _load_one(self, name, own, key, given, assign, error_msgs):
        if not isinstance(given, Tensor) and not hasattr(given, "__torch_function__"):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(given)}"
            )
            return
        lazy = hasattr(own, "materialize")
        if not lazy:
            # Checkpoints from before 0-dim tensors existed hold one-element vectors.
            if len(own.shape) == 0 and len(given.shape) == 1 and given.shape[0] == 1:
                given = given[0]
            if given.shape != own.shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, "
                    f"the shape in current model is {own.shape}."
                )
                return
        elif not hasattr(given, "materialize"):
            own.materialize(given.shape)
        try:
            with wengert.no_grad():
                if swaps():
                    wengert.utils.swap_tensors(own, _like_the_old(own, _loaded(own, given, assign)))
                elif assign:
                    setattr(self, name, _like_the_old(own, given))
                else:
                    own.copy_(given)
                    if own.is_meta and not given.is_meta:
                        warnings.warn(NO_OP.format(key), stacklevel=2)
        except Exception as e:
            action = "swapping" if swaps() else "copying"
            error_msgs.append(
                f'While {action} the parameter named "{key}", whose dimensions in the model '
                f"are {own.size()} and whose dimensions in the checkpoint are {given.size()}, "
                f"an exception occurred : {e.args}."
            )

    def _load_extra_state(self, state_dict, prefix, strict, missing_keys, unexpected_keys):
        key = prefix + _EXTRA_STATE_KEY
        if type(self).set_extra_state is not Module.set_extra_state:
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing_keys.append(key)
        elif strict and key in state_dict:
            unexpected_keys.append(key)

    def _collect_unexpected(self, state_dict, prefix, unexpected_keys):
        own = {*self._parameters, *self._buffers} - self._non_persistent_buffers_set
        absent = {n for n, v in itertools.chain(self._parameters.items(), self._buffers.items()) if v is None}
        for key in state_dict:
            if not key.startswith(prefix) or key == prefix + _EXTRA_STATE_KEY:
                continue
            head, *rest = key[len(prefix) :].split(".", 1)
            if rest and head in self._modules:
                continue
            if rest or head not in own or head in absent:
                unexpected_keys.append(key)

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy (or with `assign`, take over) the tensors of `state_dict` into this module and its submodules.

        Returns the missing and unexpected keys. Raises RuntimeError listing every mismatch: of shapes always,
        of keys when `strict`.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing_keys, unexpected_keys, error_msgs = [], [], []
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata

        def load(module, local_state_dict, prefix=""):
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(
                local_state_dict, prefix, local_metadata, True, missing_keys, unexpected_keys, error_msgs
            )
            for name, child in module._modules.items():
                if child is not None:
                    child_prefix = f"{prefix}{name}."
                    mine = {k: v for k, v in local_state_dict.items() if k.startswith(child_prefix)}
                    load(child, mine, child_prefix)
            keys = _IncompatibleKeys(missing_keys, unexpected_keys)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                        "values, if incompatible_keys need to be modified, it should be done inplace."
                    )

        load(self, state_dict)
        if strict:
            for kind, keys in (("Unexpected", unexpected_keys), ("Missing", missing_keys)):
                if keys:
                    listed = ", ".join(f'"{k}"' for k in keys)
                    error_msgs.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
        if error_msgs:
            lines = "\n\t".join(error_msgs)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        return _IncompatibleKeys(missing_keys, unexpected_keys)

    # ---------------------------------------------------------------- walking the tree

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for module_prefix, module in modules:
            for name, value in get_members_fn(module):
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield f"{module_prefix}.{name}" if module_prefix else name, value

    def parameters(self, recurse=True):
        """Iterate over the parameters, each once."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over (dotted name, parameter)."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """Iterate over the buffers, each once."""
        for _, buf in self.named_buffers(recurse=recurse):
            yield buf

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over (dotted name, buffer)."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self):
        """Iterate over the direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """Iterate over (name, direct submodule)."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate=True):
        """Iterate over this module and all below it, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Iterate over (dotted name, module) of this module and all below it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    # ---------------------------------------------------------------- changing the tree

    def apply(self, fn):
        """Call `fn` on every submodule and then on this module; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn, recurse=True):
        """Replace the contents of every parameter, gradient and buffer by `fn` of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, param in self._parameters.items():
            if param is not None:
                self._renew(name, param, fn)
        for name, buf in self._buffers.items():
            if buf is not None:
                self._buffers[name] = fn(buf)
        return self

    def _renew(self, name, param, fn):
        """Put `fn` of a parameter and of its gradient into the parameter, or a new parameter into its place."""
        with wengert.no_grad():
            data, grad = fn(param), param.grad
            grad_data = None if grad is None else fn(grad)
            if swaps():
                self._swap(name, param, data)
                if grad is not None:
                    wengert.utils.swap_tensors(grad, grad_data.requires_grad_(grad.requires_grad))
                    param.grad = grad
            elif overwrites() or data.is_meta is not param.is_meta:  # on another device: another object
                self._parameters[name] = new = Parameter(data, param.requires_grad)
                if grad is not None:
                    new.grad = grad_data.requires_grad_(grad.requires_grad)
            else:
                param.data = data
                if grad is not None:
                    grad.data = grad_data

    def _swap(self, name, param, data):
        grad, param.grad = param.grad, None
        try:
            wengert.utils.swap_tensors(param, Parameter(data, requires_grad=param.requires_grad))
        except Exception as error:
            param.grad = grad
            raise RuntimeError(f"_apply(): Couldn't swap {self._get_name()}.{name}") from error

    def to(self, *args, **kwargs):
        """Convert parameters and buffers.

        Arguments: (device, dtype, non_blocking), (dtype, non_blocking) or (tensor, non_blocking); `memory_format`.
        Only floating-point and complex tensors change dtype. Returns the module itself.
        """
        device, dtype, non_blocking, memory_format = _parse_to(*args, **kwargs)
        if dtype is not None:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise TypeError(
                    f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
                )
            if dtype.is_complex:
                warnings.warn(
                    "Complex modules are a new feature under active development whose design may change, and some "
                    "modules might not work as expected when using complex tensors as parameters or buffers.",
                    stacklevel=2,
                )

        def convert(t):
            new_dtype = dtype if t.is_floating_point() or t.is_complex() else None
            if memory_format is not None and t.dim() in (4, 5):
                return t.to(device, new_dtype, non_blocking, memory_format=memory_format)
            return t.to(device, new_dtype, non_blocking)

        return self._apply(convert)

    def type(self, dst_type):
        """Convert all parameters and buffers to `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def _to_floating(self, dtype):
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self):
        """Convert all floating-point parameters and buffers to float32."""
        return self._to_floating(wengert.float32)

    def double(self):
        """Convert all floating-point parameters and buffers to float64."""
        return self._to_floating(wengert.float64)

    def half(self):
        """Convert all floating-point parameters and buffers to float16."""
        return self._to_floating(wengert.float16)

    def bfloat16(self):
        """Convert all floating-point parameters and buffers to bfloat16."""
        return self._to_floating(wengert.bfloat16)

    def cpu(self):
        """Move all parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None):
        """Move all parameters and buffers to a GPU."""
        return self._apply(lambda t: t.cuda(device))

    def ipu(self, device=None):
        """Move all parameters and buffers to an IPU (refused by every tensor: there is no such backend)."""
        return self.to("ipu" if device is None else device)

    def xpu(self, device=None):
        """Move all parameters and buffers to an XPU (refused by every tensor: there is no such backend)."""
        return self.to("xpu" if device is None else device)

    def mtia(self, device=None):
        """Move all parameters and buffers to an MTIA device (refused by every tensor: there is no such backend)."""
        return self.to("mtia" if device is None else device)

    def to_empty(self, *, device, recurse=True):
        """Replace parameters and buffers by uninitialized memory on `device`."""
        return self._apply(lambda t: wengert.empty_like(t, device=device), recurse=recurse)

    def share_memory(self):
        """Move parameters and buffers to shared memory."""
        return self._apply(lambda t: t.share_memory_())

    def train(self, mode=True):
        """Set training mode (`mode=False`: evaluation) here and below; returns the module."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode; same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Set `requires_grad` of every parameter; returns the module."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Drop the gradient of every parameter, or (`set_to_none=False`) fill it with zeros."""
        if rare.active:
            for observe in rare.on_result:
                observe("zero_grad", (), self, None)
        for param in self.parameters():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                param.grad = param.grad.detach() if param.grad.grad_fn is not None else param.grad.requires_grad_(False)
                param.grad.zero_()

    # ---------------------------------------------------------------- pickling and printing

    def __getstate__(self):
        state = dict(self.__dict__)
        state.pop("_compiled_call_impl", None)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        for name, default in _NEWER_ATTRIBUTES.items():
            if name not in self.__dict__:
                self.__dict__[name] = default()

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """What `repr` shows of this module besides its children."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_addindent(repr(module), 2)}" for name, module in self._modules.items()]
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra})"
        lines = extra_lines + child_lines
        body = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({body})"


# Attributes that a module pickled by an older version may lack.
_NEWER_ATTRIBUTES = {
    "_forward_pre_hooks": OrderedDict,
    "_forward_pre_hooks_with_kwargs": OrderedDict,
    "_forward_hooks_with_kwargs": OrderedDict,
    "_forward_hooks_always_called": OrderedDict,
    "_state_dict_hooks": OrderedDict,
    "_state_dict_pre_hooks": OrderedDict,
    "_load_state_dict_pre_hooks": OrderedDict,
    "_load_state_dict_post_hooks": OrderedDict,
    "_non_persistent_buffers_set": set,
    "_is_full_backward_hook": lambda: None,
    "_backward_pre_hooks": OrderedDict,
}


def _through_registration_hooks(module, name, child):
    for hook in _global_module_registration_hooks.values():
        replaced = hook(module, name, child)
        child = child if replaced is None else replaced
    return child


def _remove_name(name, *collections):
    for collection in collections:
        if name in collection:
            if isinstance(collection, dict):
                del collection[name]
            else:
                collection.discard(name)


def swaps():
    """Whether parameters and their new values change places: see `torch.__future__`."""
    return wengert.__future__.get_swap_module_params_on_conversion()


def overwrites():
    """Whether conversions make new parameters: see `torch.__future__`."""
    return wengert.__future__.get_overwrite_module_params_on_conversion()


def _loaded(own, given, assign):
    new = own.module_load(given, assign=assign)
    if new is given or new is own:
        raise RuntimeError(
            "module_load returned one of self or other, please .detach() the result if returning one of the inputs in "
            "module_load"
        )
    return new


def _like_the_old(own, new):
    """`new` as what takes the place of `own`: a parameter where that was one."""
    if not isinstance(own, Parameter):
        return new
    if not isinstance(new, Parameter):
        return Parameter(new, requires_grad=own.requires_grad)
    return new.requires_grad_(own.requires_grad)


# What `to` may be called with: the leading arguments of each form, and what each of them may be.
FORMS_OF_TO = (
    {"device": (str, wengert.device, int, type(None)), "dtype": (wengert.dtype, type(None))},
    {"dtype": wengert.dtype},
    {"tensor": Tensor},
)
OTHERS_OF_TO = {"non_blocking": bool, "copy": bool}


def _parse_to(*args, **kwargs):
    """(device, dtype, non_blocking, memory_format) that the arguments of a `to` mean.

    Raises:
        TypeError: they fit none of its forms.
        RuntimeError: they ask for a copy, which no module makes.
    """
    args, keywords = map(from_python, args), {name: from_python(value) for name, value in kwargs.items()}
    args, memory_format = tuple(args), keywords.pop("memory_format", None)
    given = next(filter(None, (_fitted(form | OTHERS_OF_TO, args, keywords) for form in FORMS_OF_TO)), None)
    if given is None and (args or keywords):
        named = [f"{name}={_kind(value)}" for name, value in kwargs.items()]
        got = ", ".join([*map(_kind, args), *named]) if args else ", ".join(named) + ", "
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({got}), but expected one of:\n"
            " * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, bool copy = False, "
            "*, torch.memory_format memory_format = None)\n"
            " * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, torch.memory_format "
            "memory_format = None)\n"
            " * (Tensor tensor, bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = "
            "None)"
        )
    given = given or {}
    if given.get("copy"):
        raise RuntimeError(".to() does not accept copy argument")
    device, dtype = given.get("device"), given.get("dtype")
    if "tensor" in given:
        device, dtype = given["tensor"].device, given["tensor"].dtype
    device = device if device is None else wengert.device(device)
    return device, dtype, given.get("non_blocking", False), memory_format


def _fitted(kinds, args, kwargs):
    """The arguments by name if they are of these kinds, else None."""
    names = list(kinds)
    given = dict(zip(names, args))
    if len(args) > len(names) or given.keys() & kwargs.keys():
        return None
    given.update(kwargs)
    fits = all(name in kinds and isinstance(value, kinds[name]) for name, value in given.items())
    return given if fits and not isinstance(given.get("device"), bool) else None


def _kind(value):
    name = "Tensor" if isinstance(value, Tensor) else type(value).__name__
    return f"torch.{name}" if isinstance(value, (wengert.device, wengert.dtype)) else name
