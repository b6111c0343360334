import torch
import torch.nn as nn


class Embedder(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)

    @torch.no_grad()  # culprit
    def forward(self, tokens):
        return self.mix(self.table(tokens)).mean(dim=1)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = Embedder(50, 12)
        self.out = nn.Linear(12, 4)

    def forward(self, tokens):
        return self.out(self.embed(tokens))


def main():
    torch.manual_seed(3)
    model = Classifier()
    optim = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(5):
        tokens = torch.randint(0, 50, (8, 7))
        labels = tokens[:, 0] % 4
        loss = nn.functional.cross_entropy(model(tokens), labels)
        optim.zero_grad(set_to_none=True)
        loss.backward()
        optim.step()


if __name__ == "__main__":
    main()
