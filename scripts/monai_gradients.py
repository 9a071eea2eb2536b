#!/usr/bin/env python3
"""Adds gradients to the cases that `monai_cases.py` made.

    python scripts/monai_gradients.py FOLDER CASE...

For each case FOLDER receives `<case>.gradients.npz` with the gradient of each parameter, by its name,
and of the patch `x`, computed in double precision. What is differentiated is the sum of the logits of
`x`, each times cos(0.37 i), i being its place in memory.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import DynUNet

folder = Path(sys.argv[1])
for case in sys.argv[2:]:
    saved = torch.load(folder / f"{case}.ckpt", weights_only=False)
    arguments = dict(saved["hyper_parameters"]["backbone"])
    arguments.pop("_target_")
    net = DynUNet(**arguments)
    net.load_state_dict({k.removeprefix("backbone."): v for k, v in saved["state_dict"].items()})
    net = net.double().eval()
    x = torch.from_numpy(np.load(folder / f"{case}.npz")["x"])[None].double().requires_grad_()
    y = net(x)
    factors = torch.cos(0.37 * torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    (y * factors).sum().backward()
    gradients = {name: p.grad.float().numpy() for name, p in net.named_parameters()
                 if p.grad is not None and not name.startswith("skip_layers")}
    np.savez(folder / f"{case}.gradients.npz", x=x.grad[0].float().numpy(), **gradients)
