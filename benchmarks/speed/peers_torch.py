"""The peer in PyTorch: one model, eager, one thread, examples resident as tensors."""

import cases
import torch
from torch import nn

LAYERS = {
    "mlp": lambda: [nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU()],
    "cnn": lambda: [
        nn.Conv1d(1, 25, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv1d(25, 25, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(25, 25, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
    ],
    "lenet": lambda: [
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
    ],
}
WIDTHS = {"mlp": 100, "cnn": 125, "lenet": 84}


def prepare(runner: str, name: str):
    """Returns a function that trains a case for a number of updates."""
    del runner
    torch.set_num_threads(1)
    case = cases.CASES[name]
    inputs, labels = map(torch.from_numpy, cases.data(case))
    # PyTorch wants channels before the spatial axes.
    inputs = inputs.movedim(-1, 1).contiguous()
    labels = labels.long()
    model = nn.Sequential(*LAYERS[name](), nn.Linear(WIDTHS[name], cases.CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), cases.LEARNING_RATE)
    loss = nn.CrossEntropyLoss()

    def round_(steps):
        while steps > 0:
            for rows in torch.randperm(cases.EXAMPLES).split(cases.BATCH)[:steps]:
                optimizer.zero_grad()
                loss(model(inputs[rows]), labels[rows]).backward()
                optimizer.step()
                steps -= 1

    return round_
