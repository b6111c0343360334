import torch
from torch import nn


class Sentiment(nn.Module):
    def __init__(self, vectors):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(vectors, freeze=False)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        _, (hidden, _) = self.lstm(self.embedding(x))
        return self.fc(hidden[-1])


def main():
    model = Sentiment(torch.randn(30, 8))
    others = [p for name, p in model.named_parameters() if "embedding" not in name]
    optimizer = torch.optim.Adam(others, lr=1e-3)
    for _ in range(5):
        loss = nn.functional.cross_entropy(model(torch.randint(0, 30, (4, 6))), torch.randint(0, 2, (4,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


main()
