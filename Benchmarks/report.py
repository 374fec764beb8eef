"""Writes the sections of docs/benchmarks.md that are between markers; the rest is written by hand."""
import os
import re
import subprocess
import time

from running import ROOT

PAGE = os.path.join(ROOT, "docs", "benchmarks.md")


def write_section(name, lines):
    """Puts lines between <!-- name --> and <!-- end name -->; a missing section is added at the end."""
    text = open(PAGE).read() if os.path.exists(PAGE) else "# Benchmarks\n"
    section = "<!-- %s -->\n\n%s\n\n<!-- end %s -->" % (name, "\n".join(lines), name)
    pattern = re.compile("<!-- %s -->.*?<!-- end %s -->" % (name, name), re.S)
    text = pattern.sub(lambda _: section, text) if pattern.search(text) else text.rstrip() + "\n\n" + section + "\n"
    with open(PAGE, "w") as out:
        out.write(text)


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return (done.stdout.splitlines() or ["?"])[0].strip()


def circumstances(*more):
    model = re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read())
    facts = [first_line("swift", "--version"), *more]
    return "Measured %s on %d cores (%s), %s." % (time.strftime("%Y-%m-%d"), os.cpu_count(), model.group(1) if model else "?", ", ".join(facts))


def cell(text):
    return text.replace("|", "\\|")


def write_rows(outcomes):
    """outcomes: rows, each with its Results, or with the reason why it has none."""
    lines = [circumstances(first_line("haproxy", "-v"), first_line("nginx", "-v")), "",
             "| row | what | ours | peer | unit | ratio | spread | goal | met | |", "|---|---|---|---|---|---|---|---|---|---|"]
    for row, results, reason in outcomes:
        what = cell("%s, against %s" % (row.measures, row.peer))
        if reason:
            lines.append("| %s | %s | – | – | – | – | – | %s | – | %s |" % (row.name, what, row.goal.text, cell(reason)))
        for result in results:
            lines.append("| %s | %s | %.4g | %.4g | %s | **%.2f** | %.2f–%.2f | %s | %s | %s |" % (
                result.name, what, result.ours, result.peer, result.unit, result.ratio, min(result.ratios), max(result.ratios), row.goal.text,
                "yes" if row.goal.holds(result) else "no", cell(result.note)))
    write_section("rows", lines)


def write_micro(table):
    """table: the output of micro-benchmarks, a line of name, value and unit for each figure."""
    lines = [circumstances(), "", "| part | figure |", "|---|---|"]
    for line in table.splitlines():
        name, figure = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        lines.append("| %s | %s |" % (cell(name), re.sub(r"\s+", " ", figure)))
    write_section("micro", lines)
