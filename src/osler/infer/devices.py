"""Where a model runs: a GPU that ONNX Runtime can use, or the processor."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osler.errors import ConfigError

_KINDS: Final = {"cuda": "CUDAExecutionProvider", "rocm": "ROCMExecutionProvider"}
_NODES: Final = {
    "cuda": ("nvidia{number}", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"),
    "rocm": ("kfd", "dri"),
}
_NAME: Final = re.compile(r"(cuda|rocm):(\d{1,3})")
_PATIENCE_S: Final = 10.0

Provider = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Device:
    """A device for inference.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda:N`` or ``rocm:N``.
    memory_mb : int
        Its own memory, MB; 0 for the processor, or when it is not known.
    """

    name: str = "cpu"
    memory_mb: int = 0

    def __post_init__(self) -> None:
        if self.name != "cpu" and not _NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} is no device: cpu, cuda:N or rocm:N")

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Execution providers for ONNX Runtime, in the order of preference."""
        found = _NAME.fullmatch(self.name)
        cpu: Provider = ("CPUExecutionProvider", {})
        return (cpu,) if found is None else ((_KINDS[found[1]], {"device_id": found[2]}), cpu)

    @property
    def files(self) -> tuple[Path, ...]:
        """Device files that a process needs for it."""
        found = _NAME.fullmatch(self.name)
        return () if found is None else tuple(Path("/dev", n.format(number=found[2])) for n in _NODES[found[1]])


def devices(wanted: Sequence[str], *, memory_mb: int = 0, dev: Path = Path("/dev")) -> list[Device]:
    """Return the devices to run on.

    Parameters
    ----------
    wanted : sequence of str
        Names; ``auto`` stands for every GPU here that the installed ONNX Runtime can use, else the processor.
    memory_mb : int
        What each GPU has, MB; 0 to ask its driver.
    dev : Path
        Where device files are.

    Raises
    ------
    ConfigError
        If a name is none of a device.
    """
    names: list[str] = []
    for name in wanted:
        names += _found(dev) if name == "auto" else [name]
    return [_with_memory(Device(name), memory_mb) for name in dict.fromkeys(names or ["cpu"])]


def _found(dev: Path) -> list[str]:
    nvidia = sorted(int(p.name[6:]) for p in dev.glob("nvidia[0-9]*") if p.name[6:].isdigit())
    amd = range(len(list((dev / "dri").glob("renderD*")))) if (dev / "kfd").exists() else range(0)
    present = [f"cuda:{n}" for n in nvidia] + [f"rocm:{n}" for n in amd]
    if not present:
        return ["cpu"]
    import onnxruntime  # heavy, and needed only where there is a GPU

    usable = set(onnxruntime.get_available_providers())
    return [name for name in present if _KINDS[name.partition(":")[0]] in usable] or ["cpu"]


def _with_memory(device: Device, memory_mb: int) -> Device:
    kind, _, number = device.name.partition(":")
    if kind == "cpu":
        return device
    return Device(device.name, memory_mb or (_nvidia_mb(number) if kind == "cuda" else _amd_mb(number)))


def _nvidia_mb(number: str) -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    command = [program, f"--id={number}", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        return int(subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True).stdout)
    return 0


def _amd_mb(number: str) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        cards = sorted(Path("/sys/class/drm").glob("card*/device/mem_info_vram_total"))
        return int(cards[int(number)].read_text(encoding="ascii")) // 2**20
    return 0
