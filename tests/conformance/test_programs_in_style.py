"""Whole programs, written as public PyTorch code is written, learn the same under wengert as under PyTorch.

Each program is a function of the module that it calls `torch`, and yields the numbers it would have printed. The
seed is the same, so weights, noise, dropout masks and hence losses are the same, to rounding.
"""

import copy
import importlib
import math
import random

import numpy as np
import pytest

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__.replace("_", " ")] = function
    return function


def agree(ours, theirs, tolerance):
    assert len(ours) == len(theirs)
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a == pytest.approx(b, rel=tolerance, abs=1e-6, nan_ok=True), f"number {number}: {a}, PyTorch has {b}"


@program
def digits_by_convolution(torch):
    """A small network with dropout and batch norm, Adadelta, a falling learning rate, evaluation between epochs."""
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 3, 1)
            self.norm = nn.BatchNorm2d(6)
            self.conv2 = nn.Conv2d(6, 8, 3, 1)
            self.dropout1 = nn.Dropout2d(0.25)
            self.dropout2 = nn.Dropout(0.5)
            self.fc1 = nn.Linear(8 * 3 * 3, 24)
            self.fc2 = nn.Linear(24, 10)

        def forward(self, x):
            x = F.relu(self.norm(self.conv1(x)), inplace=True)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            x = torch.flatten(self.dropout1(x), 1)
            x = self.dropout2(F.relu(self.fc1(x)))
            return F.log_softmax(self.fc2(x), dim=1)

    model = Net().to(torch.device("cpu"))
    images, labels = torch.randn(48, 1, 10, 10), torch.randint(0, 10, (48,))
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for _ in range(2):
        model.train()
        for x, y in zip(images.split(16), labels.split(16), strict=True):
            optimizer.zero_grad()
            loss = F.nll_loss(model(x), y)
            loss.backward()
            optimizer.step()
            yield loss.item()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            output = model(images)
        guess = output.argmax(dim=1, keepdim=True)
        yield F.nll_loss(output, labels, reduction="sum").item()
        yield guess.eq(labels.view_as(guess)).sum().item()


@program
def variational_autoencoder(torch):
    """The reparameterised sample; a loss of two sums."""
    nn, F = torch.nn, torch.nn.functional
    encoder, mean, log_variance = nn.Linear(20, 12), nn.Linear(12, 3), nn.Linear(12, 3)
    decoder = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 20), nn.Sigmoid())
    everything = nn.ModuleList([encoder, mean, log_variance, decoder])
    optimizer = torch.optim.Adam(everything.parameters(), lr=1e-2)
    data = torch.rand(16, 20)
    for _ in range(6):
        hidden = F.relu(encoder(data))
        mu, logvar = mean(hidden), log_variance(hidden)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        loss = F.binary_cross_entropy(decoder(z), data, reduction="sum")
        loss = loss - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield loss.item()


@program
def adversaries(torch):
    """Two networks against each other: the generator's sample is cut for one and kept for the other."""
    nn = torch.nn
    generator = nn.Sequential(
        nn.ConvTranspose2d(4, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(1, 6, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(6, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )

    def initialize(module):
        if type(module).__name__.find("Conv") != -1:
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif type(module).__name__.find("BatchNorm") != -1:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)

    generator.apply(initialize)
    critic.apply(initialize)
    criterion = nn.BCELoss()
    of_critic = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.999))
    of_generator = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    for _ in range(3):
        critic.zero_grad()
        real = torch.rand(6, 1, 8, 8) * 2 - 1
        label = torch.full((6,), 1, dtype=real.dtype)
        on_real = criterion(critic(real).view(-1), label)
        on_real.backward()
        fake = generator(torch.randn(6, 4, 1, 1))
        on_fake = criterion(critic(fake.detach()).view(-1), label.fill_(0))
        on_fake.backward()
        of_critic.step()
        generator.zero_grad()
        fooled = criterion(critic(fake).view(-1), label.fill_(1))
        fooled.backward()
        of_generator.step()
        yield from (on_real.item(), on_fake.item(), fooled.item())


@program
def gradient_penalty(torch):
    """A loss that contains the norm of a gradient."""
    nn = torch.nn
    critic = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    optimizer = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
    for _ in range(4):
        real, fake = torch.randn(8, 6), torch.rand(8, 6)
        alpha = torch.rand(8, 1)
        between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        score = critic(between)
        (slope,) = torch.autograd.grad(
            outputs=score, inputs=between, grad_outputs=torch.ones_like(score),
            create_graph=True, retain_graph=True, only_inputs=True,
        )  # fmt: skip
        penalty = ((slope.view(8, -1).norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
        yield penalty.item()


@program
def language_model(torch):
    """Tied weights; a hidden state cut between pieces of text; gradients clipped; updates through `.data`."""
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.drop = nn.Dropout(0.2)
            self.encoder = nn.Embedding(20, 12)
            self.rnn = getattr(nn, kind)(12, 12, 2, dropout=0.2)
            self.decoder = nn.Linear(12, 20)
            self.decoder.weight = self.encoder.weight
            nn.init.uniform_(self.encoder.weight, -0.1, 0.1)

        def forward(self, x, hidden):
            output, hidden = self.rnn(self.drop(self.encoder(x)), hidden)
            return self.decoder(self.drop(output)).view(-1, 20), hidden

    def cut(hidden):
        return hidden.detach() if isinstance(hidden, torch.Tensor) else tuple(cut(h) for h in hidden)

    text = torch.randint(0, 20, (164,))
    text = text.narrow(0, 0, 41 * 4).view(4, -1).t().contiguous()
    for kind in ("LSTM", "GRU"):
        model = Model(kind)
        zeros = next(model.parameters()).new_zeros(2, 4, 12)
        hidden = (zeros, zeros.clone()) if kind == "LSTM" else zeros
        for i in range(0, text.size(0) - 1, 10):
            model.zero_grad()
            hidden = cut(hidden)
            output, hidden = model(text[i : i + 10], hidden)
            loss = nn.functional.cross_entropy(output, text[i + 1 : i + 11].view(-1))
            loss.backward()
            yield nn.utils.clip_grad_norm_(model.parameters(), 0.25).item()
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-2.0)
            yield math.exp(loss.item())


@program
def small_transformer(torch):
    """Causal attention by hand and by the library, weight decay of matrices only, accumulated gradients, sampling."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, width, heads, fused):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
            )
            self.heads, self.fused = heads, fused
            self.register_buffer("mask", torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8))

        def forward(self, x):
            b, t, c = x.size()
            q, k, v = (
                part.view(b, t, self.heads, c // self.heads).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).split(c, dim=2)
            )
            if self.fused:
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                scores = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
                y = F.softmax(scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")), dim=-1) @ v
            x = x + self.proj(y.transpose(1, 2).contiguous().view(b, t, c))
            return x + self.mlp(self.norm2(x))

    class Transformer(nn.Module):
        def __init__(self, fused):
            super().__init__()
            self.body = nn.ModuleDict(
                {
                    "tokens": nn.Embedding(11, 16),
                    "places": nn.Embedding(8, 16),
                    "blocks": nn.ModuleList(Block(16, 2, fused) for _ in range(2)),
                }
            )  # fmt: skip
            self.head = nn.Linear(16, 11, bias=False)
            self.body.tokens.weight = self.head.weight
            for name, p in self.named_parameters():
                if name.endswith("proj.weight"):
                    nn.init.normal_(p, std=0.02)

        def forward(self, x):
            h = self.body.tokens(x) + self.body.places(torch.arange(x.size(1), device=x.device))
            for block in self.body.blocks:
                h = block(h)
            return self.head(h)

    for fused in (False, True):
        model = Transformer(fused)
        matrices = [p for p in model.parameters() if p.dim() >= 2]
        others = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=5)
        for _ in range(4):
            for _ in range(2):
                x = torch.randint(11, (4, 8))
                loss = F.cross_entropy(model(x).view(-1, 11), x.roll(-1, 1).view(-1), label_smoothing=0.1) / 2
                loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            yield loss.item()
        model.eval()
        with torch.no_grad():
            text = torch.zeros((1, 1), dtype=torch.long)
            for _ in range(5):
                logits = model(text)[:, -1, :]
                best, _ = torch.topk(logits, 5)
                logits[logits < best[:, [-1]]] = -float("Inf")
                text = torch.cat((text, torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)), dim=1)
        yield from text[0].tolist()


@program
def physics_informed(torch):
    """Derivatives of a network by its inputs, up to the third, inside the loss; then L-BFGS with a line search."""
    nn = torch.nn
    net = nn.Sequential(nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 1))
    x, t = torch.rand(10, 1, requires_grad=True), torch.rand(10, 1, requires_grad=True)

    def derivative(of, by):
        return torch.autograd.grad(of, by, grad_outputs=torch.ones_like(of), create_graph=True)[0]

    def residual():
        u = net(torch.cat([x, t], dim=1))
        first = derivative(u, x)
        return derivative(u, t) + u * first - 0.1 * derivative(first, x) + 0.01 * derivative(derivative(first, x), x)

    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(3):
        loss = (residual() ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
    newton = torch.optim.LBFGS(net.parameters(), max_iter=3, line_search_fn="strong_wolfe")

    def closure():
        newton.zero_grad()
        loss = (residual() ** 2).mean()
        loss.backward()
        return loss

    yield newton.step(closure).item()
    yield closure().item()


@program
def learning_to_learn(torch):
    """The outer gradient goes through the inner steps."""
    F = torch.nn.functional
    model = torch.nn.Sequential(torch.nn.Linear(1, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
    weights = list(model.parameters())
    outer = torch.optim.SGD(weights, lr=1e-2, momentum=0.9, nesterov=True)

    def predict(x, w):
        return F.linear(F.relu(F.linear(x, w[0], w[1])), w[2], w[3])

    for _ in range(3):
        total = 0
        for phase in (0.0, 1.0):
            x = torch.rand(8, 1) * 10 - 5
            fast = [w.clone() for w in weights]
            for _ in range(2):
                inner = F.mse_loss(predict(x, fast), torch.sin(x + phase))
                fast = [
                    w - 0.01 * g for w, g in zip(fast, torch.autograd.grad(inner, fast, create_graph=True), strict=True)
                ]
            total = total + F.mse_loss(predict(x, fast), torch.sin(x + phase))
        outer.zero_grad()
        total.backward()
        outer.step()
        yield total.item()
        yield sum(w.grad.norm().item() for w in weights)


@program
def differential_equation_by_adjoints(torch):
    """A Function whose backward integrates backwards, calling autograd inside."""
    nn = torch.nn
    field = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 2))

    def euler(f, y, steps, h):
        for _ in range(steps):
            y = y + h * f(y)
        return y

    class Solve(torch.autograd.Function):
        @staticmethod
        def forward(ctx, f, y, h, *parameters):
            with torch.no_grad():
                y = euler(f, y, 5, h)
            ctx.f, ctx.h = f, h
            ctx.save_for_backward(y, *parameters)
            return y.clone()

        @staticmethod
        def backward(ctx, g):
            y, *parameters = ctx.saved_tensors
            sums = [torch.zeros_like(p) for p in parameters]
            for _ in range(5):
                with torch.enable_grad():
                    here = y.detach().requires_grad_()
                    there = ctx.f(here)
                    by, *rest = torch.autograd.grad(there, (here, *parameters), g)
                y = y - ctx.h * there.detach()
                g = g + ctx.h * by
                sums = [s + ctx.h * r for s, r in zip(sums, rest, strict=True)]
            return None, g, None, *sums

    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2)
    start, goal = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for direct in (True, False):
        for _ in range(3):
            end = euler(field, start, 5, 0.1) if direct else Solve.apply(field, start, 0.1, *field.parameters())
            loss = (end - goal).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


@program
def vector_quantised(torch):
    """A straight-through choice: the nearest code forwards, the identity backwards."""
    nn, F = torch.nn, torch.nn.functional
    encoder = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(), nn.Conv2d(4, 3, 1))
    decoder = nn.ConvTranspose2d(3, 1, 4, 2, 1)
    codes = nn.Embedding(6, 3)
    codes.weight.data.uniform_(-1 / 6, 1 / 6)
    optimizer = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters(), *codes.parameters()], lr=1e-2, amsgrad=True
    )
    images = torch.rand(4, 1, 6, 6)
    for _ in range(4):
        z = encoder(images).permute(0, 2, 3, 1).contiguous()
        flat = z.view(-1, 3)
        distance = flat.pow(2).sum(1, keepdim=True) + codes.weight.pow(2).sum(1) - 2 * flat @ codes.weight.t()
        chosen = torch.zeros(flat.shape[0], 6).scatter_(1, distance.argmin(1).unsqueeze(1), 1)
        quantised = torch.matmul(chosen, codes.weight).view(z.shape)
        loss = F.mse_loss(quantised, z.detach()) + 0.25 * F.mse_loss(quantised.detach(), z)
        quantised = z + (quantised - z).detach()
        loss = loss + F.mse_loss(decoder(quantised.permute(0, 3, 1, 2)), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        share = chosen.mean(0)
        yield loss.item()
        yield torch.exp(-torch.sum(share * torch.log(share + 1e-10))).item()


@program
def two_views_without_labels(torch):
    """A target network follows by moving averages, outside the graph; a queue of keys; a contrastive loss."""
    nn, F = torch.nn, torch.nn.functional
    online = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(inplace=True), nn.Linear(12, 4))
    predictor = nn.Linear(4, 4)
    target = copy.deepcopy(online)
    for p in target.parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(
        [*online.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9, weight_decay=1e-4
    )
    queue, place = F.normalize(torch.randn(4, 16), dim=0), 0
    for _ in range(3):
        x = torch.randn(8, 6)
        one, two = x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)
        with torch.no_grad():
            key = F.normalize(target(two), dim=1)
        query = F.normalize(predictor(online(one)), dim=1)
        positive = torch.einsum("nc,nc->n", [query, key]).unsqueeze(-1)
        negative = torch.einsum("nc,ck->nk", [query, queue.clone().detach()])
        labels = torch.zeros(8, dtype=torch.long)
        loss = F.cross_entropy(torch.cat([positive, negative], dim=1) / 0.2, labels) - (query * key).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        queue[:, place : place + 8] = key.T
        place = (place + 8) % 16
        with torch.no_grad():
            for slow, quick in zip(target.parameters(), online.parameters(), strict=True):
                slow.data = 0.99 * slow.data + 0.01 * quick.data
        yield loss.item()
    yield sum(p.sum().item() for p in target.parameters())


@program
def replayed_experience(torch):
    """Q-learning from a memory, a mask of final states, soft updates through state dicts."""
    nn, F = torch.nn, torch.nn.functional
    random.seed(0)
    policy, target = (nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)) for _ in range(2))
    target.load_state_dict(policy.state_dict())
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2, amsgrad=True)
    memory = []
    for i in range(30):
        state = torch.randn(1, 4)
        with torch.no_grad():
            greedy = policy(state).max(1).indices.view(1, 1)
        action = greedy if random.random() > 0.5 else torch.tensor([[random.randrange(2)]], dtype=torch.long)
        memory.append((state, action, None if i % 5 == 0 else state * 0.9, torch.tensor([float(i % 3)])))
    for _ in range(4):
        states, actions, followers, rewards = zip(*random.sample(memory, 12), strict=True)
        lasting = torch.tensor(tuple(s is not None for s in followers), dtype=torch.bool)
        values = torch.zeros(12)
        with torch.no_grad():
            values[lasting] = target(torch.cat([s for s in followers if s is not None])).max(1).values
        expected = values * 0.9 + torch.cat(rewards)
        loss = F.smooth_l1_loss(policy(torch.cat(states)).gather(1, torch.cat(actions)), expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(policy.parameters(), 0.5)
        optimizer.step()
        old, fresh = target.state_dict(), policy.state_dict()
        for key in fresh:
            old[key] = fresh[key] * 0.1 + old[key] * 0.9
        target.load_state_dict(old)
        yield loss.item()


@program
def clipped_policy(torch):
    """Advantages computed backwards in time without a graph, minibatches by NumPy indices, a clipped ratio."""
    nn = torch.nn
    np.random.seed(0)

    def layer(i, o, gain):
        linear = nn.Linear(i, o)
        nn.init.xavier_uniform_(linear.weight, gain)
        nn.init.constant_(linear.bias, 0.0)
        return linear

    actor = nn.Sequential(layer(4, 8, np.sqrt(2)), nn.Tanh(), layer(8, 2, 0.01))
    critic = nn.Sequential(layer(4, 8, np.sqrt(2)), nn.Tanh(), layer(8, 1, 1.0))
    log_std = nn.Parameter(torch.zeros(1, 2))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters(), log_std], lr=3e-3, eps=1e-5)
    seen, reward = torch.randn(16, 4), torch.randn(16)

    def log_density(x, action):
        z = (action - actor(x)) / log_std.exp()
        return (-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(1)

    with torch.no_grad():
        action = actor(seen) + log_std.exp() * torch.randn(16, 2)
        before, value = log_density(seen, action), critic(seen).flatten()
        advantage, last = torch.zeros_like(reward), 0
        for t in reversed(range(16)):
            following = value[t] if t == 15 else value[t + 1]
            advantage[t] = last = reward[t] + 0.99 * following - value[t] + 0.9 * last
        returns = advantage + value
    order = np.arange(16)
    for _ in range(2):
        np.random.shuffle(order)
        for start in (0, 8):
            batch = order[start : start + 8]
            ratio = (log_density(seen[batch], action[batch]) - before[batch]).exp()
            weight = advantage[batch]
            weight = (weight - weight.mean()) / (weight.std() + 1e-8)
            loss = torch.max(-weight * ratio, -weight * torch.clamp(ratio, 0.8, 1.2)).mean()
            loss = loss + 0.5 * ((critic(seen[batch]).view(-1) - returns[batch]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


@program
def coupling_flow(torch):
    """An invertible network with masked coupling layers, trained by maximum likelihood."""
    nn = torch.nn

    class Coupling(nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.scale = nn.Sequential(nn.Linear(2, 12), nn.LeakyReLU(), nn.Linear(12, 2), nn.Tanh())
            self.shift = nn.Sequential(nn.Linear(2, 12), nn.LeakyReLU(), nn.Linear(12, 2))
            self.register_buffer("mask", mask)

        def forward(self, x):
            kept = self.mask * x
            s, t = self.scale(kept) * (1 - self.mask), self.shift(kept) * (1 - self.mask)
            return kept + (1 - self.mask) * (x - t) * torch.exp(-s), -s.sum(dim=1)

    flow = nn.ModuleList(Coupling(torch.tensor(m)) for m in ([0.0, 1.0], [1.0, 0.0]))
    optimizer = torch.optim.Adamax(flow.parameters(), lr=1e-2)
    x = torch.randn(32, 2)
    x[:, 1] = x[:, 0] ** 2 + 0.2 * x[:, 1]
    for _ in range(4):
        z, volume = x, x.new_zeros(32)
        for layer in flow:
            z, change = layer(z)
            volume = volume + change
        loss = -(-0.5 * z.pow(2).sum(1) - math.log(2 * math.pi) + volume).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@program
def attention_on_a_graph(torch):
    """Nodes attend to their neighbours; then plain graph convolution with parameter groups."""
    nn, F = torch.nn, torch.nn.functional
    features, labels = torch.rand(12, 5), torch.randint(3, (12,))
    edges = (torch.rand(12, 12) > 0.6).float()
    edges = ((edges + edges.t() + torch.eye(12)) > 0).float()
    weight, to, fro = (nn.Parameter(torch.empty(*size)) for size in ((5, 8), (2, 4, 1), (2, 4, 1)))
    for p in (weight, to, fro):
        nn.init.xavier_normal_(p)
    out = nn.Linear(8, 3)
    optimizer = torch.optim.NAdam([weight, to, fro, *out.parameters()], lr=1e-2)
    for _ in range(4):
        h = F.dropout(features @ weight, 0.3).view(12, 2, 4).permute(1, 0, 2)
        scores = F.leaky_relu(torch.matmul(h, to) + torch.matmul(h, fro).mT, 0.2)
        scores = torch.where(edges > 0, scores, -9e15 * torch.ones_like(scores))
        mixed = F.elu(torch.matmul(F.softmax(scores, dim=-1), h).permute(1, 0, 2).contiguous().view(12, -1))
        loss = F.nll_loss(F.log_softmax(out(mixed), dim=1)[:8], labels[:8])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
    scale = torch.diag(edges.sum(1).pow(-0.5))
    smooth = scale @ edges @ scale
    first, second = nn.Linear(5, 8), nn.Linear(8, 3)
    groups = [{"params": first.parameters(), "weight_decay": 5e-4}, {"params": second.parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    for _ in range(3):
        loss = F.cross_entropy((smooth @ second(F.relu(smooth @ first(features))))[:8], labels[:8])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@program
def what_the_network_looked_at(torch):
    """Hooks keep an activation and its gradient; a map of their products; a step against the image's gradient."""
    nn, F = torch.nn, torch.nn.functional
    net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))  # fmt: skip
    kept = {}
    forward = net[2].register_forward_hook(lambda module, args, output: kept.update(activation=output))
    backward = net[2].register_full_backward_hook(lambda module, into, out: kept.update(gradient=out[0]))
    image = torch.randn(1, 1, 6, 6, requires_grad=True)
    scores = net(image)
    chosen = torch.zeros_like(scores)
    chosen[0][scores.argmax()] = 1
    scores.backward(gradient=chosen)
    weights = kept["gradient"].mean(dim=(2, 3), keepdim=True)
    seen = F.relu((weights * kept["activation"]).sum(1, keepdim=True))
    seen = F.interpolate(seen, (12, 12), mode="bilinear", align_corners=False)
    forward.remove()
    backward.remove()
    yield float(seen.detach().numpy().sum())
    attacked = torch.clamp(image.detach() + 0.1 * image.grad.data.sign(), 0, 1)
    yield from net(attacked)[0].tolist()


@program
def binary_weights_and_reversed_gradients(torch):
    """Two Functions: a sign whose gradient passes straight through, and the identity whose gradient turns round."""
    F = torch.nn.functional

    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sign()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * (x.abs() <= 1).to(g.dtype)

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, strength):
            ctx.strength = strength
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return g.neg() * ctx.strength, None

    body, label, domain = torch.nn.Linear(6, 8), torch.nn.Linear(8, 2), torch.nn.Linear(8, 2)
    optimizer = torch.optim.Adagrad([*body.parameters(), *label.parameters(), *domain.parameters()], lr=0.1)
    x, y, d = torch.randn(12, 6), torch.randint(2, (12,)), torch.randint(2, (12,))
    for step in range(4):
        h = torch.tanh(F.linear(x, Sign.apply(body.weight), body.bias))
        loss = F.cross_entropy(label(h), y) + F.cross_entropy(domain(Reverse.apply(h, 0.1 * step)), d)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
        yield body.weight.grad.norm().item()


@program
def batch_norm_by_hand(torch):
    """Tensors instead of modules: an own generator, kept gradients of intermediates, updates through `.data`."""
    g = torch.Generator().manual_seed(2147483647)
    table = torch.randn((10, 4), generator=g)
    w1, w2 = torch.randn((12, 20), generator=g) * 0.3, torch.randn((20, 10), generator=g) * 0.01
    gain, bias = torch.ones((1, 20)), torch.zeros((1, 20))
    parameters = [table, w1, gain, bias, w2]
    for p in parameters:
        p.requires_grad = True
    x, y = torch.randint(0, 10, (16, 3), generator=g), torch.randint(0, 10, (16,), generator=g)
    running = torch.zeros((1, 20))
    for _ in range(4):
        embedded = table[x]
        before = embedded.view(embedded.shape[0], -1) @ w1
        mean, deviation = before.mean(0, keepdim=True), before.std(0, keepdim=True)
        h = torch.tanh(gain * (before - mean) / deviation + bias)
        with torch.no_grad():
            running = 0.999 * running + 0.001 * mean
        probabilities = torch.exp(h @ w2)
        probabilities = probabilities / probabilities.sum(1, keepdims=True)
        loss = -probabilities[range(16), y].log().mean()
        before.retain_grad()
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data += -0.1 * p.grad
        yield loss.item()
        yield before.grad.abs().sum().item()
    yield running.sum().item()


@program
def residual_and_u_shaped(torch):
    """Skips by `+=` and by concatenation, group norm, weighted classes, a Dice loss."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, i, o, stride):
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
            self.conv2, self.norm2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
            self.skip = (
                nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o)) if i != o else nn.Identity()
            )

        def forward(self, x):
            out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
            out += self.skip(x)
            return F.relu(out)

    net = nn.Sequential(Block(2, 2, 1), Block(2, 4, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    x, y = torch.randn(6, 2, 6, 6), torch.randint(3, (6,))
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 1.0]))
    for _ in range(3):
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        yield loss.item()

    down, up = (nn.Sequential(nn.Conv2d(i, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.SiLU(inplace=True)) for i in (2, 8))
    last = nn.Conv2d(4, 2, 1)
    optimizer = torch.optim.RMSprop([*down.parameters(), *up.parameters(), *last.parameters()], lr=1e-3, momentum=0.9)
    target = torch.randint(2, (6, 6, 6))
    for _ in range(3):
        fine = down(x)
        coarse = F.interpolate(F.max_pool2d(fine, 2), scale_factor=2, mode="bilinear", align_corners=True)
        out = last(up(torch.cat([fine, coarse], dim=1)))
        share = F.softmax(out, 1)[:, 1].flatten(1)
        truth = target.flatten(1).float()
        dice = 1 - ((2 * (share * truth).sum(-1) + 1) / (share.sum(-1) + truth.sum(-1) + 1)).mean()
        loss = F.cross_entropy(out, target) + dice
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@program
def mixed_transforms(torch):
    """A spatial transformer from the identity on, whose grid lies on the pixels to the last bit."""
    nn, F = torch.nn, torch.nn.functional
    place = nn.Sequential(nn.Conv2d(1, 4, 5), nn.MaxPool2d(4), nn.ReLU(True), nn.Flatten(), nn.Linear(4 * 36, 6))
    place[4].weight.data.zero_()
    place[4].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))
    tell = nn.Linear(28 * 28, 4)
    optimizer = torch.optim.SGD([*place.parameters(), *tell.parameters()], lr=0.01)
    for _ in range(4):
        x = torch.rand(4, 1, 28, 28)
        grid = F.affine_grid(place(x).view(-1, 2, 3), x.size(), align_corners=False)
        seen = F.grid_sample(x, grid, align_corners=False)
        loss = F.nll_loss(F.log_softmax(tell(seen.flatten(1)), dim=1), torch.tensor([0, 1, 2, 3]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@program
def optimizers_as_published(torch):
    """Rules of updates in PyTorch's old spelling, multipliers that are tensors, one optimizer around another."""

    class Lamb(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-2):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    grad, state = p.grad.data, self.state[p]
                    if not state:
                        state["m"], state["v"] = torch.zeros_like(p.data), torch.zeros_like(p.data)
                    state["m"].mul_(0.9).add_(grad, alpha=1 - 0.9)
                    state["v"].mul_(0.999).addcmul_(1 - 0.999, grad, grad)
                    step = state["m"] / state["v"].sqrt().add(1e-6)
                    ratio = torch.norm(p.data).clamp(0, 10) / torch.norm(step)
                    p.data.add_(step, alpha=-group["lr"] * ratio)

    class Lookahead(torch.optim.Optimizer):
        def __init__(self, inner, every=2):
            self.inner, self.every, self.count = inner, every, 0
            self.param_groups = inner.param_groups
            self.slow = [[p.detach().clone() for p in g["params"]] for g in self.param_groups]

        def step(self, closure=None):
            self.inner.step()
            self.count += 1
            for group, slow in zip(self.param_groups, self.slow, strict=True):
                for p, q in zip(group["params"], slow, strict=True):
                    if self.count % self.every == 0:
                        q.add_(0.5, p.data - q)
                        p.data.copy_(q)

    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    optimizer = Lookahead(Lamb(model.parameters()))
    x, y = torch.randn(12, 5), torch.randn(12, 2)
    for _ in range(6):
        loss = torch.mean((model(x) - y) ** 2, axis=1, keepdims=True).mean()
        model.zero_grad()
        loss.backward()
        yield torch.cat([p.grad.view(-1) for p in model.parameters()], axis=0).norm().item()
        optimizer.step()
        yield loss.item()


@program
def layouts_of_gradients(torch):
    """Gradients that arrive transposed are flattened with `view`, as second-order methods do."""
    w = torch.nn.Parameter(torch.randn(4, 3))
    x, y = torch.randn(6, 3), torch.randn(6, 4)
    for _ in range(4):
        w.grad = None
        loss = (torch.einsum("ij,kj->ik", x, w) - y).pow(2).sum() + w.t().exp().mean()
        loss.backward()
        flat = w.grad.view(-1)
        w.data.view(-1).add_(flat, alpha=-0.02)
        yield from (loss.item(), flat.dot(flat).item())


@program
def pruning_upon_pruning(torch):
    """Random weights, then the weakest channels of what is left, then the weakest weights of all layers."""
    nn, prune = torch.nn, importlib.import_module(f"{torch.__name__}.nn.utils.prune")
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 3))
    prune.random_unstructured(model[0], name="weight", amount=0.3)
    prune.ln_structured(model[0], name="weight", amount=0.5, n=2, dim=0)
    layers = [(model[0], "weight"), (model[2], "weight"), (model[4], "weight")]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=0.4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(torch.randn(5, 1, 8, 8)), torch.randint(3, (5,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
    yield from (float(module.weight_mask.sum()) for module, _ in layers)


@program
def functions_of_functions(torch):
    """Per-sample gradients, tangent kernels, Hessians; forward mode through modules; ensembles of stacked states."""
    nn, func = torch.nn, torch.func
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    state = {name: p.detach() for name, p in model.named_parameters()}
    x, y = torch.randn(3, 4), torch.tensor([0, 1, 1])

    def loss(state, sample, target):
        scores = func.functional_call(model, state, (sample.unsqueeze(0),))
        return nn.functional.cross_entropy(scores, target.unsqueeze(0))

    each = func.vmap(func.grad(loss), in_dims=(None, 0, 0))(state, x, y)
    yield from (g.norm().item() for g in each.values())

    def scores(state, sample):
        return func.functional_call(model, state, (sample.unsqueeze(0),)).squeeze(0)

    slopes = func.vmap(func.jacrev(scores), (None, 0))(state, x)
    kernel = sum(torch.einsum("Naf,Mbf->NMab", j.flatten(2), j.flatten(2)) for j in slopes.values())
    yield kernel.norm().item()
    yield func.hessian(lambda v: scores(state, v).pow(3).sum())(x[0]).norm().item()
    value, tangent = func.jvp(lambda v: scores(state, v), (x[0],), (x[1],))
    yield from (value.sum().item(), tangent.sum().item())
    stacked, buffers = func.stack_module_state([nn.Linear(4, 2) for _ in range(3)])
    base = nn.Linear(4, 2)
    out = func.vmap(lambda p, b: func.functional_call(base, (p, b), (x,)))(stacked, buffers)
    yield out.norm().item()


@program
def compiled_and_traced(torch):
    """Functions and modules marked for compilers run as they are."""
    nn = torch.nn

    def swish(x, beta: float = 1.5):
        return x * torch.sigmoid(beta * x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 5)

        def forward(self, x):
            if torch.jit.is_scripting():
                raise AssertionError("nobody scripts this")
            return swish(self.layer(x))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, foreach=True)
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    x = torch.randn(7, 5, device=device)
    for _ in range(3):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            q = model(x).view(1, 1, 7, 5)
            loss = nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield loss.item()


@program
def samples_of_schedules(torch):
    """Ranges whose last bit matters: schedules of noise, sinusoidal places."""
    betas = torch.linspace(1e-4, 0.02, 50)
    kept = torch.cumprod(1 - betas, axis=0)
    yield from (betas.sum().item(), kept[-1].item(), betas.double().square().sum().item())
    place = torch.arange(0, 5, 0.07).unsqueeze(1)
    rate = torch.exp(torch.arange(0, 8, 2).float() * (-math.log(10000.0) / 8))
    yield from (torch.sin(place * rate).sum().item(), torch.cos(place * rate).norm().item())
    noise = torch.randn(4, 3)
    step = torch.randint(0, 50, (4,))
    share = kept.gather(-1, step).reshape(-1, 1)
    yield (share.sqrt() * noise + (1 - share).sqrt() * torch.randn_like(noise)).norm().item()


def losses(torch, name):
    torch.manual_seed(0)
    return list(PROGRAMS[name](torch))


@pytest.mark.parametrize("name", PROGRAMS)
def test_learns_as_under_pytorch(name, oracle, subject):
    agree(losses(subject, name), losses(oracle, name), 1e-4)
