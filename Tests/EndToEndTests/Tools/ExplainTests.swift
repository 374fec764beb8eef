// --explain, progress on a terminal, and Ctrl-C.

import Foundation
import TestSupport
import Testing

@Suite("Queries that explain themselves, show progress, and are interrupted")
struct ExplainTests {
    private static let file = repository + "/Fixtures/quickstart/shop.mflow"

    @Test("An explanation is text on stderr beside the usual output, or JSON on stdout in place of the number")
    func explanation() throws {
        try withTemporaryDirectory { directory in
            let count = try run("mitm-filter", ["--count", "~c 200", Self.file]).output
            let text = try run("mitm-filter", ["--explain", "--count", "~c 200", Self.file])
            #expect(text.output == count && text.status == 0)
            let labels = text.errors.split(separator: "\n").map { $0.prefix { $0 != " " } }
            #expect(labels == ["filter", "order", "estimate", "blocks", "bytes", "flows", "time"], "\(text.errors)")
            let json = try run("mitm-filter", ["--explain=json", "-o", "a.mflow", "~c 200", Self.file], in: directory)
            #expect(json.errors == "" && json.status == 0)
            let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
            #expect((object["flows"] as? [String: Int])?["matched"].map { "\($0)\n" } == count)
            #expect(try run("mitm-filter", ["--count", "~all", directory + "/a.mflow"]).output == count)
            // The number is a part of the object.
            let counted = try run("mitm-filter", ["--explain", "json", "--count", "~c 200", Self.file])
            #expect(counted.output.hasPrefix("{\"filter\":\"~c 200\"") && counted.output.count { $0 == "\n" } == 1)
            let mixed = try run("mitm-filter", ["--explain=json", "--json", "~c 200", Self.file])
            #expect(mixed.status == 2 && mixed.output == "")
        }
    }

    @Test("An empty answer is explained")
    func empty() throws {
        func reason(_ arguments: [String]) throws -> Substring? {
            let result = try run("mitm-filter", ["--explain", "--count"] + arguments)
            #expect(result.status == 1 && result.output == "0\n")
            return result.errors.split(separator: "\n").last
        }
        #expect(try reason(["~c 599", Self.file])?.hasSuffix("have no flow for ~c 599, by their summaries") == true)
        let filter = "~http & ~m nothing-like-this & ~b x"
        #expect(try reason([filter, Self.file])?.hasPrefix("empty     ") == true)
        #expect(try reason(["-v", "~all", Self.file])?.hasSuffix("matches !(~all)") == true)
    }

    /// Searches a long file many times on a terminal, presses Ctrl-C when progress is shown, and prints what the terminal showed, stdout, and the status.
    private static let session = """
        import os, pty, sys
        with open(sys.argv[1], "rb") as file: flows = file.read()
        with open("long.mflow", "wb") as file:
            for _ in range(int(sys.argv[2])): file.write(flows)
        out, into = os.pipe()
        child, terminal = pty.fork()
        if child == 0:
            os.dup2(into, 1)
            os.environ["TERM"] = "xterm"
            os.environ.pop("COLUMNS", None)
            os.execv(sys.argv[3], sys.argv[3:] + ["long.mflow"] * 100)
        os.close(into)
        shown = b""
        while b"/s\\x1b[K" not in shown: shown += os.read(terminal, 65536)
        os.write(terminal, b"\\x03")
        try:
            while data := os.read(terminal, 65536): shown += data
        except OSError: pass
        print(repr(shown.decode()))
        print(os.read(out, 65536).decode().strip())
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """

    @Test(
        "A long search shows its progress on a terminal, and Ctrl-C ends it with the number so far",
        .enabled(if: hasTerminals, "there are no pseudo-terminals here: /dev/pts is not mounted"))
    func interrupted() throws {
        try withTemporaryDirectory { directory in
            let command = [toolDirectory + "/mitm-filter", "--count", "-j", "1", "~b \"(a|b|ab)*nothing-like-this\""]
            let result = try run("python3", ["-c", Self.session, Self.file, "1000"] + command, in: directory)
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(result.status == 0 && lines.count == 3, "\(result)")
            let shown = lines.first ?? ""
            #expect(shown.contains(#/^'\\rsearching: [0-9.]+ [KM]iB of [0-9.]+ MiB, .*/s\\x1b\[K/#), "\(shown)")
            #expect(shown.hasSuffix("\\r\\x1b[Kmitm-filter: interrupted: only a part of the input was searched\\r\\n'"), "\(shown)")
            #expect(lines.dropFirst() == ["0", "130"])
        }
    }
}
