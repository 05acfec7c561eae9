"""Does faithfulness change with size, training and difficulty? Audits of models x checkpoints x tasks from one file."""
