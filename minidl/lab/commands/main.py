"""The command line: `minidl mnist`, `cifar`, `predict`, `lessons`, `reproduce`, `live`, `bench`; or `python -m minidl …`."""

import argparse
import difflib
import sys

import minidl
from minidl.system.interrupt import handle_interrupts
from minidl.system.terminal import printing

__all__ = ["main"]


def main(argv=None):
    """Run one command; returns the exit status.

    Whatever becomes of its output, the work is done to its end. The status is 1 if output was lost to an error such as a
    full disk; that somebody stopped reading is none.
    """
    with printing() as output:
        try:
            status = _command(argv)
        except SystemExit as end:  # argparse's, after --help or a mistake
            if end.code or not output.failed():
                raise
            return 1
        return status or int(output.failed())


def _command(argv):
    try:
        return _run(_read(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        print("\nstopped at once; everything written so far is intact", file=sys.stderr)
        return 130


def _read(argv):
    """The command of these words, and its flags."""
    parser = argparse.ArgumentParser(
        prog="minidl", description="Deep learning from scratch, and the batch normalization paper on your own machine."
    )
    parser.add_argument("--version", action="version", version=f"minidl {minidl.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    from minidl.lab.commands import bench, cifar, lessons, live, mnist, predict, reproduce

    handle_interrupts()
    for job in (mnist, cifar, predict, lessons, reproduce, live, bench):
        command = commands.add_parser(job.__name__.rsplit(".")[-1], help=job.HELP, description=job.HELP)
        job.add_arguments(command)
        command.set_defaults(run=job.run)
    if argv and argv[0].startswith("-") and argv[0] not in parser._option_string_actions:
        _refuse(parser, argv[0])
    args, rest = parser.parse_known_args(argv)
    if rest:
        _refuse(commands.choices[args.command], rest[0])
    return args


def _run(args):
    try:
        return args.run(args)
    except (ValueError, OSError, FloatingPointError) as error:
        message = str(error).removeprefix(f"{args.command}: ")  # `data.mnist` begins its own with its name
        print(f"minidl {args.command}: {message}", file=sys.stderr)
        return 2


def _refuse(command, word):
    """End with the usage of the command that was given an extra word; argparse alone would show minidl's own."""
    flags = [flag for action in command._actions for flag in action.option_strings]
    near = difflib.get_close_matches(word, flags, n=1)
    what = f"there is no {word}" if word.startswith("-") else f"there is no place for {word}"
    command.error(f"{what}; " + (f"did you mean {near[0]}?" if near else f"{command.prog} --help lists what there is"))
