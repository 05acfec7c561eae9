"""What a case of hostile input is."""

from collections.abc import Callable
from pathlib import Path

Case = Callable[[Path], object]
"""Gets a new folder, makes its input there, and uses it as a command does.

What a user sees is the error that it raises, or the text that it returns.
"""
