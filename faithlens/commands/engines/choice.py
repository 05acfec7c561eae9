"""The engines by name."""

from typing import Literal, get_args

from faithlens.commands.engines.engine import Engine
from faithlens.errors import check_choice

EngineName = Literal["ray", "slurm", "local"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def make_engine(name: str) -> Engine:
    """The engine `name`, one of `ENGINES`. Raises ConfigError where there is none of this name."""
    check_choice(name, ENGINES, "engine")
    if name == "ray":
        from faithlens.commands.engines.ray import RayEngine

        return RayEngine()
    from faithlens.commands.engines.submitted import SubmititEngine

    return SubmititEngine("slurm" if name == "slurm" else "local")
