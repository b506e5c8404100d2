"""What the command line does, one file a command: `HELP`, `add_arguments(parser)` and `run(args)`."""
