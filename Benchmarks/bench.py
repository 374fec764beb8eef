"""The benchmarks: our tools and their peers, in turn within one run. tools/bench installs the requirements and runs this.

Every figure is a ratio of medians over interleaved rounds (ours, peer, ours, peer, ...). CPU is user + system time of a process. A row is
invalid when anything failed, or when its recording does not hold what was sent; the others are still measured.

Exit status: 0 each row was measured, 1 one was invalid, 2 a row that does not exist.
"""
import signal
import subprocess
import sys

import file_rows
import report
import traffic_rows
import view_rows
from running import Bench, Invalid, LeftOut

ROWS = traffic_rows.ROWS + file_rows.ROWS + view_rows.ROWS
MICRO = "codecs, TLS, the flow file and printing alone, in memory; no peer and no goal, for comparing before and after a change."


def measure(bench, row):
    """The results of a row, or the reason why it has none; and whether that is a failure."""
    try:
        results = row.run(bench)
    except LeftOut as reason:
        print("%-18s left out: %s" % (row.name, reason), flush=True)
        return [], "left out: %s" % reason, False
    except Exception as error:  # the other rows are measured in any case
        reason = str(error) if isinstance(error, Invalid) else repr(error)
        print("%-18s INVALID: %s" % (row.name, reason.strip()), flush=True)
        bench.clear()
        return [], "invalid: %s" % " ".join(reason.split())[:200], True
    for result in results:
        print("%-18s %9.4g  peer %9.4g %-15s ratio %6.2f (%.2f to %.2f)  goal %s: %s  %s" % (
            result.name, result.ours, result.peer, result.unit, result.ratio, min(result.ratios), max(result.ratios), row.goal.text,
            "met" if row.goal.holds(result) else "missed", result.note), flush=True)
    return results, "", False


def measure_micro(bench, is_written):
    """Returns whether it failed."""
    done = subprocess.run([bench.tool("micro-benchmarks")], stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        print("micro              INVALID: it ended with status %d" % done.returncode, flush=True)
    elif is_written:
        report.write_micro(done.stdout)
    return done.returncode != 0


def main(arguments):
    if "--list" in arguments:
        for name, sentence in [(row.name, row.sentence) for row in ROWS] + [("micro", MICRO)]:
            print("%-18s %s" % (name, sentence[0].upper() + sentence[1:]))
        return 0
    is_quick = "--quick" in arguments
    names = [row.name for row in ROWS] + ["micro"]
    chosen = [argument for argument in arguments if argument != "--quick"] or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        print("bench: there is no row '%s'; --list names them" % unknown[0], file=sys.stderr)
        return 2
    bench = Bench(rounds=1, seconds=1) if is_quick else Bench(rounds=3, seconds=4)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    outcomes, has_failed = [], False
    try:
        for row in ROWS:
            if row.name in chosen:
                results, reason, failed = measure(bench, row)
                outcomes.append((row, results, reason))
                has_failed |= failed
        if "micro" in chosen:
            has_failed |= measure_micro(bench, not is_quick)
    finally:
        bench.close()
    if len(outcomes) == len(ROWS) and not is_quick:
        report.write_rows(outcomes)
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
