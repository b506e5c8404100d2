"""A script as PyTorch's users write it for MNIST, and the changes of docs/coming-from-pytorch.md that make it minidl's."""

PYTORCH = """
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

x_train = torch.from_numpy(images).unsqueeze(1).float() / 255
y_train = torch.from_numpy(labels)
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)
test_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=100)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, kernel_size=3, stride=1)
        self.dropout1 = nn.Dropout(0.1)
        self.fc1 = nn.Linear(16 * 12 * 12, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = torch.flatten(x, 1)
        x = self.dropout1(x)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def train(epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = criterion(output, target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())


def test():
    model.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            pred = output.argmax(dim=1)
            correct += (pred == target).sum().item()
    return test_loss / len(test_loader.dataset), correct / len(test_loader.dataset)


model = Net().to(device)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.003)
scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
losses = []
for epoch in range(1, 4):
    train(epoch)
    result = test()
    scheduler.step()
torch.save(model.state_dict(), path)

model = Net().to(device)
model.load_state_dict(torch.load(path))
again = test()
"""

CHANGES = [  # what the script has, and what it becomes: each is a rule or a row of the page
    ("import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\nimport torch.optim as optim\n"
     "from torch.optim.lr_scheduler import StepLR\nfrom torch.utils.data import DataLoader, TensorDataset\n",
     "import numpy as np\nimport minidl\nfrom minidl import Tensor, checkpoint, nn, no_grad, optim\n"
     "from minidl import functional as F\nfrom minidl.data import DataLoader\n"),
    ("torch.manual_seed", "minidl.manual_seed"),
    ('device = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n', ""),
    ("            data, target = data.to(device), target.to(device)\n", ""),
    ("        data, target = data.to(device), target.to(device)\n", ""),
    (".to(device)", ""),
    ("torch.from_numpy(images).unsqueeze(1).float()", "images[..., None].astype(np.float32)"),
    ("torch.from_numpy(labels)", "labels"),
    ("TensorDataset(x_train, y_train)", "x_train, y_train"),
    ("len(test_loader.dataset)", "len(x_train)"),
    ("BatchNorm2d", "BatchNorm"),
    ("torch.flatten(x, 1)", "x.reshape(len(x), -1)"),
    ("model(data)", "model(Tensor(data))"),
    ('F.cross_entropy(output, target, reduction="sum").item()', "F.cross_entropy(output, target).item() * len(target)"),
    ("output.argmax(dim=1)", "output.data.argmax(1)"),
    ("nn.CrossEntropyLoss()", "F.cross_entropy"),
    ("= StepLR", "= optim.StepLR"),
    ("torch.no_grad()", "no_grad()"),
    ("torch.save(model.state_dict(), path)", "checkpoint.save(path, model.state_dict())"),
    ("model.load_state_dict(torch.load(path))", "state, _ = checkpoint.load(path)\nmodel.load_state_dict(state)"),
]  # fmt: skip


def moved():
    """The script after the changes."""
    script = PYTORCH
    for theirs, ours in CHANGES:
        script = script.replace(theirs, ours)
    return script
