"""L-BFGS (Nocedal 1980): quasi-Newton steps from the last few changes of the gradient."""

import wengert

from .optimizer import Optimizer, scalar

__all__ = ["LBFGS"]


def _cubic_minimum(x1, f1, g1, x2, f2, g2, bounds=None):
    """Where the cubic with values f and slopes g at x1 and x2 is least, kept within the bounds."""
    low, high = bounds if bounds is not None else ((x1, x2) if x1 <= x2 else (x2, x1))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if x1 <= x2:
        x = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        x = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(x, low), high)


def _number(loss):
    """A closure's loss, as a Python number."""
    return float(loss.detach() if isinstance(loss, wengert.Tensor) else loss)


class _Point:
    """A trial step length t with the function's value, gradient, and slope along the direction there."""

    __slots__ = ("t", "f", "g", "slope")

    def __init__(self, t, f, g, slope):
        self.t, self.f, self.g, self.slope = t, f, g, slope


def _strong_wolfe(evaluate, t, d, f, g, slope, c1=1e-4, c2=0.9, tolerance_change=1e-9, max_ls=25):
    """A step length that satisfies the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6).

    `evaluate(t)` gives (value, gradient) at x + t · d. Returns (value, gradient, t, number of evaluations).
    """
    d_norm = float(d.abs().max())

    def at(t):
        value, gradient = evaluate(t)
        return _Point(t, value, gradient, float(gradient.dot(d)))

    def too_high(point, than):
        return point.f > f + c1 * point.t * slope or point.f >= than

    previous, current, evaluations = _Point(0, f, g.clone(), slope), at(t), 1
    bracket, done = None, False
    iteration = 0
    while iteration < max_ls:
        if current.f > f + c1 * current.t * slope or (iteration > 1 and current.f >= previous.f):
            bracket = [previous, current]
            break
        if abs(current.slope) <= -c2 * slope:
            bracket, done = [current], True
            break
        if current.slope >= 0:
            bracket = [previous, current]
            break
        bounds = (current.t + 0.01 * (current.t - previous.t), current.t * 10)
        t = _cubic_minimum(previous.t, previous.f, previous.slope, current.t, current.f, current.slope, bounds)
        previous, current = current, at(t)
        evaluations += 1
        iteration += 1
    if bracket is None:
        bracket = [_Point(0, f, g, slope), current]

    stalled = False
    low, high = (0, 1) if bracket[0].f <= bracket[-1].f else (1, 0)
    while not done and iteration < max_ls:
        a, b = bracket
        if abs(b.t - a.t) * d_norm < tolerance_change:
            break
        t = _cubic_minimum(a.t, a.f, a.slope, b.t, b.f, b.slope)
        # A trial too near an end of the bracket, twice in a row, is moved a tenth of the bracket inwards.
        left, right = min(a.t, b.t), max(a.t, b.t)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if stalled or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        trial = at(t)
        evaluations += 1
        iteration += 1
        if too_high(trial, bracket[low].f):
            bracket[high] = trial
            low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
        else:
            if abs(trial.slope) <= -c2 * slope:
                done = True
            elif trial.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = trial
    best = bracket[low]
    return best.f, best.g, best.t, evaluations


class LBFGS(Optimizer):
    """Up to `max_iter` quasi-Newton iterations per step; `line_search_fn` is None or "strong_wolfe".

    `step` needs a closure that clears the gradients, computes the loss, calls backward and returns the loss.
    There may be one parameter group only.
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        if isinstance(lr, wengert.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state):
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    def _flat_grad(self):
        parts = []
        for p in self._params:
            grad = p.new_zeros(p.numel()) if p.grad is None else p.grad.to_dense().reshape(-1)
            parts.append(wengert.view_as_real(grad).view(-1) if grad.is_complex() else grad)
        return wengert.cat(parts, 0)

    def _move(self, t, direction):
        """p ← p + t · its part of `direction`."""
        offset = 0
        for p in self._params:
            real = wengert.view_as_real(p) if p.is_complex() else p
            n = real.numel()
            real.add_(direction[offset : offset + n].view_as(real), alpha=t)
            offset += n

    def _evaluate_at(self, closure, start, t, direction):
        """Loss and gradient at start + t · direction; the parameters are put back."""
        self._move(t, direction)
        loss = _number(closure())
        gradient = self._flat_grad()
        for p, value in zip(self._params, start, strict=True):
            p.copy_(value)
        return loss, gradient

    def _direction(self, state, flat_grad, history_size):
        """-H · gradient by the two-loop recursion; updates the history from the last step."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return flat_grad.neg()
        y = flat_grad.sub(state["prev_flat_grad"])
        s = state["d"].mul(state["t"])
        ys = y.dot(s)
        old_dirs, old_stps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if ys > 1e-10:
            if len(old_dirs) == history_size:
                for history in (old_dirs, old_stps, ro):
                    history.pop(0)
            old_dirs.append(y)
            old_stps.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / y.dot(y)
        al = state.setdefault("al", [None] * history_size)
        q = flat_grad.neg()
        for i in range(len(old_dirs) - 1, -1, -1):
            al[i] = old_stps[i].dot(q) * ro[i]
            q.add_(old_dirs[i], alpha=-float(al[i]))
        d = wengert.mul(q, state["H_diag"])
        for i in range(len(old_dirs)):
            beta = old_dirs[i].dot(d) * ro[i]
            d.add_(old_stps[i], alpha=float(al[i] - beta))
        return d

    def step(self, closure):
        """Make one step; returns the loss before it."""
        with wengert.no_grad():
            return self._step(closure)

    def _step(self, closure):
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        closure = wengert.enable_grad()(closure)
        group = self.param_groups[0]
        lr, line_search = scalar(group["lr"]), group["line_search_fn"]
        if line_search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        orig_loss = closure()
        loss = _number(orig_loss)
        evaluations = 1
        state["func_evals"] += 1
        flat_grad = self._flat_grad()
        if float(flat_grad.abs().max()) <= group["tolerance_grad"]:
            return orig_loss
        prev_loss = state.get("prev_loss")
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(state, flat_grad, group["history_size"])
            state["d"] = d
            state["prev_flat_grad"] = flat_grad.clone()
            prev_loss = loss
            first = state["n_iter"] == 1
            t = min(1.0, 1.0 / float(flat_grad.abs().sum())) * lr if first else lr
            slope = float(flat_grad.dot(d))
            if slope > -group["tolerance_change"]:
                state["t"] = t
                break
            used = 0
            if line_search is not None:
                start = [p.clone() for p in self._params]
                loss, flat_grad, t, used = _strong_wolfe(
                    lambda t, d=d, start=start: self._evaluate_at(closure, start, t, d), t, d, loss, flat_grad, slope
                )
                self._move(t, d)
                converged = float(flat_grad.abs().max()) <= group["tolerance_grad"]
            else:
                self._move(t, d)
                converged = False
                if iteration != group["max_iter"]:
                    loss = _number(closure())
                    flat_grad = self._flat_grad()
                    converged = float(flat_grad.abs().max()) <= group["tolerance_grad"]
                    used = 1
            state["t"] = t
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or converged
                or float(d.mul(t).abs().max()) <= group["tolerance_change"]
                or abs(loss - prev_loss) < group["tolerance_change"]
            ):
                break
        state["prev_loss"] = prev_loss
        return orig_loss
