#!/usr/bin/env python3
"""Presses the tab key in bash, zsh and fish, with the completions that tools/install installed.

usage: Tests/Package/completions.py PREFIX        the prefix of the installation

Bash's function is called as readline calls it, fish is asked by `complete -C`, and zsh runs in a pseudo-terminal, where its matches are printed.
"""

import os
import pathlib
import pty
import select
import subprocess
import sys
import tempfile
import time

PREFIX = pathlib.Path(sys.argv[1])
# What is typed, and what must be among the matches.
CASES = [
    ("mitm-record --flush-i", ["--flush-interval"]),
    ("mitm-record --on-disk-full ", ["pause", "stop", "pass", "rotate"]),
    ("mitm-record --on-disk-error ", ["pause", "stop"]),
    ("mitm-record --mode rev", ["reverse:"]),
    ("mitm-dump --fol", ["--follow"]),
    ("mitm-dump --format j", ["json"]),
    ("mitm-dump -f ~webs", ["~websocket"]),
    ("mitm-dump cap", ["capture.mflow", "captures/"]),
    ("mitm-filter --inv", ["--invert"]),
    ("mitm-filter ~webs", ["~websocket"]),
    ("mitm-filter '~webs", ["~websocket"]),
    ("mitm-filter ~c cap", ["capture.mflow", "captures/"]),
    ("mitm-serve --match-b", ["--match-body"]),
    ("mitm-serve --match-body j", ["json"]),
    ("mitm-replay --timing rec", ["recorded"]),
    ("mitm-replay cap", ["capture.mflow", "captures/"]),
]
# Of a tool that starts a command.
COMMAND_CASES = [
    ("mitm-record -w x.mflow -- unam", ["uname"]),
    ("mitm-record -- cat capture.t", ["capture.txt"]),
]
# What must not be among the matches of a file.
OTHER_FILES = ["capture.txt"]
LIMIT = 30

HOME = tempfile.TemporaryDirectory()  # fish makes its files there.
ENVIRONMENT = {**os.environ, "PATH": f"{PREFIX}/bin:{os.environ['PATH']}", "HOME": HOME.name, "TERM": "dumb"}


def bash(line, directory):
    tool = line.split(" ")[0]
    script = f"""
        compopt() {{ :; }}  # it works only when readline calls the function
        source '{PREFIX}/share/bash-completion/completions/{tool}'
        COMP_LINE=$1 COMP_POINT=${{#1}} COMP_CWORD=0
        read -ra COMP_WORDS <<<"$1"; COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        case $1 in *' ') COMP_WORDS+=(''); COMP_CWORD=$((COMP_CWORD + 1)) ;; esac
        _{tool.replace("-", "_")} {tool} "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
        for match in "${{COMPREPLY[@]}}"; do if [ -d "$match" ]; then match=${{match%/}}/; fi; printf '%s\\n' "$match"; done
        """
    return run("bash", "--norc", "-c", script, "bash", line, directory=directory)


def fish(line, directory):
    tool = line.split(" ")[0]
    script = f"source '{PREFIX}/share/fish/vendor_completions.d/{tool}.fish'; complete -C $argv[1]"
    lines = run("fish", "--no-config", "-c", script, line, directory=directory)
    return [text.split("\t")[0] for text in lines]


def run(*command, directory):
    result = subprocess.run(command, cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT)
    if result.stderr:
        sys.exit(f"{command[0]}: {result.stderr}")
    return result.stdout.splitlines()


class Zsh:
    """An interactive zsh that prints its matches instead of showing them."""

    START = r"""
        PROMPT= RPROMPT= ; unsetopt prompt_cr prompt_sp beep; fpath=(%s/share/zsh/site-functions $fpath)
        autoload -Uz compinit; compinit -u -D; zstyle ':completion:*' menu no
        compadd() {
          if (( ${@[(I)-[OAD]]} )); then builtin compadd "$@"; return; fi
          local -a found; builtin compadd -O found "$@"
          for match in $found; do [[ -d $match ]] && match+=/; print -r -- "MATCH $match"; done
          builtin compadd "$@"
        }
        press() { zle complete-word; print -r -- PRESSED; zle send-break }
        zle -N press; bindkey '^I' press; print -r -- STAR''TED
        """

    def __init__(self, directory):
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f", "-i"], ENVIRONMENT)
        start = directory.parent / "start.zsh"
        start.write_text(self.START % PREFIX)
        os.write(self.terminal, f"source {start}\n".encode())
        self.read_until("STARTED")

    def read_until(self, mark):
        text = ""
        end = time.monotonic() + LIMIT
        while mark not in text:
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"zsh: no answer; it printed: {text}")
            text += os.read(self.terminal, 4096).decode(errors="replace")
        return text

    def matches(self, line, directory):
        os.write(self.terminal, line.encode() + b"\t")
        lines = self.read_until("PRESSED").splitlines()
        return [text.split("MATCH ", 1)[1].strip() for text in lines if "MATCH " in text]

    def end(self):
        os.close(self.terminal)
        os.waitpid(self.child, 0)


def has_terminals():
    """Whether the system gives pseudo-terminals (pty(7)): a bare chroot without /dev/pts does not."""
    try:
        for descriptor in pty.openpty():
            os.close(descriptor)
        return True
    except OSError:
        return False


def main():
    failures = []
    tried = 0
    cases = CASES
    if "-- COMMAND" in subprocess.run([PREFIX / "bin/mitm-record", "--help"], capture_output=True, text=True, check=True).stdout:
        cases = CASES + COMMAND_CASES
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary) / "files"
        (directory / "captures").mkdir(parents=True)
        for name in ["capture.mflow", *OTHER_FILES]:
            (directory / name).touch()
        shells = {"bash": bash, "fish": fish}
        zsh = Zsh(directory) if has_terminals() else None
        if zsh:
            shells["zsh"] = zsh.matches
        else:
            print("zsh is not tried: there are no pseudo-terminals here")
        for shell, matches in shells.items():
            for line, expected in cases:
                if shell == "zsh" and " ~webs" in line:
                    # Zsh itself completes an unquoted ~ to the names of users, and refuses one that is no user.
                    continue
                tried += 1
                found = [match.replace("\\", "").lstrip("'") for match in matches(line, directory)]
                missing = [match for match in expected if match not in found]
                if missing:
                    failures.append(f"{shell}: '{line}' does not complete to {missing}, but to {found[:8]}")
                if expected[0] == "capture.mflow" and set(OTHER_FILES) & set(found):
                    failures.append(f"{shell}: '{line}' completes to a file that is not a recording: {found}")
        if zsh:
            zsh.end()
    for failure in failures:
        print(failure)
    print(f"completions: {tried} tried, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
