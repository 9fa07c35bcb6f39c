"""python -m benchmarks [SUITE ...] [--rounds N] [--threads N] [--only TEXT] [--json FILE]"""

import argparse
from pathlib import Path

import tinyconv
from benchmarks import conv, eager, gradcheck, growth, imagenet, limits, memory, startup, steps
from benchmarks.timing import dump, only

SUITES = {
    "conv": conv.run, "nets": steps.run, "imagenet": imagenet.run, "growth": growth.run,
    "start": startup.run, "memory": memory.run, "gradcheck": gradcheck.run, "eager": eager.run,
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"some of {', '.join(SUITES)}; default all")
    parser.add_argument("--rounds", type=int, default=9, help="medians are over so many rounds")
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument(
        "--only",
        action="append",
        metavar="TEXT",
        help="rows with TEXT in their name; repeatable",
    )
    parser.add_argument(
        "--json",
        type=Path,
        help="also write to this file, or a file per suite into this folder",
    )
    args = parser.parse_args()
    unknown = set(args.suites) - set(SUITES)
    if unknown:
        parser.error(f"unknown suite {sorted(unknown)[0]!r}; there are {', '.join(SUITES)}")
    if args.threads:
        tinyconv.set_num_threads(args.threads)
    print(f"tinyconv {tinyconv.__version__}, {tinyconv.get_num_threads()} threads")
    about, results = dict(machine=limits.machine(), rounds=args.rounds), {}
    for name in args.suites or SUITES:
        results[name] = SUITES[name](args.rounds, only(args.only))
        if args.json and args.json.is_dir():
            dump({**about, name: results[name]}, args.json / f"{name}.json")
    if args.json and not args.json.is_dir():
        dump({**about, **results}, args.json)


if __name__ == "__main__":
    main()
