"""Trains the published ensemble for a few steps, and says what memory that takes.

    python benchmarks/published_steps.py                # full size: 128 x 72 pixels, on a GPU
    python benchmarks/published_steps.py --shrink 32    # 32 x 18 pixels, anywhere

Clips are drawn at random: only time and memory are looked at. First comes what the arithmetic says
of every size, then what the steps took.
"""

from __future__ import annotations

import argparse
import time

import torch

from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.paper import PublishedModel, published_shapes
from tiktok_virality.training.launcher import lightning_precision

BYTES = 4  # of a float32: weights, gradients and both moments of AdamW are kept in it
COPIES = {"weights": 1, "gradients": 1, "moments of AdamW": 2}
HALF_BYTES = 2  # of the copy of every weight that autocast multiplies with
GIGA = 1e9
SHRINKS = (8, 16, 32)


def shapes_at(shrink: int) -> dict[str, tuple[int, int]]:
    """Return what the Transformers read where frames are shrunk so far."""
    sampling = FrameSampling(shrink=shrink)
    return published_shapes(sampling.height, sampling.width)


def parameter_count(shrink: int) -> int:
    """Return the number of weights, counted on the meta device."""
    with torch.device("meta"):
        return sum(p.numel() for p in PublishedModel(shapes_at(shrink)).parameters())


def describe_state(shrink: int) -> str:
    """Return what training keeps besides activations, in GB."""
    weights = parameter_count(shrink)
    parts = {name: copies * BYTES * weights / GIGA for name, copies in COPIES.items()}
    told = ", ".join(f"{name} {size:.2f}" for name, size in parts.items())
    mixed = HALF_BYTES * weights / GIGA
    return (
        f"shrink {shrink}: {weights:,} weights; {told}: {sum(parts.values()):.2f} GB in float32, "
        f"and {mixed:.2f} GB more where it multiplies in half precision"
    )


def random_batch(shrink: int, clips: int, device: str) -> TokenBatch:
    """Return states of clips that nobody filmed."""
    tokens = {
        name: torch.randn(clips, *shape, device=device) for name, shape in shapes_at(shrink).items()
    }
    padding = {
        name: torch.zeros(value.shape[:2], dtype=torch.bool, device=device)
        for name, value in tokens.items()
    }
    return TokenBatch(tokens, padding)


def train_steps(shrink: int, clips: int, steps: int, device: str) -> list[tuple[float, float]]:
    """Return loss and seconds of each step, as `Trainee` takes it."""
    torch.manual_seed(0)
    with torch.device(device):
        model = PublishedModel(shapes_at(shrink))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    batch, target = random_batch(shrink, clips, device), torch.randn(clips, device=device)
    half = lightning_precision("auto", device) == "bf16-mixed"
    taken = []
    for _ in range(steps):
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = torch.nn.functional.mse_loss(model(batch).float(), target)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        taken.append((loss.item(), time.perf_counter() - started))  # .item() waits for the GPU
    return taken


def main() -> None:
    """Print the arithmetic, train, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shrink", type=int, default=8)
    parser.add_argument("--clips", type=int, default=8, help="in a step")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    for shrink in SHRINKS:
        print(describe_state(shrink))
    for number, (loss, seconds) in enumerate(
        train_steps(asked.shrink, asked.clips, asked.steps, asked.device), start=1
    ):
        print(f"step {number}: loss {loss:.4f}, {seconds:.2f} s")
    if asked.device == "cuda":
        most = torch.cuda.max_memory_allocated() / GIGA
        print(f"{torch.cuda.get_device_name()}: at most {most:.1f} GB allocated")


if __name__ == "__main__":
    main()
