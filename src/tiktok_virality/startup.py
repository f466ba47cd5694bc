"""What must be settled before other libraries are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

NEEDED_OPERATORS: Final = ("nms", "qnms")
"""Operators that `import torchvision` refers to, though nothing here calls them."""

COMPILER: Final = "torch._dynamo"

_registered: list[Any] = []


def prefer_system_allocator() -> None:
    """Make Arrow take memory from the system's allocator, unless the environment says otherwise.

    Arrow's own allocator keeps what thousands of small part files leave behind: tens of megabytes
    after 10,000 clips. Arrow reads the choice once, when it is first imported: later is too late.
    Kedro calls this first of its plugins.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def let_torchvision_import() -> None:
    """See to it that torchvision and timm can be imported beside any torch, and quickly.

    The torchvision of PyPI is built for the torch of PyPI, which has CUDA. Beside the CPU build of
    torch its compiled operators cannot be loaded, and then ``import torchvision`` raises
    "operator torchvision::nms does not exist"; so do timm, open_clip and torchmetrics (Lightning),
    which import it. They use its Python code alone, so it is enough to declare these operators.
    Nothing happens before torchvision is imported, nor where its operators can be loaded.

    Both load torch's compiler, which takes as long as torch itself, to mark functions for it or to
    ask whether it can compile. It is left for later: `_Later`.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds what is in `_LOADERS` where Python finds it, and loads it by the loader there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module to load; leave all others to Python."""
        if fullname not in _LOADERS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _LOADERS[fullname](fullname, spec.origin)
        return spec


class _WithoutCompiler(SourceFileLoader):
    """Runs a module, and leaves torch's compiler for later."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        with _compiler_is_left_for_later():
            super().exec_module(module)


class _TorchvisionLoader(_WithoutCompiler):
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


_LOADERS: Final = {"torchvision": _TorchvisionLoader, "timm": _WithoutCompiler}


@contextmanager
def _compiler_is_left_for_later() -> Iterator[None]:
    """Put `_Later` in the place of torch's compiler, unless it is loaded already."""
    if COMPILER in sys.modules:
        yield
        return
    answers: dict[str, dict[str, Any]] = {
        COMPILER: {"disable": _as_it_is},
        f"{COMPILER}.utils": {"is_compile_supported": _is_compile_supported},
    }
    standing_in = {name: _Later(name, own) for name, own in answers.items()}
    sys.modules.update(standing_in)
    try:
        yield
    finally:
        for name, module in standing_in.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Later(ModuleType):
    """Stands in for a module until anything is asked of it but what it can answer itself.

    Args:
        name: Of the module.
        answers: What is asked while others are imported, by name.
    """

    def __init__(self, name: str, answers: dict[str, Any]) -> None:
        super().__init__(name)
        self.__dict__.update(answers)

    def __getattr__(self, name: str) -> Any:
        """Load the module, which takes its place, and ask that."""
        if name.startswith("__") and (name, self.__name__) != ("__path__", COMPILER):
            raise AttributeError(name)  # of those that look around, not of those that want it
        for each in [key for key, module in sys.modules.items() if isinstance(module, _Later)]:
            del sys.modules[each]
        return getattr(import_module(self.__name__), name)


def _as_it_is(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """Mark nothing: no compiler is there that could heed it."""
    return _as_it_is if function is None else function


def _is_compile_supported(device_type: str) -> bool:
    """Ask torch's compiler whether it can compile for a device."""
    asked = import_module(f"{COMPILER}.utils").is_compile_supported(device_type)
    return bool(asked)
