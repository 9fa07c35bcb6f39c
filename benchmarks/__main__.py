"""python -m benchmarks [conv] [step] [start] [gradcheck] [--rounds N] [--json FILE]"""

import argparse
import json

import tinyconv
from benchmarks import conv, gradcheck, startup, steps

SUITES = {"conv": conv.run, "step": steps.run, "start": startup.run, "gradcheck": gradcheck.run}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"some of {', '.join(SUITES)}; default all")
    parser.add_argument("--rounds", type=int, default=9, help="medians are over so many rounds")
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument("--json", help="also write all results to this file")
    args = parser.parse_args()
    unknown = set(args.suites) - set(SUITES)
    if unknown:
        parser.error(f"unknown suite {sorted(unknown)[0]!r}; there are {', '.join(SUITES)}")
    if args.threads:
        tinyconv.set_num_threads(args.threads)
    print(f"tinyconv {tinyconv.__version__}, {tinyconv.get_num_threads()} threads")
    results = {name: SUITES[name](args.rounds) for name in args.suites or SUITES}
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
