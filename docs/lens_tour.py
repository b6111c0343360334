"""The lens, asked from inside of a program: why a parameter gets no gradient, and who keeps old graphs alive.

    python docs/lens_tour.py

Two mistakes are made here on purpose, each in one line.
"""

import wengert as torch
from wengert import lens, nn


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 8)
        self.decoder = nn.Linear(8, 1)

    def forward(self, x):
        h = torch.relu(self.encoder(x)).detach()  # the first mistake
        return self.decoder(h)


def main():
    torch.manual_seed(0)
    model = Forecaster()
    losses = []
    with lens.record():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            x = torch.randn(16, 4)
            loss = nn.functional.mse_loss(model(x), x[:, :1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)  # the second
        print(lens.why(model.encoder.weight, loss), end="\n\n")
        print(lens.check(model, loss, optimizer), end="\n\n")
        print(lens.memory())


if __name__ == "__main__":
    main()
