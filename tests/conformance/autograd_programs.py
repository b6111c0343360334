"""Programs about gradients, run under both modules by `test_autograd`.

Each factory makes its programs over one module, named `torch` as in any program; `say` notes what a program sees.
"""

# ruff: noqa: RUF059, SIM117, F841

import contextlib
import threading
import warnings


def functions(torch, say):
    """User-defined Functions: what is checked, what enters the graph."""
    Function = torch.autograd.Function
    x = torch.tensor([1.0, 2.0], requires_grad=True)

    class A(Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            ctx.save_for_backward(x)
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    def wrong_number_of_gradients():
        class B(Function):
            @staticmethod
            def forward(ctx, x, y):
                return x * y

            @staticmethod
            def backward(ctx, g):
                return g

        B.apply(x, x).sum().backward()

    def gradient_that_is_no_tensor():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return 3.0

        B.apply(x).sum().backward()

    def gradient_of_another_shape():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return torch.ones(3)

        B.apply(x).sum().backward()

    def gradient_for_a_number():
        class B(Function):
            @staticmethod
            def forward(ctx, x, k):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g, g

        B.apply(x, 2).sum().backward()

    def number_as_output():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return 2

            @staticmethod
            def backward(ctx, g):
                return g

        return B.apply(x)

    def outputs_of_all_kinds():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2, "hi", x

            @staticmethod
            def backward(ctx, *g):
                say(g)
                return g[0]

        o = B.apply(x)
        r = (o, o[0].grad_fn, o[2]._is_view(), o[2].grad_fn, o[2].output_nr)
        o[0].sum().backward()
        return r

    def inputs_written_in_place():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                x.add_(1)
                ctx.mark_dirty(x)
                return x

            @staticmethod
            def backward(ctx, g):
                return g

        a = x.clone()
        b = B.apply(a)
        say(a is b, a._version, a.grad_fn, a.grad_fn.next_functions)
        c = x.clone()
        v = c[:1]
        d = B.apply(v)
        say(d is v, c.grad_fn, v.grad_fn, v._version)
        B.apply(x)

    def view_written_beside_another_output():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                x.add_(1)
                ctx.mark_dirty(x)
                return x, x * 2

            @staticmethod
            def backward(ctx, g, h):
                return g

        c = x.clone()
        v = c[:1]
        B.apply(v)

    def written_input_not_returned():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                x.add_(1)
                ctx.mark_dirty(x)
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g

        c = x.clone()
        return B.apply(c)

    def output_marked_as_written():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                y = x * 2
                ctx.mark_dirty(y)
                return y

            @staticmethod
            def backward(ctx, g):
                return g

        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            r = B.apply(x.clone())
            say([str(i.message) for i in w])
            return r

    def input_returned_as_it_is():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x

            @staticmethod
            def backward(ctx, g):
                return g

        y = B.apply(x)
        say(y is x, y._is_view(), y._base is x)
        try:
            y.add_(1)
        except Exception as e:
            say(e)
        a = x.clone()
        y = B.apply(a)
        try:
            y.add_(1)
        except Exception as e:
            say(e)
        with torch.no_grad():
            y = B.apply(x)
            say(y is x, y.requires_grad, y._is_view())
        z = torch.ones(2)
        y = B.apply(z)
        say(y is z, y._is_view())

    def view_of_an_input_returned():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x[:1]

            @staticmethod
            def backward(ctx, g):
                return torch.cat([g, g * 0])

        a = x.clone()
        y = B.apply(a)
        say(y._is_view(), y.grad_fn, y._base is a)
        y.add_(1)

    def no_backward():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

        return B.apply(x).sum().backward()

    def no_forward():
        class B(Function):
            pass

        return B.apply(x)

    def backward_and_vjp():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g

            @staticmethod
            def vjp(ctx, g):
                return g

        return B.apply(x).sum().backward()

    def number_saved():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(3)
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g

        return B.apply(x)

    def attributes_of_the_node():
        y = A.apply(x, 3)
        f = y.grad_fn
        say(f.name(), f.k, f.saved_tensors, f.needs_input_grad, f.next_functions, len(f._raw_saved_tensors), f.metadata)
        y.sum().backward()
        f.saved_tensors

    def twice_without_reading_what_was_saved():
        y = A.apply(x, 3).sum()
        y.backward()
        y.backward()

    def once_differentiable():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            @torch.autograd.function.once_differentiable
            def backward(ctx, g):
                say(torch.is_grad_enabled(), g.requires_grad)
                return g * 2

        (g,) = torch.autograd.grad(B.apply(x).pow(2).sum(), x, create_graph=True)
        say(g.requires_grad, g.grad_fn)
        g.sum().backward()

    def gradients_not_materialized():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.set_materialize_grads(False)
                return x * 2, x * 3

            @staticmethod
            def backward(ctx, g, h):
                say(g, h)
                return g * 2

        B.apply(x)[0].sum().backward()

    def marked_non_differentiable():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                i = x.argmax()
                y = x * 1.0
                ctx.mark_non_differentiable(y)
                return x * 2, y, i

            @staticmethod
            def backward(ctx, *g):
                say(g)
                return g[0] * 2

        o = B.apply(x)
        say([t.requires_grad for t in o], [t.grad_fn for t in o])
        o[0].sum().backward()

    def nothing_differentiable():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                y = x * 1.0
                ctx.mark_non_differentiable(y)
                return y

        return B.apply(x)

    def saved_written_but_not_read():
        a = x.clone()
        y = A.apply(a, 2)
        a.add_(1)
        y.sum().backward()

    def jvp_of_a_function():
        fw = torch.autograd.forward_ad

        class B(Function):
            @staticmethod
            def forward(ctx, x, y, k):
                ctx.save_for_forward(x, y)
                return x * y

            @staticmethod
            def jvp(ctx, a, b, k):
                say(a, b, k, ctx.saved_tensors)
                return a

        with fw.dual_level():
            d = fw.make_dual(torch.ones(2), torch.ones(2) * 3)
            o = B.apply(d, torch.ones(2), 4)
            say(o, fw.unpack_dual(o))

    def no_jvp():
        fw = torch.autograd.forward_ad
        with fw.dual_level():
            d = fw.make_dual(torch.ones(2), torch.ones(2) * 3)
            A.apply(d, 4)

    def keyword_argument():
        return A.apply(x, k=3)

    def trailing_nones():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g, None, None

        B.apply(x).sum().backward()

    def instance_called():
        return A()(x)

    def setup_context_and_defaults():
        class B(Function):
            @staticmethod
            def forward(x, k=2):
                return x * k

            @staticmethod
            def setup_context(ctx, inputs, output):
                say(inputs, output, output.grad_fn)
                ctx.save_for_backward(inputs[0], output)

            @staticmethod
            def backward(ctx, g):
                say(ctx.saved_tensors, ctx.needs_input_grad)
                return g, None

        B.apply(x, k=3).sum().backward()
        B.apply(x).sum().backward()

    def gradient_of_another_dtype():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return torch.ones(3, 2, dtype=torch.float64)

        x.grad = None
        B.apply(x).sum().backward()
        return x.grad

    def all_gradients_none():
        class B(Function):
            @staticmethod
            def forward(ctx, x, y):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return None, None

        x.grad = None
        B.apply(x, x).sum().backward()
        return x.grad

    def forward_unrecorded():
        class B(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.o = x * 2
                say(ctx.o.requires_grad, torch.is_grad_enabled())
                return ctx.o

            @staticmethod
            def backward(ctx, g):
                return g

        y = B.apply(x)
        return y.requires_grad

    return locals()


def graph(torch, say):
    """The graph API: saved tensors, edges, multi-grad hooks, anomaly mode."""
    G = torch.autograd.graph
    x = torch.tensor([1.0, 2.0], requires_grad=True)

    def saved_tensors_hooks():
        log = []

        def pack(t):
            log.append(("p", t.tolist()))
            return t.tolist()

        def unpack(l):
            log.append(("u", l))
            return torch.tensor(l)

        with G.saved_tensors_hooks(pack, unpack):
            y = x * x.exp()
            z = (y * y).sum()
        say(z.grad_fn.next_functions[0][0]._saved_self)
        (g,) = torch.autograd.grad(z, x, create_graph=True)
        say(g, log)
        log.clear()
        (g2,) = torch.autograd.grad(g.sum(), x)
        say(g2, log)

    def nested_hooks():
        log = []
        with G.saved_tensors_hooks(lambda t: (log.append(1), t)[1], lambda t: t):
            with G.saved_tensors_hooks(lambda t: (log.append(2), t)[1], lambda t: t):
                y = x.sin()
            z = x.cos()
        return log

    def unpack_gives_a_number():
        with G.saved_tensors_hooks(lambda t: 1, lambda t: t):
            y = x.sin()
        y.sum().backward()

    def pack_writes_in_place():
        with G.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t):
            y = x.clone().sin()

    def hooks_disabled():
        with G.disable_saved_tensors_hooks("nope"):
            with G.saved_tensors_hooks(lambda t: t, lambda t: t):
                pass

    def disabled_inside_hooks():
        with G.saved_tensors_hooks(lambda t: t, lambda t: t):
            with G.disable_saved_tensors_hooks("nope"):
                pass

    def raw_saved():
        y = x.clone() * x
        s = y.grad_fn._raw_saved_self
        s.register_hooks(lambda t: t * 2, lambda t: t)
        try:
            s.register_hooks(lambda t: t * 2, lambda t: t)
        except Exception as e:
            say(type(e).__name__, e)
        y.sum().backward()
        say(x.grad)
        x.grad = None
        try:
            s.register_hooks(lambda t: t * 2, lambda t: t)
        except Exception as e:
            say(type(e).__name__, e)
        try:
            y.grad_fn._saved_self
        except Exception as e:
            say(type(e).__name__, e)

    def save_on_cpu():
        with G.save_on_cpu():
            y = (x * x).sum()
        y.backward()
        r = x.grad
        x.grad = None
        return r

    def gradient_edges():
        y = x.exp()
        e = G.get_gradient_edge(y)
        say(e.output_nr, e.node, e._fields)
        say(torch.autograd.grad(y.sum(), e), torch.autograd.grad(e, x, grad_outputs=torch.ones(2)))
        e = G.get_gradient_edge(x)
        say(e.node, e.output_nr)
        a, b = torch.stack([x, x * 2]).unbind(0)
        e = G.get_gradient_edge(b)
        say(e.output_nr, e.node)
        z = (a * b).sum()
        say(torch.autograd.grad(z, [e, b, G.GradientEdge(e.node, 0)]))

    def edge_of_a_constant():
        return G.get_gradient_edge(torch.ones(1))

    def increment_version():
        t = torch.ones(2)
        G.increment_version(t)
        say(t._version)
        G.increment_version([t, t])
        return t._version

    def increment_version_of_saved():
        a = x.clone()
        y = a * a
        G.increment_version(a)
        y.sum().backward()

    def multi_grad_hooks():
        a = torch.ones(2, requires_grad=True)
        b = torch.ones(2, requires_grad=True)
        c = torch.ones(2, requires_grad=True)
        h = G.register_multi_grad_hook((a, b, c), lambda gs: say("all", gs))
        h2 = G.register_multi_grad_hook((a, b, c), lambda g: say("any", g), mode="any")
        (a * b * 2).sum().backward()
        (a * b * c).sum().backward()
        h.remove()
        h2.remove()
        (a * b * c).sum().backward()
        s = (a * b).sum()
        h = G.register_multi_grad_hook((a, b), lambda gs: say("all", gs))
        s.backward(inputs=[a])

    def multi_grad_hook_on_a_constant():
        G.register_multi_grad_hook((torch.ones(1),), lambda g: 1)

    def multi_grad_hook_mode():
        G.register_multi_grad_hook((x,), lambda g: 1, mode="x")

    def mutation_allowed():
        with G.allow_mutation_on_saved_tensors() as ctx:
            a = x.clone()
            y = a.sin()
            a.mul_(3)
            b = y.exp()
            b.add_(1)
            y.zero_()
            (b.sum()).backward()
        r = x.grad
        x.grad = None
        return r

    def mutation_allowed_backward_outside():
        with G.allow_mutation_on_saved_tensors() as ctx:
            a = x.clone()
            y = a.sin()
        y.sum().backward()

    def mutation_allowed_twice():
        with G.allow_mutation_on_saved_tensors() as ctx:
            with G.allow_mutation_on_saved_tensors() as ctx:
                pass

    def anomaly_nan():
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            try:
                with torch.autograd.detect_anomaly():
                    a = torch.zeros(2, requires_grad=True)
                    y = (a.sqrt() * 0).sum()
                    y.backward()
            except RuntimeError as e:
                say(e)
            for i in w:
                say(i.category.__name__, str(i.message).splitlines()[0][:60])

    def anomaly_without_nan_check():
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            with torch.autograd.set_detect_anomaly(True, check_nan=False):
                a = torch.zeros(2, requires_grad=True)
                y = (a.sqrt() * 0).sum()
                y.backward()
            say(torch.is_anomaly_enabled(), len(w))
            torch.autograd.set_detect_anomaly(True)
            say(torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
            torch.autograd.set_detect_anomaly(False)

    def anomaly_error_in_backward():
        class F(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                raise ValueError("hi")

        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            try:
                with torch.autograd.set_detect_anomaly(True):
                    y = F.apply(x)
                    say(list(y.grad_fn.metadata))
                    y.sum().backward()
            except ValueError as e:
                say(e)
            for i in w:
                say(i.category.__name__, str(i.message).splitlines()[0][:60])

    def anomaly_without_forward_information():
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            try:
                y = x.sqrt()
                y.register_hook(lambda g: g * float("nan"))
                with torch.autograd.set_detect_anomaly(True):
                    y.sum().backward()
            except RuntimeError as e:
                say(e)
            for i in w:
                say(i.category.__name__, str(i.message).splitlines()[0][:130])

    def node():
        y = x.exp()
        n = y.grad_fn
        say(
            isinstance(n, G.Node), n.name(), n.metadata, n.next_functions[0][1], n._sequence_nr() >= 0, type(n).__name__
        )
        say(n(torch.ones(2)))
        say(n._saved_result)
        s = (x * 2).split(1)
        say(s[0].grad_fn is s[1].grad_fn, s[1].output_nr, s[0].grad_fn(torch.ones(1), None))

    return locals()


def forward_mode(torch, say):
    """Dual tensors."""
    fw = torch.autograd.forward_ad
    x = torch.tensor([1.0, 2.0, 3.0])
    t = torch.tensor([1.0, 0.5, -1.0])

    def no_level():
        fw.make_dual(x, t)

    def tangent_of_another_shape():
        with fw.dual_level():
            fw.make_dual(x, torch.ones(2))

    def integer_primal():
        with fw.dual_level():
            fw.make_dual(x.long(), t)

    def integer_tangent():
        with fw.dual_level():
            fw.make_dual(x, t.long())

    def tangent_of_another_dtype():
        with fw.dual_level():
            fw.make_dual(x, t.double())

    def nested_levels():
        with fw.dual_level():
            with fw.dual_level():
                pass

    def exit_without_level():
        fw.exit_dual_level()

    def dual_of_a_dual():
        with fw.dual_level():
            d = fw.make_dual(x, t)
            return fw.make_dual(d, t)

    def pack_and_unpack():
        with fw.dual_level():
            d = fw.make_dual(x, t)
            say(d, fw.unpack_dual(d), d.requires_grad, d.grad_fn)
            y = d * d.sin() + 1
            say(y)
            say(fw.unpack_dual(y.detach()), fw.unpack_dual(x))
        say(y, fw.unpack_dual(d), d)

    def with_reverse_mode():
        p = x.clone().requires_grad_()
        with fw.dual_level():
            d = fw.make_dual(p, t)
            y = (d.exp() * d.sin()).sum()
            say(d.grad_fn, y)
            (g,) = torch.autograd.grad(y, d)
            say(g)
            y = (d.exp() * d.sin()).sum()
            y.backward()
            say(p.grad)
            y = (d**3).sum()
            pr, ta = fw.unpack_dual(y)
            say(ta, ta.requires_grad)
            say(torch.autograd.grad(ta, p))

    def in_place():
        with fw.dual_level():
            d = fw.make_dual(x.clone(), t)
            v = d[1:]
            v.mul_(2)
            say(d)
            b = torch.zeros(3)
            w = b[:2]
            w.copy_(d[:2])
            say(b, w)
            b.mul_(3)
            say(w)
            b.zero_()
            say(w)
            c = torch.zeros(3)
            c[1] = d[0]
            say(c)
            c[torch.tensor([0, 2])] = d[1:]
            say(c)
            e = torch.ones(3)
            e.add_(d)
            say(e)
            d.add_(1)
            d.relu_()
            say(d)

    def many_operations():
        with fw.dual_level():
            d = fw.make_dual(x.clone(), t)
            for f in [
                lambda d: d.split(2)[0],
                lambda d: d.unbind(0)[1],
                lambda d: torch.cat([d, d * 2]),
                lambda d: torch.stack([d, x]),
                lambda d: d.reshape(3, 1).T,
                lambda d: d[None],
                lambda d: d[torch.tensor([0, 0, 2])],
                lambda d: d[d > 1.5],
                lambda d: d.sum(),
                lambda d: d.mean(),
                lambda d: d.max(),
                lambda d: d.max(0),
                lambda d: d.sort(descending=True),
                lambda d: d @ d,
                lambda d: torch.outer(d, d) @ d,
                lambda d: d.softmax(0),
                lambda d: d.log_softmax(0),
                lambda d: torch.where(d > 1.5, d, -d),
                lambda d: d.double(),
                lambda d: d.to(torch.float64) * 2,
                lambda d: d + 1j,
                lambda d: (d * (1 + 2j)).abs(),
                lambda d: d.clone(),
                lambda d: d.contiguous(),
                lambda d: d.float(),
                lambda d: d.norm(),
                lambda d: d.var(),
                lambda d: d.cumsum(0),
                lambda d: d.prod(),
                lambda d: d.clamp(1.5, 2.5),
                lambda d: 2 / d,
                lambda d: d / 2,
                lambda d: 2**d,
                lambda d: d.pow(2),
                lambda d: torch.nn.functional.linear(d[None], torch.ones(2, 3)),
                lambda d: torch.nn.functional.layer_norm(d, [3]),
                lambda d: torch.nn.functional.mse_loss(d, x * 2),
                lambda d: torch.nn.functional.cross_entropy(d[None], torch.tensor([1])),
                lambda d: d.expand(2, 3),
                lambda d: d.repeat(2),
                lambda d: d.view(3, 1),
                lambda d: d.flip(0),
                lambda d: d.argmax(),
                lambda d: d.int(),
                lambda d: d.tolist(),
                lambda d: d[0].item(),
                lambda d: torch.logsumexp(d, 0),
                lambda d: d.chunk(2)[1],
                lambda d: torch.einsum("i,j->ij", d, d),
                lambda d: d.gather(0, torch.tensor([2, 1])),
                lambda d: d.masked_fill(d > 2, 0.0),
                lambda d: torch.nn.functional.gelu(d),
                lambda d: d.sigmoid(),
                lambda d: d.tanh(),
                lambda d: d.abs(),
                lambda d: d.float().requires_grad_(),
                lambda d: d.new_zeros(3) + d,
                lambda d: torch.zeros_like(d),
                lambda d: d.T if d.ndim == 2 else d.mT if d.ndim > 2 else d.flatten(),
                lambda d: d.bfloat16(),
            ]:
                try:
                    say(f(d))
                except Exception as e:
                    say(type(e).__name__, str(e)[:100])

    def complex_numbers():
        with fw.dual_level():
            d = fw.make_dual(torch.tensor([1 + 1j, 2 - 1j]), torch.tensor([1j, 2 + 0j]))
            say(d * d, d.abs(), d.real, d.exp(), d.conj(), torch.view_as_real(d), d.angle(), d.sum().abs())

    def under_no_grad():
        with fw.dual_level(), torch.no_grad():
            d = fw.make_dual(x, t)
            say(d * 2)

    def function_with_jvp():
        class F(torch.autograd.Function):
            @staticmethod
            def forward(x, y):
                return x * y, x + y

            @staticmethod
            def setup_context(ctx, inp, out):
                ctx.save_for_forward(*inp)
                ctx.save_for_backward(*inp)

            @staticmethod
            def backward(ctx, g, h):
                x, y = ctx.saved_tensors
                return g * y + h, g * x + h

            @staticmethod
            def jvp(ctx, a, b):
                x, y = ctx.saved_tensors
                return a * y + x * b, a + b

        p = x.clone().requires_grad_()
        with fw.dual_level():
            d = fw.make_dual(p, t)
            u, v = F.apply(d, x)
            say(u, v)
            (u * v).sum().backward()
            say(p.grad)

    return locals()


def checkpointing(torch, say):
    """Both ways of checkpointing."""
    cp = torch.utils.checkpoint
    checkpoint, checkpoint_sequential = cp.checkpoint, cp.checkpoint_sequential
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    calls = []

    def f(a, k=1):
        calls.append(1)
        return (a.sin() * k).exp() * a

    def g(t):
        r = x.grad
        x.grad = None
        return r

    def default_way():
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            y = checkpoint(f, x)
            say([str(i.message)[:200] for i in w])
        y.sum().backward()
        return g(x), len(calls)

    def both_ways():
        for r in (True, False):
            calls.clear()
            y = checkpoint(f, x, use_reentrant=r)
            say(y.grad_fn.name(), len(calls))
            y.sum().backward()
            say(g(x), len(calls))

    def keywords_refused():
        return checkpoint(f, x, 2, use_reentrant=True, k=3)

    def keywords():
        y = checkpoint(f, x, k=3, use_reentrant=False)
        y.sum().backward()
        return g(x)

    def reentrant_with_grad():
        y = checkpoint(f, x, use_reentrant=True)
        return torch.autograd.grad(y.sum(), x)

    def grad():
        y = checkpoint(f, x, use_reentrant=False)
        return torch.autograd.grad(y.sum(), x)

    def nothing_requires_grad():
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            y = checkpoint(f, x.detach(), use_reentrant=True)
            say([str(i.message)[:200] for i in w], y.requires_grad)

    def changed_shapes():
        n = [0]

        def h(a):
            n[0] += 1
            return (a.sin() if n[0] == 1 else a[:2].sin()).exp()

        y = checkpoint(h, x, use_reentrant=False)
        y.sum().backward()

    def changed_end():
        n = [0]

        def h(a):
            n[0] += 1
            y = a.sin().exp()
            return y if n[0] == 1 else a * 2

        y = checkpoint(h, x, use_reentrant=False)
        y.sum().backward()

    def early_stop():
        l = []

        def h(a):
            y = a.sin()
            l.append("s")
            z = y.exp()
            l.append("e")
            w = z + 1
            l.append("end")
            return w

        y = checkpoint(h, x, use_reentrant=False)
        l.clear()
        y.sum().backward()
        say(l, g(x))
        with cp.set_checkpoint_early_stop(False):
            y = checkpoint(h, x, use_reentrant=False)
            l.clear()
        y.sum().backward()
        say(l, g(x))
        y = checkpoint(h, x, use_reentrant=False, early_stop=False)
        l.clear()
        y.sum().backward(retain_graph=True)
        say(l)
        y.sum().backward()
        say(l)
        g(x)

    def random_numbers():
        for r in (True, False):
            torch.manual_seed(0)
            y = checkpoint(lambda a: torch.nn.functional.dropout(a, 0.5) * torch.rand(3) * a, x, use_reentrant=r)
            y.sum().backward()
            u = torch.rand(1)
            q = g(x)
            torch.manual_seed(0)
            y = torch.nn.functional.dropout(x, 0.5) * torch.rand(3) * x
            y.sum().backward()
            say((q == g(x)).all().item(), (u == torch.rand(1)).item())

    def sequential():
        m = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2), torch.nn.Tanh())
        for r in (True, False):
            y = checkpoint_sequential(m, 2, x[None], use_reentrant=r)
            y.sum().backward()
            a = [p.grad.clone() for p in m.parameters()]
            m.zero_grad()
            q = g(x)
            m(x[None]).sum().backward()
            say(all(torch.allclose(u, p.grad) for u, p in zip(a, m.parameters())), torch.allclose(q, g(x)))
            m.zero_grad()

    def nested_and_second_derivative():
        def inner(a):
            return a.sin().exp()

        def outer(a):
            return checkpoint(inner, a * 2, use_reentrant=False).cos()

        y = checkpoint(outer, x, use_reentrant=False)
        y.sum().backward()
        say(g(x))
        y = checkpoint(outer, x, use_reentrant=False)
        (a,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        say(torch.autograd.grad(a.sum(), x))

    def unknown_keyword():
        return checkpoint(f, x, use_reentrant=False, nope=3)

    def context_fn_refused():
        return checkpoint(f, x, use_reentrant=True, context_fn=lambda: (1, 2))

    def context_fn():
        l = []

        @contextlib.contextmanager
        def c(n):
            l.append(n)
            yield

        y = checkpoint(f, x, use_reentrant=False, context_fn=lambda: (c("f"), c("r")))
        y.sum().backward()
        g(x)
        return l

    def under_no_grad():
        with torch.no_grad():
            say(checkpoint(f, x, use_reentrant=False).requires_grad, checkpoint(f, x, use_reentrant=True).requires_grad)

    def dict_argument():
        y = checkpoint(lambda d, n: (d["a"] * n, "str"), {"a": x}, 3, use_reentrant=False)
        y[0].sum().backward()
        return g(x)

    return locals()


def functional(torch, say):
    """torch.func, torch.autograd.functional, gradcheck."""
    grad, grad_and_value, vjp, jvp, jacrev, jacfwd, hessian, vmap, linearize = (
        getattr(torch.func, n)
        for n in ("grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "vmap", "linearize")
    )
    AF = torch.autograd.functional
    x = torch.tensor([1.0, 2.0, 3.0])
    f = lambda x: (x.sin() * x).sum()
    g = lambda x: torch.stack([x[0] * x[1], x.exp().sum()])

    def grad_of_functions():
        return (
            grad(f)(x),
            grad_and_value(f)(x),
            grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x, x),
            grad(lambda a: (f(a), a * 2), has_aux=True)(x),
        )

    def nested_grad():
        return (
            grad(lambda x: grad(f)(x).sum())(x),
            grad(grad(lambda x: x**3))(torch.tensor(2.0)),
            grad(lambda x: x * grad(lambda y: x * y)(torch.tensor(1.0)))(torch.tensor(3.0)),
        )

    def vjp_of_function():
        y, fn = vjp(g, x)
        return y, fn(torch.ones(2)), fn(torch.tensor([1.0, 0.0]))

    def jvp_of_function():
        return jvp(g, (x,), (torch.ones(3),)), jvp(lambda x: jvp(g, (x,), (torch.ones(3),))[1], (x,), (x,))

    def jacobians():
        return (
            jacrev(g)(x),
            jacfwd(g)(x),
            hessian(f)(x),
            jacrev(jacrev(g))(x),
            jacfwd(jacfwd(g))(x),
            jacrev(jacfwd(g))(x),
        )

    def jacobian_of_trees():
        return jacrev(lambda a, b: {"u": a * b, "v": a.sum()}, argnums=(0, 1))(x, x * 2)

    def vmap_of_functions():
        A = torch.arange(6.0).reshape(2, 3)
        return (
            vmap(torch.dot)(A, A),
            vmap(lambda a: a * 2, in_dims=1, out_dims=1)(A),
            vmap(lambda a, b: (a @ b, a), in_dims=(0, None))(A, x),
            vmap(grad(f))(A),
            vmap(lambda d: d["a"] + d["b"], in_dims=({"a": 0, "b": None},))({"a": A, "b": x}),
            vmap(vmap(lambda a: a * a))(A),
            vmap(torch.sum, chunk_size=1)(A),
        )

    def vmap_random_refused():
        return vmap(lambda a: a + torch.rand(1))(x)

    def vmap_random_same():
        torch.manual_seed(0)
        r = vmap(lambda a: a * 0 + torch.rand(1), randomness="same")(x)
        return (r == r[0]).all()

    def vmap_sizes():
        return vmap(lambda a, b: a)(x, torch.ones(2))

    def vmap_of_a_number():
        return vmap(lambda a: 3)(x)

    def vmap_dim():
        return vmap(lambda a: a, in_dims=3)(x)

    def vmap_nothing_mapped():
        return vmap(lambda a: a, in_dims=None)(x)

    def grad_of_a_vector():
        return grad(g)(x)

    def grad_of_a_number():
        return grad(lambda x: 3.0)(x)

    def outer_graph():
        w = torch.ones(3, requires_grad=True)
        r = grad(lambda x: (x * x * w).sum())(x)
        say(r.requires_grad)
        r.sum().backward()
        say(w.grad)
        p = x.clone().requires_grad_()
        r = grad(f)(p)
        say(r.requires_grad)
        r.sum().backward()
        say(p.grad)
        r = grad(lambda x: (x * x).sum() + (w * w).sum())(x)
        say(r, r.requires_grad)
        with torch.no_grad():
            say(grad(f)(x))
        say(grad(f)(x).requires_grad)

    def linearize_function():
        o, fn = linearize(g, x)
        return o, fn(torch.ones(3))

    def jvp_arguments():
        return jvp(g, x, x)

    def argnums_out_of_range():
        return grad(f, argnums=2)(x)

    def jacobian():
        return (
            AF.jacobian(g, x),
            AF.jacobian(lambda a, b: (a * b, a.sum()), (x, x * 2)),
            AF.jacobian(g, x, vectorize=True),
            AF.jacobian(g, x, vectorize=True, strategy="forward-mode"),
        )

    def hessian_of_function():
        return (
            AF.hessian(f, x),
            AF.hessian(lambda a, b: (a * b * b).sum(), (x, x * 2)),
            AF.hessian(f, x, vectorize=True),
        )

    def products():
        return (
            AF.vjp(g, x, torch.ones(2)),
            AF.jvp(g, x, torch.ones(3)),
            AF.vhp(f, x, torch.ones(3)),
            AF.hvp(f, x, torch.ones(3)),
        )

    def vjp_without_v():
        return AF.vjp(g, x)

    def vjp_of_a_scalar():
        return AF.vjp(f, x)

    def independent():
        return AF.jacobian(lambda x: torch.ones(2), x), AF.hessian(lambda x: x.sum(), x)

    def independent_strict():
        return AF.jacobian(lambda x: torch.ones(2), x, strict=True)

    def independent_input_strict():
        return AF.jacobian(lambda x, y: x, (x, x), strict=True)

    def hessian_independent_strict():
        return AF.hessian(lambda x: x.sum(), x, strict=True)

    def v_of_another_shape():
        return AF.vjp(g, x, torch.ones(3))

    def result_is_a_number():
        return AF.jacobian(lambda x: 3, x)

    def hessian_of_a_vector():
        return AF.hessian(g, x)

    def create_graph():
        p = x.clone().requires_grad_()
        j = AF.jacobian(g, p, create_graph=True)
        say(j.requires_grad)
        j.sum().backward()
        say(p.grad)
        h = AF.hvp(f, p, x, create_graph=True)[1]
        say(h.requires_grad)

    def jvp_without_v():
        return AF.jvp(g, x)

    def forward_create_graph():
        return AF.jacobian(g, x, create_graph=True, vectorize=True, strategy="forward-mode")

    def strict_vectorized():
        return AF.jacobian(g, x, strict=True, vectorize=True)

    def right_gradients():
        d = torch.randn(3, dtype=torch.float64, requires_grad=True)
        z = torch.randn(2, dtype=torch.complex128, requires_grad=True)
        r = []
        for fn, i in [
            (torch.sin, (d,)),
            (torch.matmul, (d, d.detach().clone().requires_grad_())),
            (lambda a: (a * a.conj()).real, (z,)),
            (lambda a: a.exp() * a, (z,)),
            (lambda a: a.abs(), (z,)),
            (lambda a: a.sort()[0], (d,)),
            (lambda a: a.unbind(0), (d,)),
        ]:
            r.append(
                (
                    torch.autograd.gradcheck(fn, i),
                    torch.autograd.gradcheck(fn, i, fast_mode=True),
                    torch.autograd.gradcheck(fn, i, check_forward_ad=True),
                    torch.autograd.gradgradcheck(fn, i),
                    torch.autograd.gradgradcheck(fn, i, check_fwd_over_rev=True),
                    torch.autograd.gradcheck(fn, i, check_batched_grad=True),
                )
            )
        return r

    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    def wrong_gradients():
        d = torch.ones(2, dtype=torch.float64, requires_grad=True)
        return torch.autograd.gradcheck(Bad.apply, (d,), raise_exception=False), torch.autograd.gradcheck(
            Bad.apply, (d,), raise_exception=False, fast_mode=True
        )

    def wrong_gradient_raises():
        d = torch.ones(2, dtype=torch.float64, requires_grad=True)
        return torch.autograd.gradcheck(Bad.apply, (d,))

    def nothing_to_check():
        return torch.autograd.gradcheck(torch.sin, (x,))

    def single_precision():
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            r = torch.autograd.gradcheck(torch.sin, (x.clone().requires_grad_(),), raise_exception=False)
            return r, [str(i.message)[:80] for i in w]

    return locals()


def engine(torch, say):
    """Hooks, writes in place, the backward pass, modes."""

    def leaf(*v):
        return torch.tensor(v or (1.0, 2.0, 3.0), requires_grad=True)

    def order_of_hooks():  # order of hooks
        x = leaf()
        y = x * 2
        log = []
        y.register_hook(lambda g: log.append("t1"))
        y.retain_grad()
        y.register_hook(lambda g: (log.append("t2"), g * 2)[1])
        y.grad_fn.register_prehook(lambda g: (log.append("pre"), (g[0] * 3,))[1])
        y.grad_fn.register_hook(
            lambda i, o: log.append(("post", i[0].tolist() if i[0] is not None else None, len(i), o[0].tolist()))
        )
        x.register_hook(lambda g: log.append("leaf"))
        x.register_post_accumulate_grad_hook(lambda p: log.append(("acc", p is x, p.grad.tolist())))
        y.sum().backward()
        say(log, y.grad, x.grad)

    def removal():
        x = leaf()
        y = x * 2
        log = []
        hs = []

        def a(g):
            log.append("a")
            hs[1].remove()

        def b(g):
            log.append("b")

        hs.append(y.register_hook(a))
        hs.append(y.register_hook(b))
        z = y.sum()
        z.backward(retain_graph=True)
        z.backward()
        say(log)
        with y.register_hook(lambda g: None) as h:
            say(type(h).__name__)

    def hook_changes_shape():
        x = leaf()
        y = x * 2
        y.register_hook(lambda g: g[:1])
        y.sum().backward()

    def hook_returns_number():
        x = leaf()
        y = x * 2
        y.register_hook(lambda g: 3)
        y.sum().backward()

    def hook_changes_dtype():
        x = leaf()
        y = x * 2
        y.register_hook(lambda g: g.double())
        y.sum().backward()

    def hook_on_constant():
        torch.ones(2).register_hook(lambda g: g)

    def post_accumulate_on_non_leaf():
        x = leaf()
        (x * 2).register_post_accumulate_grad_hook(lambda g: g)

    def post_hook_count():
        x = leaf()
        y = x * 2
        y.grad_fn.register_hook(lambda i, o: (i[0], i[0]))
        y.sum().backward()

    def pre_hook_count():
        x = leaf()
        y = x * 2
        y.grad_fn.register_prehook(lambda o: (o[0], o[0]))
        y.sum().backward()

    def hooks_and_in_place():
        x = leaf()
        y = x * 2
        log = []
        y.register_hook(lambda g: log.append(("old", g.tolist())))
        y.retain_grad()
        y.mul_(3)
        y.register_hook(lambda g: log.append(("new", g.tolist())))
        y.sum().backward()
        say(log, y.grad, x.grad)

    def leaf_hooks_and_in_place():
        x = leaf()
        log = []
        x.register_hook(lambda g: log.append(g.tolist()))
        with torch.no_grad():
            x.mul_(2)
        (x * x).sum().backward()
        say(log, x.grad)

    def hooks_of_several_outputs():
        x = leaf()
        a, b, c = x.unbind(0)
        log = []
        a.register_hook(lambda g: log.append(("a", g.item())))
        a.grad_fn.register_prehook(lambda g: log.append([None if t is None else t.item() for t in g]))
        a.grad_fn.register_hook(lambda i, o: log.append((i, o)))
        (a * 2 + b * 3).backward()
        say(log, x.grad)

    def hooks_of_accumulate_grad():
        x = leaf()
        acc = x.expand_as(x).grad_fn.next_functions[0][0]
        log = []
        acc.register_hook(lambda i, o: log.append((i, o)))
        acc.register_prehook(lambda g: (log.append(g), (g[0] * 2,))[1])
        say(acc.variable is x)
        (x * 2).sum().backward()
        say(log, x.grad)

    def hook_returns_none():
        x = leaf()
        y = x * 2
        y.register_hook(lambda g: None)
        y.sum().backward()
        say(x.grad)

    def hooks_under_create_graph():
        x = leaf()
        y = x * x
        y.register_hook(lambda g: g * y)
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        say(g, torch.autograd.grad(g.sum(), x))

    def retain_grad():
        x = leaf()
        y = x * 2
        y.retain_grad()
        say(y.retains_grad, x.retains_grad)
        (y * y).sum().backward()
        say(y.grad)
        torch.ones(1).retain_grad()

    # in-place and views
    def write_through_view():
        x = leaf()
        y = x.clone()
        v = y[1:]
        v.mul_(2)
        say(y.grad_fn, v.grad_fn, y._version, v._version, v._is_view(), v._base is y)
        (y * y).sum().backward()
        say(x.grad)

    def write_through_view_of_view():
        x = leaf()
        y = x * 1
        v = y.view(3, 1)
        w = v[1]
        w.add_(x[0])
        (v * 2 + y[:, None]).sum().backward()
        say(x.grad, v.grad_fn, w.grad_fn)

    def write_base():
        x = leaf()
        y = x * 1
        v = y[:2]
        y.mul_(x)
        say(v.grad_fn)
        (v * 3).sum().backward()
        say(x.grad)

    def setitem_on_leaf():
        x = leaf()
        x[0] = 2

    def write_leaf():
        x = leaf()
        x.add_(1)

    def write_view_of_leaf():
        x = leaf()
        x[1:].add_(1)

    def write_split():
        x = leaf()
        y = x.clone()
        a, b = y.split(2)
        a.mul_(2)

    def write_unbind():
        x = leaf()
        y = x.clone()
        a, b, c = y.unbind(0)
        a.mul_(2)

    def write_no_grad_view():
        x = leaf()
        y = x.clone()
        with torch.no_grad():
            v = y[1:]
        v.mul_(2)

    def copy_into_view():
        x = leaf()
        y = torch.zeros(3)
        v = y[1:]
        v.copy_(x[:2])
        say(y.requires_grad, y.grad_fn, v.grad_fn)
        y.sum().backward()
        say(x.grad)

    def own_result_written():
        x = leaf()
        y = x.exp()
        y.add_(1)
        y.sum().backward()

    def saved_written_through_index():
        x = leaf()
        y = x * 1
        z = y * y
        y[0] = 5
        z.sum().backward()

    def detached_alias_written():
        x = leaf()
        y = x.clone()
        y.detach().zero_()
        (y * y).sum().backward()
        say(x.grad)
        y = x.clone()
        z = y * y
        y.detach().zero_()
        z.sum().backward()

    def data_written():
        x = leaf()
        y = x.clone()
        z = y * y
        y.data.zero_()
        z.sum().backward()
        say(x.grad)

    def detach_in_place():
        x = leaf()
        y = x.clone()
        y.detach_()
        say(y.requires_grad)
        z = (x * 1)[1:]
        z.detach_()

    def requires_grad_of_non_leaf():
        x = leaf()
        x.requires_grad_(False)
        say(x.requires_grad)
        y = leaf() * 2
        y.requires_grad_(False)

    def integer_requires_grad():
        torch.tensor([1]).requires_grad_()

    def write_without_derivative():
        x = leaf()
        y = x.clone()
        y.gt_(2)
        say(y.requires_grad, y.grad_fn)
        y = x.clone()
        y.requires_grad = True
        say(y.is_leaf)

    def transposed_and_diagonal():
        x = leaf()
        y = x.expand(2, 3).clone()
        v = y.t()
        v[1].zero_()
        v.diagonal().mul_(3)
        (y * torch.arange(6.0).reshape(2, 3)).sum().backward()
        say(x.grad)

    def masked_writes():
        x = leaf()
        y = x.clone()
        y[torch.tensor([0, 2])] = x[1:] * 2
        y[y > 3] = 0
        y.sum().backward()
        say(x.grad, y)

    def mixture():
        x = leaf()
        y = x * 1
        v = y[:2]
        w = v[1:]
        w.zero_()
        v.mul_(2)
        y.add_(x)
        (y.sum() + v.sum() + w.sum()).backward()
        say(x.grad)

    def version_after_view_write():
        x = leaf()
        y = x * 1
        v = y[1:]
        u = v.detach()
        v.add_(1)
        say(u._version, u)
        z = v * v
        u.add_(1)
        z.sum().backward()

    def chain_in_place():
        x = leaf()
        y = x.clone()
        y.relu_()
        y.sigmoid_()
        y.pow_(2)
        y.clamp_(0, 1)
        y.div_(x)
        y.sum().backward()
        say(x.grad)

    def constant_becomes_recorded():
        a = torch.zeros(3)
        a.add_(leaf())
        say(a.requires_grad, a.is_leaf)
        a.sum().backward()

    def in_place_shapes():
        x = leaf()
        y = x.clone()
        y.unsqueeze_(0)
        y.t_()
        y.squeeze_()
        say(y.grad_fn)
        y.sum().backward()
        say(x.grad)

    # engine
    def accumulation():
        x = leaf()
        x.sum().backward()
        x.sum().backward()
        say(x.grad)
        torch.ones(1).backward()

    def second_backward():
        x = leaf()
        y = (x * x).sum()
        y.backward()
        y.backward()

    def implicit_gradient():
        x = leaf()
        (x * x).backward()

    def unused():
        x = leaf()
        torch.autograd.grad((x * x).sum(), leaf())

    def unused_allowed():
        x = leaf()
        z = leaf()
        say(
            torch.autograd.grad((x * x).sum(), [x, z], allow_unused=True),
            torch.autograd.grad((x * x).sum(), [x, z], materialize_grads=True),
        )
        torch.autograd.grad((x * x).sum(), [x, z], materialize_grads=True, allow_unused=False)

    def shape_of_gradient():
        x = leaf()
        (x * x).backward(torch.ones(2))

    def several_roots():
        x = leaf()
        torch.autograd.backward([x.sum(), (x * 2)], [None, torch.ones(3)])
        say(x.grad)

    def number_of_gradients():
        x = leaf()
        torch.autograd.backward([x.sum(), (x * 2).sum()], [torch.ones(())])

    def no_inputs():
        x = leaf()
        (x * x).sum().backward(inputs=[])

    def inputs():
        x = leaf()
        w = leaf()
        y = x * w
        y.sum().backward(inputs=[x])
        say(x.grad, w.grad)
        z = leaf()
        (x * w).sum().backward(inputs=[z])
        say(z.grad)

    def batched():
        x = leaf()
        y = x * x
        say(torch.autograd.grad(y, x, torch.eye(3), is_grads_batched=True))

    def accumulate_in_place():
        x = leaf()
        x.grad = torch.ones(3)
        g = x.grad
        (x * 2).sum().backward()
        say(g is x.grad, g)
        x.grad = None
        (x * 2).sum().backward(create_graph=False)
        say(x.grad.requires_grad)

    def grad_of_another_shape():
        x = leaf()
        x.grad = torch.ones(2)

    def grad_of_another_dtype():
        x = leaf()
        x.grad = torch.ones(3).double()

    def grad_is_a_number():
        x = leaf()
        x.grad = 3

    def gradient_of_scalar_shape():
        x = leaf()
        y = x.sum()
        y.backward(torch.tensor([1.0, 2.0]))

    def complex_root():
        x = torch.tensor([1 + 1j], requires_grad=True)
        (x * x).sum().backward()

    def input_detached():
        x = leaf()
        y = x * 2
        torch.autograd.grad(y.sum(), y.detach())

    def repeated_inputs():
        x = leaf()
        y = x * 2
        say(torch.autograd.grad(y.sum(), (x, x, y)))
        say(torch.autograd.grad(x.sum(), x))

    def under_no_grad():
        x = leaf()
        y = x * 2
        with torch.no_grad():
            y.sum().backward() if y.sum().requires_grad else say("no")

    def gradient_not_shared():
        x = leaf()
        g = torch.ones(3)
        (x * 1).backward(g)
        say(x.grad is g)
        x.grad.add_(1)
        say(g)
        x = leaf()
        x.backward(g)
        say(x.grad, x.grad.data_ptr() == g.data_ptr())

    def edges():
        x = leaf()
        say(
            x.grad_fn,
            (x * 2).grad_fn.next_functions,
            (x + x).grad_fn.next_functions,
            (x * torch.ones(3)).grad_fn.next_functions,
            x.is_leaf,
            (x * 2).is_leaf,
            torch.ones(2).is_leaf,
        )

    # modes
    def inference_mode():
        with torch.inference_mode():
            t = torch.ones(2)
            v = t[:1]
            say(
                t.is_inference(),
                v.is_inference(),
                t.requires_grad,
                torch.is_inference_mode_enabled(),
                torch.is_grad_enabled(),
            )
        x = leaf(1.0, 2.0)
        say((t + 1).is_inference())
        try:
            (x * t)
        except Exception as e:
            say(e)
        try:
            t.add_(1)
        except Exception as e:
            say(e)
        try:
            t.requires_grad_()
        except Exception as e:
            say(e)
        try:
            t._version
        except Exception as e:
            say(e)
        say((t * 2)._version, t.clone().is_inference())
        with torch.inference_mode():
            t.add_(1)
            x2 = leaf(1.0, 2.0)
            say(x2.is_inference(), x2.requires_grad)
            y = x * 2
            say(y.requires_grad, y.is_inference())
            x.view(2).is_inference()
            z = x.clone()
        with torch.inference_mode():
            with torch.inference_mode(False):
                say((x * 2).requires_grad)
        v = torch.ones(2)
        with torch.inference_mode():
            w = v.view(2)
            say(w.is_inference())
            v.add_(1)
            say(v._version)
        say((x + t).requires_grad)

    def grad_modes():
        x = leaf()

        @torch.no_grad()
        def f():
            return (x * 2).requires_grad

        @torch.enable_grad()
        def g():
            return (x * 2).requires_grad

        @torch.set_grad_enabled(False)
        def h():
            return (x * 2).requires_grad

        @torch.no_grad
        def i():
            return (x * 2).requires_grad

        @torch.inference_mode()
        def j():
            return (x * 2).requires_grad

        @torch.no_grad()
        def gen():
            r = yield (x * 2).requires_grad
            yield (r, (x * 2).requires_grad)

        ge = gen()
        a = next(ge)
        say((x * 2).requires_grad)
        b = ge.send(5)
        say(f(), g(), h(), i(), j(), a, b)
        torch.set_grad_enabled(False)
        say(torch.is_grad_enabled())
        torch.set_grad_enabled(True)
        with torch.set_grad_enabled(False):
            say(torch.is_grad_enabled())
        with torch.no_grad():
            with torch.enable_grad():
                say((x * 2).requires_grad)
        r = []
        with torch.no_grad():
            t = threading.Thread(target=lambda: r.append(torch.is_grad_enabled()))
            t.start()
            t.join()
            say(r)

    return locals()
