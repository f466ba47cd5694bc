"""A few training steps of the published ensemble: memory and time, beside what arithmetic says.

    .venv/bin/python benchmarks/published_steps.py                     # the full size, on a GPU
    .venv/bin/python benchmarks/published_steps.py --shrink 32 --device cpu --batch 2 --steps 2

A step is what `training.launcher` does: forward in bfloat16 where the device has it (full precision
on a processor), loss, backward, gradients clipped at norm 1, AdamW with float32 moments. Tokens are
random. The full size wants a card of 48 GB; the host needs 9 GB to build the weights.
"""

from __future__ import annotations

import argparse
import resource
import time
from contextlib import nullcontext

import torch
from torch.nn.functional import mse_loss

from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.training.published import PublishedParameters

CHANNELS, HEIGHT, WIDTH = 64, 1024, 576
WHISPER_STATES, WHISPER_WIDTH = 7, 512
FLOAT32 = 4
GIBIBYTE = 2**30


def published_spec(shrink: int) -> ModelSpec:
    """Return the published ensemble for frames of 1024 x 576, divided by a factor."""
    pixels = (HEIGHT // shrink) * (WIDTH // shrink)
    return ModelSpec(
        kind="published",
        transformer=PublishedParameters().transformer,
        token_sizes={"published_visual": pixels, "published_audio": WHISPER_WIDTH},
        token_counts={"published_visual": CHANNELS, "published_audio": WHISPER_STATES},
    )


def kept_bytes(parameters: int) -> dict[str, int]:
    """Return what a training keeps from step to step, by part: all of it is float32."""
    return {
        "weights": FLOAT32 * parameters,
        "gradients": FLOAT32 * parameters,
        "Adam's two moments": 2 * FLOAT32 * parameters,
    }


def random_batch(spec: ModelSpec, clips: int, device: str) -> TokenBatch:
    """Return random tokens of so many clips."""
    tokens = {
        name: torch.randn(clips, spec.token_counts[name], size, device=device)
        for name, size in spec.token_sizes.items()
    }
    padding = {
        name: torch.zeros(clips, each.shape[1], dtype=torch.bool, device=device)
        for name, each in tokens.items()
    }
    return TokenBatch(tokens, padding)


def take_steps(spec: ModelSpec, device: str, clips: int, steps: int) -> list[float]:
    """Train on one random batch; return the seconds of each step."""
    torch.manual_seed(0)
    model = spec.build().to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    batch, target = random_batch(spec, clips, device), torch.randn(clips, device=device)
    mixed = torch.autocast("cuda", torch.bfloat16) if device == "cuda" else nullcontext()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        with mixed:
            loss = mse_loss(model(batch), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        print(f"step of {clips} clips: loss {loss.item():.3f}, {seconds[-1]:.2f} s", flush=True)
    return seconds


def peak_bytes(device: str) -> int:
    """Return the most memory that was in use: of the card, or of this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print the arithmetic, take the steps, print the peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shrink", type=int, default=8)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    spec = published_spec(given.shrink)
    with torch.device("meta"):
        parameters = sum(each.numel() for each in spec.build().parameters())
    kept = kept_bytes(parameters)
    print(f"shrink {given.shrink}: {parameters:,} parameters")
    for part, size in (kept | {"together": sum(kept.values())}).items():
        print(f"{part}: {size / GIBIBYTE:.2f} GiB in float32")
    if given.device == "cuda":
        print(torch.cuda.get_device_name(), f"torch {torch.__version__}")
    take_steps(spec, given.device, given.batch, given.steps)
    print(f"peak: {peak_bytes(given.device) / GIBIBYTE:.2f} GiB on {given.device}")


if __name__ == "__main__":
    main()
