"""What the README shows in Python runs, from top to bottom, as one whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_python_in_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) > 2
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(README.parent)}
    done = subprocess.run([sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "plain forwards of the longest condition" in done.stdout
