"""What must be settled before other libraries are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

NEEDED_OPERATORS: Final = ("nms", "qnms")
"""Operators that `import torchvision` refers to, though nothing here calls them."""

_registered: list[Any] = []


def prefer_system_allocator() -> None:
    """Make Arrow take memory from the system's allocator, unless the environment says otherwise.

    Arrow's own allocator keeps what thousands of small part files leave behind: tens of megabytes
    after 10,000 clips. Arrow reads the choice once, when it is first imported: later is too late.
    Kedro calls this first of its plugins.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def let_torchvision_import() -> None:
    """See to it that torchvision can be imported beside a torch of another build.

    The torchvision of PyPI is built for the torch of PyPI, which has CUDA. Beside the CPU build of
    torch its compiled operators cannot be loaded, and then ``import torchvision`` raises
    "operator torchvision::nms does not exist"; so do timm, open_clip and torchmetrics (Lightning),
    which import it. They use its Python code alone, so it is enough to declare these operators.
    Nothing happens before torchvision is imported, nor where its operators can be loaded.
    """
    if not any(isinstance(finder, _TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TorchvisionFinder())


class _TorchvisionFinder(MetaPathFinder):
    """Finds torchvision where Python finds it, and loads it by `_TorchvisionLoader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module to load for ``torchvision``; leave all others to Python."""
        if fullname != "torchvision":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _TorchvisionLoader(fullname, spec.origin)
        return spec


class _TorchvisionLoader(SourceFileLoader):
    """Declares the operators that cannot be loaded, then runs the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        import torch

        operators: Any = torch.ops
        libraries: Any = torch.library
        compiled = next(Path(self.path).parent.glob("_C*"), None)
        try:
            operators.load_library(compiled)
        except OSError:
            library = libraries.Library("torchvision", "FRAGMENT")
            for name in NEEDED_OPERATORS:
                library.define(f"{name}(Tensor dets, Tensor scores, float iou) -> Tensor")
            _registered.append(library)  # an operator is gone with its library
        super().exec_module(module)
