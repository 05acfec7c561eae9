"""The public names of `faithlens.tasks`, and where each lives."""

from .question import Prompt, Question, Stem, Task
from .transcripts import Transcript

__all__ = [
    "Prompt",
    "Question",
    "Stem",
    "Task",
    "Transcript",
]
