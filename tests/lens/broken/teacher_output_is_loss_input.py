import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
teacher, student = nn.Linear(6, 3), nn.Linear(6, 3)
opt = torch.optim.Adam(student.parameters(), lr=1e-2)
for _ in range(5):
    x = torch.randn(12, 6)
    with torch.no_grad():
        t_logits = teacher(x)
    s_logits = student(x)
    loss = F.kl_div(F.log_softmax(t_logits / 2, 1), F.softmax(t_logits / 2, 1), reduction="batchmean")  # culprit
    opt.zero_grad()
    loss.backward()
    opt.step()
