// mitm-dump and mitm-filter as programs: where their output goes, where the filter stands, and what they say of inputs that are none.

import Foundation
import TestSupport
import Testing

private let archives = repository + "/Fixtures/archives/v1"
private let http = archives + "/http.mflow"
private let tcp = archives + "/tcp.mflow"

/// Commands of a shell in which `$T` is the directory of the tools, `$H` and `$C` are recordings of HTTP and of TCP.
private func shell(_ script: String, in directory: String) throws -> ProgramResult {
    try run("bash", ["-c", "T=\(toolDirectory); H=\(http); C=\(tcp)\n" + script], in: directory)
}

@Suite("Outputs of the readers")
struct ReaderOutputTests {
    @Test(
        "A file is replaced only by what is like it",
        arguments: [
            (
                "echo notes > f", "mitm-filter -o f '~all' $H",
                "f is not a flow file, so it was not replaced; choose another name, or remove it first"
            ),
            (
                "echo notes > f", "mitm-dump -o f --format mflow $H",
                "f is not a flow file, so it was not replaced; choose another name, or remove it first"
            ),
            (
                "cp $C f", "mitm-dump -o f $H",
                "f is a flow file, so it was not replaced by text; choose another name, or remove it first"
            ),
            (
                "cp $C f", "mitm-filter -w f --json '~all' $H",
                "f is a flow file, so it was not replaced by json; choose another name, or remove it first"
            ),
            (
                "cp $C f", "mitm-filter -o f --format mitmproxy '~all' $H",
                "f is not a flow file of mitmproxy, so it was not replaced; choose another name, or remove it first"
            ),
            (
                "$T/mitm-filter -o f --format mitmproxy '~all' $H", "mitm-dump --format har -o f $C",
                "f is a flow file of mitmproxy, so it was not replaced by har; choose another name, or remove it first"
            ),
            ("mkdir f", "mitm-dump -o f $H", "cannot write f: it is a directory; name a file in it"),
            ("echo notes > f", "mitm-dump -o f $H", nil), ("cp $C f", "mitm-filter -o f '~all' $H", nil),
            (": > f", "mitm-filter -o f '~all' $H", nil),
            ("$T/mitm-filter -o f --format mitmproxy '~all' $H", "mitm-filter --format mitmproxy -o f '~c 200' $H", nil),
            ("echo notes > f", "mitm-dump -o /dev/null $H", nil),
        ] as [(String, String, String?)])
    func replaced(before: String, command: String, error: String?) throws {
        try withTemporaryDirectory { directory in
            var result = try shell(
                "\(before); cp -r f old; $T/\(command); s=$?; diff -r f old > /dev/null; echo $?; exit $s", in: directory)
            let tool = command.prefix { $0 != " " }
            let isSame = error != nil || command.contains("/dev/null")
            // The lines of exports tell what their format loses.
            result.errors = result.errors.split(separator: "\n").filter { !$0.contains(" written; ") }.map { $0 + "\n" }.joined()
            #expect(
                result
                    == ProgramResult(
                        status: error == nil ? 0 : 2, output: isSame ? "0\n" : "1\n", errors: error.map { "\(tool): \($0)\n" } ?? ""
                    ))
        }
    }

    @Test("The name of a descriptor is the descriptor: what the shell asked for holds")
    func descriptors() throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                """
                $T/mitm-dump --json $H > all
                (echo first; $T/mitm-filter --json -o /dev/stdout '~all' $H; $T/mitm-dump --json -o /dev/fd/1 $H) > f
                $T/mitm-dump --json -o /dev/stdout $H >> f; $T/mitm-dump --json -o /dev/fd/7 $H 7>> f; echo last >> f
                cmp f <(echo first; cat all all all all; echo last) || exit 1
                $T/mitm-filter '~all' $H > one; $T/mitm-filter -o /dev/stdout '~all' $C >> one
                $T/mitm-dump --json one | cmp - <(cat all; $T/mitm-dump --json $C) || exit 2
                mkfifo pipe; cat pipe > piped & $T/mitm-dump --json -o pipe $H && wait && cmp piped all || exit 3
                $T/mitm-dump --json -o >(cat > piped) $H && wait $! && cmp piped all || exit 4
                ln -s /dev/stdout link; $T/mitm-dump --json -o link $H | cmp - all || exit 5
                $T/mitm-dump -o /dev/fd/77 $H; [ $? = 2 ] || exit 6
                $T/mitm-dump -o /dev/full $H; [ $? = 2 ] || exit 7
                """, in: directory)
            #expect(
                result
                    == ProgramResult(
                        status: 0, output: "",
                        errors: """
                            mitm-dump: cannot write /dev/fd/77: bad file descriptor
                            mitm-dump: cannot write /dev/full: no space left on device

                            """))
        }
    }

    @Test("The reader of a named pipe that goes ends the tool quietly")
    func pipe() throws {
        try withTemporaryDirectory { directory in
            // More than a pipe holds.
            let script = """
                for i in {1..9}; do cat $H $H $H $H $H $H $H $H $H $H; done > many; mkfifo pipe
                head -c 1 pipe > /dev/null & $T/mitm-dump --detail 4 -o pipe many
                """
            let result = try shell(script, in: directory)
            #expect(result == ProgramResult(status: 0, output: "", errors: ""))
        }
    }

    @Test("Both tools write every format, and the same", arguments: ["gor", "text", "json", "har", "mflow", "mitmproxy", "warc"])
    func formats(format: String) throws {
        try withTemporaryDirectory { directory in
            // A flow file has the time at which it was written.
            let read = format == "mflow" || format == "mitmproxy" ? "$T/mitm-dump --json" : "cat"
            let result = try shell(
                """
                { $T/mitm-dump --detail 1 --format \(format) -o a '~all' $H; $T/mitm-filter --format \(format) -o b '~all' $H
                $T/mitm-filter --format \(format) '~all' < $H > c; } 2> lines
                # What the format cannot represent is reported.
                grep -v ': \(format): [0-9]* of [0-9]* flows written; ' lines >&2
                for f in a b c; do [ -s $f ] && cmp <(\(read) a) <(\(read) $f) || exit 1; done
                """, in: directory)
            #expect(result == ProgramResult(status: 0, output: "", errors: ""))
        }
    }
}

@Suite("Filters and files on the command line")
struct FilterPositionTests {
    @Test(
        "The filter stands before the files, after them or at -f",
        arguments: [
            "mitm-dump --json '~c 200' $H", "mitm-dump --json $H '~c 200'", "mitm-dump --json -f '~c 200' $H",
            "mitm-dump $H --json '~c 200'",
            "mitm-dump --json --filter '~c 200' < $H", "mitm-dump --json '~c 200' < $H", "mitm-dump --json '~c 200' - < $H",
            "mitm-filter --json '~c 200' $H", "mitm-filter --json $H '~c 200'", "mitm-filter --json -f '~c 200' $H",
            "mitm-filter --json -f'~c 200' - < $H",
            "mitm-filter --json '~c 200' < $H", "mitm-filter $H --json '!(!~c 200)'", "mitm-filter --json --invert '!~c 200' $H",
            "mitm-filter --json -f '~u ^http ~c 200' $H", "mitm-dump --json $H 'http ~c 200'",
            "mitm-dump --set 'filter=~c 404' --json $H '~c 200'",
        ])
    func position(command: String) throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                "$T/mitm-filter '~c 200' $H | $T/mitm-dump --json > right; [ -s right ]; $T/\(command) | cmp - right", in: directory
            )
            #expect(result == ProgramResult(status: 0, output: "", errors: ""))
        }
    }

    @Test(
        "What cannot be meant is an error with what to do",
        arguments: [
            (
                "mitm-filter web.mflow",
                "web.mflow is a file; an expression is missing; '~all' matches every flow, and -f takes any expression"
            ),
            (
                "mitm-filter web.mflow web.mflow",
                "web.mflow is a file; an expression is missing; '~all' matches every flow, and -f takes any expression"
            ),
            (
                "mitm-filter --count dir",
                "dir is a directory; an expression is missing; '~all' matches every flow, and -f takes any expression"
            ),
            ("mitm-filter", "an expression is missing; '~all' matches every flow"),
            (
                "mitm-filter '~c 200' web.mflow '~m GET'",
                "there are two filters, '~c 200' and '~m GET'; join them to one by & or |, or check the file's name"
            ),
            (
                "mitm-filter google web.mflow '~m GET'",
                "there are two filters, 'google' and '~m GET'; join them to one by & or |, or check the file's name"
            ),
            (
                "mitm-dump -f '~c 200' web.mflow '~m GET'",
                "there are two filters, '~c 200' and '~m GET'; join them to one by & or |, or check the file's name"
            ),
            ("mitm-dump --verify web.mflow '~m GET'", "--verify describes the file, so it cannot be combined with a filter"),
            (
                "mitm-dump --json --format text web.mflow",
                "--json and --format text contradict each other; give one of them"
            ),
            (
                "mitm-filter --json --format har '~all' web.mflow",
                "--json and --format har contradict each other; give one of them"
            ),
            ("mitm-dump -nr web.mflow", "there is no option '-nr'; name the files without an option"),
            ("mitm-filter -r web.mflow '~all'", "there is no option '-r'; name the files without an option"),
            ("mitm-dump --flow-detail 2 web.mflow", "there is no option '--flow-detail'; use --detail"),
            ("mitm-dump nofile", "cannot open nofile: no such file or directory"),
        ])
    func errors(command: String, sentence: String) throws {
        try withTemporaryDirectory { directory in
            let result = try shell("cp $H web.mflow; mkdir dir; $T/\(command) < /dev/null", in: directory)
            #expect(result == ProgramResult(status: 2, output: "", errors: "\(command.prefix { $0 != " " }): \(sentence)\n"))
        }
    }

    @Test(
        "Options that contradict each other are refused",
        arguments: [
            "mitm-filter --count --format json '~all'", "mitm-filter --count --json '~all'", "mitm-filter --count -o out '~all'",
            "mitm-filter -q --count '~all'",
            "mitm-filter -q -o out '~all'", "mitm-dump --structure --verify", "mitm-dump --verify --json",
            "mitm-dump --structure -f '~all'",
            "mitm-dump --follow --format har", "mitm-dump --verify --follow", "mitm-filter --append '~all'",
            "mitm-filter --append --json -o out '~all'",
        ])
    func contradictions(command: String) throws {
        try withTemporaryDirectory { directory in
            let result = try shell("$T/\(command) $H; s=$?; [ ! -e out ] || exit 9; exit $s", in: directory)
            #expect(result.status == 2 && result.output.isEmpty)
        }
    }

    @Test("A file whose name looks like an expression is a file; without an operator a filter stands first")
    func names() throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                """
                cp $H '~c 404'; $T/mitm-dump --json '~c 404' | cmp - <($T/mitm-dump --json $H) || exit 1
                $T/mitm-filter --count -f '~c 404' '~c 404' > count; [ "$(cat count)" != "$($T/mitm-filter --count '~all' $H)" ] || exit 2
                $T/mitm-filter --json http $H | cmp - <($T/mitm-filter --json -f http $H) || exit 3
                """, in: directory)
            #expect(result == ProgramResult(status: 0, output: "", errors: ""))
        }
    }

    @Test("A quiet filter tells by its status, and a quiet dump prints no warning")
    func quiet() throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                """
                $T/mitm-filter -q '~all' $H; echo $?; $T/mitm-filter -q '~c 599' $H; echo $?; $T/mitm-filter -q '~all' nofile; echo $?
                $T/mitm-dump -q --detail 0 \(archives)/torn.mflow; echo $?; : > empty; $T/mitm-dump -q empty; echo $?
                """, in: directory)
            #expect(
                result
                    == ProgramResult(
                        status: 0, output: "0\n1\n2\n3\n0\n", errors: "mitm-filter: cannot open nofile: no such file or directory\n"
                    ))
        }
    }
}

@Suite("Inputs that are no recordings")
struct ForeignInputTests {
    @Test(
        "A file of a known format is named, with what to do about it",
        arguments: [
            ("gzip -c $H", "gzip", "decompress it first: zcat x.mflow > decompressed"),
            ("bzip2 -c $H", "bzip2", "decompress it first: bzcat x.mflow > decompressed"),
            ("xz -c $H", "xz", "decompress it first: xzcat x.mflow > decompressed"),
            ("printf '\\x28\\xb5\\x2f\\xfd\\0\\0'", "Zstandard", "decompress it first: zstdcat x.mflow > decompressed"),
            ("lz4 -q -c $H", "LZ4", "decompress it first: lz4cat x.mflow > decompressed"),
            ("printf '\\xd4\\xc3\\xb2\\xa1\\2\\0\\4\\0'", "pcap", "it has packets, not flows; record the traffic with mitm-record"),
            ("printf '\\x0a\\x0d\\x0d\\x0a\\0\\0'", "pcapng", "it has packets, not flows; record the traffic with mitm-record"),
            ("printf 'PK\\3\\4\\0\\0'", "ZIP", "a SAZ file of Fiddler is one; export it as HAR, or extract the archive first"),
        ])
    func known(producer: String, format: String, advice: String) throws {
        try withTemporaryDirectory { directory in
            for tool in ["mitm-dump", "mitm-filter '~all'", "mitm-dump --verify"] {
                let result = try shell(
                    "\(producer) > x.mflow; cp x.mflow old; $T/\(tool) x.mflow; s=$?; cmp x.mflow old; exit $s", in: directory)
                let errors = "\(tool.prefix { $0 != " " }): x.mflow begins like \(format), not like a flow file; \(advice)\n"
                #expect(result == ProgramResult(status: 2, output: "", errors: errors))
            }
        }
    }

    @Test("An empty input is reported, and is no error")
    func empty() throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                ": > e.mflow; $T/mitm-dump e.mflow; echo $?; $T/mitm-filter --count '~all' e.mflow; echo $?; $T/mitm-dump < /dev/null; echo $?",
                in: directory)
            #expect(
                result
                    == ProgramResult(
                        status: 0, output: "0\n0\n1\n0\n",
                        errors: "mitm-dump: e.mflow is empty\nmitm-filter: e.mflow is empty\nmitm-dump: standard input is empty\n"))
        }
    }

    @Test("One line tells of a damaged block, with the number of its flows")
    func damaged() throws {
        try withTemporaryDirectory { directory in
            let script = """
                cp $H d.mflow; size=$(stat -c %s d.mflow); printf '\\x55' | dd of=d.mflow bs=1 seek=$((size / 2)) conv=notrunc status=none
                for tool in "mitm-dump --detail 4" "mitm-dump --json" "mitm-filter --json ~all" "mitm-filter ~all"; do $T/$tool d.mflow > /dev/null; echo $?; done
                """
            let result = try shell(script, in: directory)
            #expect(result.output == "3\n3\n3\n3\n")
            let lines = result.errors.split(separator: "\n")
            #expect(lines.count == 4 && lines.allSatisfy { $0.contains(": d.mflow: ") })
        }
    }
}
