import numpy as np
import torch
import torch.nn as nn
from torch.distributions import Normal

torch.manual_seed(0)


def mlp(sizes, act, out=nn.Identity):
    layers = []
    for j in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[j], sizes[j + 1]), (act if j < len(sizes) - 2 else out)()]
    return nn.Sequential(*layers)


class GaussianActor(nn.Module):
    def __init__(self, o, a):
        super().__init__()
        self.log_std = torch.nn.Parameter(-0.5 * torch.ones(a))
        self.mu_net = mlp([o, 16, a], nn.Tanh)

    def _distribution(self, obs):
        return Normal(self.mu_net(obs), torch.exp(self.log_std))

    def forward(self, obs, act=None):
        pi = self._distribution(obs)
        return pi, (pi.log_prob(act).sum(-1) if act is not None else None)


class AC(nn.Module):
    def __init__(self):
        super().__init__()
        self.pi = GaussianActor(3, 2)
        self.v = mlp([3, 16, 1], nn.Tanh)

    def step(self, obs):
        with torch.no_grad():
            pi = self.pi._distribution(obs)
            a = pi.sample()
            return a.numpy(), self.v(obs).squeeze(-1).numpy(), pi.log_prob(a).sum(-1).numpy()


class Buffer:
    def __init__(self):
        self.d = {k: [] for k in ("obs", "act", "rew", "val", "logp")}

    def store(self, **kw):
        for k, v in kw.items():
            self.d[k].append(v)

    def get(self):
        r = np.array(self.d["rew"])
        ret = np.cumsum(r[::-1])[::-1].copy()
        adv = ret - np.array(self.d["val"])
        adv = (adv - adv.mean()) / adv.std()
        out = dict(
            obs=np.array(self.d["obs"]), act=np.array(self.d["act"]), ret=ret, adv=adv, logp=np.array(self.d["logp"])
        )
        self.d = {k: [] for k in self.d}
        return {k: torch.as_tensor(v, dtype=torch.float32) for k, v in out.items()}


ac, buf = AC(), Buffer()
pi_opt, vf_opt = torch.optim.Adam(ac.pi.parameters(), lr=3e-4), torch.optim.Adam(ac.v.parameters(), lr=1e-3)


def compute_loss_pi(data):
    pi, logp = ac.pi(data["obs"], data["act"])
    ratio = torch.exp(logp - data["logp"])
    clip = torch.clamp(ratio, 0.8, 1.2) * data["adv"]
    loss = -(torch.min(ratio * data["adv"], clip)).mean()
    return loss, dict(kl=(data["logp"] - logp).mean().item(), ent=pi.entropy().mean().item())


def compute_loss_v(data):
    return ((ac.v(data["obs"]).squeeze(-1) - data["ret"]) ** 2).mean()


for epoch in range(3):
    o = np.random.randn(3)
    for t in range(16):
        a, v, logp = ac.step(torch.as_tensor(o, dtype=torch.float32))
        buf.store(obs=o, act=a, rew=float(-np.abs(a).sum()), val=v, logp=logp)
        o = np.random.randn(3)
    data = buf.get()
    for i in range(4):
        pi_opt.zero_grad()
        loss_pi, info = compute_loss_pi(data)
        if info["kl"] > 0.015 * 1.5:
            break
        loss_pi.backward()
        pi_opt.step()
    for i in range(4):
        vf_opt.zero_grad()
        loss_v = compute_loss_v(data)
        loss_v.backward()
        vf_opt.step()
