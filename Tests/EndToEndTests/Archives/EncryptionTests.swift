// Encrypted recordings through the tools, and through other programs that read and write age files.

import Foundation
import Glibc
import TestSupport
import Testing

private let recordings = repository + "/Fixtures/archives/v1"

/// A directory with a key, `key`, and another, `other`, of age-keygen.
private struct Keys {
    let directory: String
    let recipient: String
    let otherRecipient: String

    init(in directory: String) throws {
        self.directory = directory
        func make(_ name: String) throws -> String {
            _ = try run("age-keygen", ["-o", name], in: directory)
            return try run("age-keygen", ["-y", name], in: directory).output.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        recipient = try make("key")
        otherRecipient = try make("other")
    }

    /// Encrypts a flow file to the key.
    func encrypt(_ file: String, to output: String) throws {
        let made = try run("mitm-filter", ["~all", file, "--encrypt-to", recipient, "-o", output], in: directory)
        try #require(made == ProgramResult(status: 0, output: "", errors: ""))
    }
}

private let files = ["long-bodies.mflow", "every-kind.mflow", "concatenated.mflow"]

@Suite("Encrypted recordings")
struct EncryptionTests {
    @Test("age and pyrage decrypt ours to the flow file that the tools read", arguments: files)
    func ours(file: String) throws {
        try withTemporaryDirectory { directory in
            let keys = try Keys(in: directory)
            try keys.encrypt(recordings + "/" + file, to: "a.age")
            _ = try run("age", ["-d", "-i", "key", "-o", "a.mflow", "a.age"], in: directory)
            let script = """
                import pyrage
                keys = [pyrage.x25519.Identity.from_str(line) for line in open("key").read().split("\\n") if line[:1] == "A"]
                open("b.mflow", "wb").write(pyrage.decrypt(open("a.age", "rb").read(), keys))
                """
            #expect(try run(python, ["-c", script], in: directory) == ProgramResult(status: 0, output: "", errors: ""))
            #expect(FileManager.default.contentsEqual(atPath: directory + "/a.mflow", andPath: directory + "/b.mflow"))
            let plain = try run("mitm-dump", ["--json", "a.mflow"], in: directory)
            #expect(!plain.output.isEmpty && plain.status == 0)
            #expect(try run("mitm-dump", ["--json", "-i", "key", "a.age"], in: directory) == plain)
            let data = try Data(contentsOf: URL(fileURLWithPath: directory + "/a.age"))
            #expect(try run("mitm-dump", ["--json", "-i", "key"], input: data, in: directory) == plain)
        }
    }

    @Test("Files of age and pyrage are read, whichever of their recipients the key is")
    func theirs() throws {
        try withTemporaryDirectory { directory in
            let keys = try Keys(in: directory)
            try FileManager.default.copyItem(atPath: "\(recordings)/\(files[0])", toPath: directory + "/a.mflow")
            let script = """
                import pyrage
                to = [pyrage.x25519.Recipient.from_str("\(keys.otherRecipient)"), pyrage.x25519.Recipient.from_str("\(keys.recipient)")]
                open("b.age", "wb").write(pyrage.encrypt(open("a.mflow", "rb").read(), to))
                """
            _ = try run("age", ["-r", keys.recipient, "-r", keys.otherRecipient, "-o", "a.age", "a.mflow"], in: directory)
            _ = try run(python, ["-c", script], in: directory)
            let plain = try run("mitm-dump", ["--json", "a.mflow"], in: directory)
            for file in ["a.age", "b.age"] {
                for key in ["key", "other"] {
                    #expect(try run("mitm-dump", ["--json", "-i", key, file], in: directory) == plain)
                }
            }
        }
    }

    @Test("Each tool reads an encrypted recording, and writes one")
    func tools() throws {
        try withTemporaryDirectory { directory in
            let keys = try Keys(in: directory)
            try FileManager.default.copyItem(atPath: "\(recordings)/\(files[0])", toPath: directory + "/plain.mflow")
            try keys.encrypt("plain.mflow", to: "a.mflow.age")
            func compare(_ tool: String, _ arguments: [String]) throws {
                let plain = try run(tool, arguments + ["plain.mflow"], in: directory)
                let read = try run(tool, arguments + ["-i", "key", "a.mflow.age"], in: directory)
                #expect(read.output.replacing("a.mflow.age", with: "plain.mflow") == plain.output)
                #expect(read.status == plain.status)
            }
            try compare("mitm-dump", ["--summary"])
            try compare("mitm-filter", ["--count", "~all"])
            try compare("mitm-filter", ["--group-by", "host", "~all"])
            try compare("mitm-serve", ["--list", "--json"])
            // Other output is encrypted as well.
            let json = try run("mitm-dump", ["--json", "plain.mflow"], in: directory).output
            _ = try run("mitm-dump", ["--json", "plain.mflow", "--encrypt-to", keys.recipient, "-o", "json.age"], in: directory)
            #expect(try run("age", ["-d", "-i", "key", "json.age"], in: directory).output == json)
            // The key may be set in the configuration file.
            try "dump:\n  identity: \(directory)/key\n".write(toFile: directory + "/config.yaml", atomically: true, encoding: .utf8)
            #expect(try run("mitm-dump", ["--json", "--config", "config.yaml", "a.mflow.age"], in: directory).output == json)
        }
    }

    @Test("Mistakes with keys are one sentence each")
    func mistakes() throws {
        try withTemporaryDirectory { directory in
            let keys = try Keys(in: directory)
            try keys.encrypt("\(recordings)/\(files[0])", to: "a.age")
            _ = try run("age", ["-a", "-r", keys.recipient, "-o", "armored", "a.age"], in: directory)
            try "# a comment\n\n".write(toFile: directory + "/empty", atomically: true, encoding: .utf8)
            func errors(_ tool: String, _ arguments: [String]) throws -> String {
                let result = try run(tool, arguments, in: directory)
                #expect(result.status == 2 && result.output == "")
                return String(result.errors.trimmingPrefix("\(tool): ").dropLast())
            }
            let dump = { try errors("mitm-dump", $0 + ["a.age"]) }
            #expect(try dump([]) == "a.age is encrypted; give the file of a key that opens it with -i")
            #expect(
                try dump(["-i", "other"])
                    == "a.age is encrypted to other keys than those of -i; give the file of a key that opens it")
            #expect(try dump(["-i", "none"]) == "the key file of -i: cannot open none: no such file or directory")
            #expect(try dump(["-i", "empty"]) == "empty has no key; age-keygen makes one")
            #expect(try dump(["-i", "a.age"]).hasPrefix("a.age is encrypted, and there is no terminal") || hasTerminals)
            #expect(
                try errors("mitm-dump", ["-i", "key", "armored"])
                    == "armored begins like an age file as text, not like a flow file; decrypt it first: age -d -i KEY FILE > decrypted"
            )
            let filter = { try errors("mitm-filter", ["~all", "a.age", "-i", "key", "-o", "b.age"] + $0) }
            #expect(try filter(["--encrypt-to", "me"]) == "--encrypt-to: 'me' is not an age recipient, which begins with age1")
            #expect(try filter(["--encrypt-to", "@empty"]) == "empty names no recipients")
            let secret =
                try String(contentsOfFile: directory + "/key", encoding: .utf8).split(separator: "\n").last.map(String.init) ?? ""
            #expect(!(try filter(["--encrypt-to", secret]).contains(secret)))
            _ = try run(
                "mitm-filter", ["~all", "a.age", "-i", "key", "-o", "b.age", "--encrypt-to", keys.recipient], in: directory)
            #expect(
                try filter(["--encrypt-to", keys.recipient])
                    == "b.age is encrypted, so it was not replaced; choose another name, or remove it first")
        }
    }

    @Test("After kill -9 everything that was flushed is in the file, which has no end and is not continued")
    func killed() throws {
        try withTemporaryDirectory { directory in
            let keys = try Keys(in: directory)
            let arguments = ["--encrypt-to", keys.recipient, "--flush-interval", "20ms"]
            let recorder = try Recorder(arguments, in: directory, file: "a.mflow.age")
            let follower = try RunningProgram(
                "mitm-dump", ["--follow", "--time", "none", "-i", "key", "a.mflow.age"], in: directory)
            for number in 1...3 {
                // No server is there, which is recorded too.
                _ = try recorder.curl(["http://127.0.0.1:1/\(number)"])
                #expect(follower.outputLine()?.contains("http://127.0.0.1:1/\(number) ") == true)
            }
            recorder.program.send(SIGKILL)
            _ = recorder.program.waitForEnd()
            follower.send(SIGTERM)
            _ = follower.waitForEnd()
            let read = try run("mitm-filter", ["--count", "~all", "-i", "key", "a.mflow.age"], in: directory)
            #expect(read.output == "3\n")
            #expect(read.status == 3)
            #expect(read.errors.contains("the encrypted file has no end"))
            let again = try run("mitm-record", ["-w", "a.mflow.age", "--confdir", "conf"] + arguments, in: directory)
            #expect(again.status == 2)
            #expect(again.errors.contains("an encrypted file cannot be continued"))
        }
    }
}
