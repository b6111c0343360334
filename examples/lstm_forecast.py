"""An LSTM reads three centuries of sunspots, one number a year, and goes on by itself.

    python examples/lstm_forecast.py          with PyTorch
    wengert run examples/lstm_forecast.py     with wengert

The sun's activity comes and goes in about eleven years, never twice the same. The network learns to say next year's
number from all those before it. Then it is left alone from 1950 on: each of its forecasts becomes its next input, so an
error feeds on itself. The plot shows both, if Matplotlib is installed.
"""

import argparse
import csv
from pathlib import Path

import torch
import torch.nn as nn

DATA = Path(__file__).parent / "data" / "sunspots.csv"
FORECAST_FROM = 1950


class Forecaster(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.memory = nn.LSTM(input_size=1, hidden_size=hidden, num_layers=2, batch_first=True)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, series, state=None):
        """Each year's successor (batch, years, 1) to a series (batch, years, 1), and the state to go on from."""
        remembered, state = self.memory(series, state)
        return self.readout(remembered), state

    @torch.no_grad()
    def go_on(self, series, years):
        """What follows `series` (years, 1), as the model sees it, living on its own forecasts."""
        forecast, state = self(series.unsqueeze(0))
        value, forecasts = forecast[:, -1:], []
        for _ in range(years):
            forecasts.append(value)
            value, state = self(value, state)
        return torch.cat(forecasts, dim=1).flatten()


def load_sunspots():
    """Years and the mean number of sunspots in each, as tensors (years,)."""
    with open(DATA, newline="") as file:
        rows = list(csv.DictReader(file))
    return (
        torch.tensor([int(float(row["YEAR"])) for row in rows]),
        torch.tensor([float(row["SUNACTIVITY"]) for row in rows]),
    )


def error_of(forecast, truth):
    """The root of the mean squared error, in sunspots."""
    return (forecast - truth).square().mean().sqrt().item()


def save_plot(path, years, numbers, next_year, left_alone):
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no plot: Matplotlib isn't installed")
        return
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(years, numbers, color="0.6", label="observed")
    axes.plot(years[1:], next_year, lw=0.8, label="one year ahead")
    axes.plot(years[-len(left_alone) :], left_alone, lw=1.2, label=f"left alone from {FORECAST_FROM}")
    axes.axvline(FORECAST_FROM, color="0.8", lw=0.8)
    axes.set(xlabel="year", ylabel="sunspots")
    axes.legend(loc="upper left", ncols=3, frameon=False)
    figure.savefig(path, dpi=120)
    print(f"the plot: {path}")


def main():
    options = argparse.ArgumentParser(description="An LSTM learns to forecast sunspots.")
    options.add_argument("--steps", type=int, default=150)
    options.add_argument("--hidden", type=int, default=32)
    options.add_argument("--lr", type=float, default=5e-3)
    options.add_argument("--every", type=int, default=10, help="steps between two lines of progress")
    options.add_argument("--plot", default="sunspots.png", help="where to save the plot")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()

    torch.manual_seed(chosen.seed)
    years, numbers = load_sunspots()
    known = int((years < FORECAST_FROM).sum())
    mean, deviation = numbers[:known].mean(), numbers[:known].std()
    series = ((numbers - mean) / deviation).unsqueeze(-1)  # (years, 1), about as large as the network's weights like it
    inputs, targets = series[None, : known - 1], series[None, 1:known]

    model = Forecaster(chosen.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=chosen.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=chosen.lr, total_steps=chosen.steps)
    loss_of = nn.MSELoss()
    print(f"{known} years to learn from, {len(years) - known} to forecast")
    for step in range(1, chosen.steps + 1):
        forecast, _ = model(inputs)
        loss = loss_of(forecast, targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % chosen.every == 0 or step == chosen.steps:
            print(f"step {step:4d}  loss {loss.item():.6f}  lr {scheduler.get_last_lr()[0]:.5f}", flush=True)

    with torch.no_grad():
        next_year = model(series[None, :-1])[0].flatten() * deviation + mean
    left_alone = model.go_on(series[:known], len(years) - known) * deviation + mean
    truth = numbers[known:]
    print(f"errors from {FORECAST_FROM} on, in sunspots (a year's number itself deviates by {truth.std().item():.1f}):")
    print(f"  saying that nothing changes   {error_of(numbers[known - 1 : -1], truth):5.1f}")
    print(f"  the network, one year ahead   {error_of(next_year[known - 1 :], truth):5.1f}")
    print(f"  the network, left alone       {error_of(left_alone, truth):5.1f}")
    save_plot(chosen.plot, years, numbers, next_year, left_alone)


if __name__ == "__main__":
    main()
