"""In which precision a device computes well."""

from __future__ import annotations

import torch


def bfloat16_is_native(device: str) -> bool:
    """Return whether a device multiplies bfloat16 in hardware: ``auto``, ``cpu`` or ``cuda``.

    A processor without such instructions is slower with bfloat16 than without.
    """
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return any(can.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
