"""Many audits from one file: models x checkpoints x tasks, and what size and difficulty do to the measures."""
