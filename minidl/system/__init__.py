"""Files, terminal, machine: what has nothing to do with learning."""
