"""What a device is, and in which precision it computes well."""

from __future__ import annotations

import torch


def has_gpu(device: str) -> bool:
    """Return whether ``auto``, ``cpu`` or ``cuda`` means a GPU here."""
    return device == "cuda" or (device == "auto" and torch.cuda.is_available())


def bfloat16_is_native(device: str) -> bool:
    """Return whether a device multiplies bfloat16 in hardware: ``auto``, ``cpu`` or ``cuda``.

    A processor without such instructions is slower with bfloat16 than without.
    """
    if has_gpu(device) and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return any(can.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
