"""Makes adapter/ and expected.txt with Python PEFT.

Run it with the oracle's Python: python make_adapter.py
"""

import pathlib

import peft
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent


class Network(nn.Module):
    """That of host_model.c."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.fc2 = nn.Linear(8, 3)
        for number, layer in enumerate([self.fc1, self.fc2]):
            weight = [((i * 37 + number) % 17 - 8) / 16 for i in range(32)]
            bias = [(i - 2) / 8 for i in range(8)]
            count = layer.weight.numel()
            layer.weight.data = torch.tensor(weight[:count]).view_as(
                layer.weight)
            layer.bias.data = torch.tensor(bias[:layer.out_features])

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


def main():
    torch.manual_seed(1)
    model = peft.get_peft_model(Network(), peft.LoraConfig(
        r=2, lora_alpha=4, target_modules=["fc1", "fc2"],
        init_lora_weights=False))
    model.save_pretrained(HERE / "adapter")
    (HERE / "adapter" / "README.md").unlink()
    with torch.no_grad():
        y = model(torch.tensor([1.0, -2.0, 3.0, 0.5]))
    numbers = " ".join(f"{value:.4f}" for value in y)
    (HERE / "expected.txt").write_text("".join(
        f"{way:<6} {numbers}\n" for way in ["run", "delta", "merge", "lower"]))


if __name__ == "__main__":
    main()
