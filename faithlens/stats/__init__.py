"""How sure are the numbers: intervals over questions, verdicts, comparisons, power, and detection of planted truth."""
