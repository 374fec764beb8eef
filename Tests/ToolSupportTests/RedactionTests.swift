// The options of redaction, its key, and flows that pass its rules.

import ArgumentParser
import FlowFilter
import FlowModel
import Foundation
import Glibc
import NIOCore
import Redaction
import TestSupport
import Testing

@testable import ToolSupport

@Suite("Redaction in the tools")
struct RedactionToolTests {
    private func redaction(_ arguments: [String], in directory: String = "/nonexistent") throws -> RecordingRedaction? {
        try RedactionArguments.parse(arguments).redaction(FilePath(directory), FilterEnvironment())
    }

    @Test("Tools that start at the same time use one key, which only its owner can read")
    func race() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("redaction-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 { group.addTask { _ = try RedactionKeyFile.load(from: directory + "/conf") } }
            try await group.waitForAll()
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/conf") == ["redaction.key"])
        let path = directory + "/conf/redaction.key"
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try String(contentsOfFile: path, encoding: .utf8).wholeMatch(of: /[0-9a-f]{64}\n/) != nil)
    }

    @Test("Without a rule that hashes no key is made; without rules there is no redaction")
    func noKey() throws {
        try withTemporaryDirectory { directory in
            let (masking, none) = (try redaction(["--redact", "default"], in: directory), try redaction([], in: directory))
            #expect(masking != nil && none == nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
        }
    }

    @Test(
        "A rule that is not valid is an error that shows it",
        arguments: ["", "headers:a", "json:$[", "pattern:(", "cookie", "header:a=hide"])
    func wrong(rule: String) throws {
        let error = #expect(throws: ToolError.self) { _ = try redaction(["--redact", rule]) }
        #expect(error?.description.contains("'\(rule)'") == true)
    }

    @Test("A flow is redacted as its rules require, and counted once")
    func flow() throws {
        let redaction = try #require(
            try redaction(["--redact", "header:X-Token", "--redact", "json:$.b", "--redact-limit", "30"]))
        #expect(redaction.rules == ["header:x-token", "json:$.b"])
        func flow(_ body: String) -> Flow {
            FlowBuilder().request("POST / HTTP/1.1\r\nHost: a\r\nX-Token: secret\r\n\r\n", content: ByteBuffer(string: body))
                .ended().flow
        }
        let redacted = try redaction.redact(flow(#"{"a":1,"b":"x"}"#))
        #expect(String(buffer: try redacted.pieces.content(from: .client)) == #"{"a":1,"b":"«redacted»"}"#)
        #expect(redacted.request?.head.fields.first("x-token").map { String(buffer: $0) } == "«redacted»")
        let large = try redaction.redact(flow(#"{"a":1,"b":"xxxxxxxxxxxxxxxxxx"}"#))
        #expect(large.request?.storedSize == 0 && large.redaction?.omission(of: .client)?.reason == .tooLarge)
        _ = try redaction.redact(news: flow("{}"))
        // What was redacted before is not counted again.
        let again = try redaction.redact(redacted)
        #expect(again.redaction == redacted.redaction)
        #expect(redaction.summary == "redacted: header:x-token 2, json:$.b 1; not stored 1 body above the limit of redaction")
    }

    @Test("--redact-unparsed keep stores what cannot be parsed")
    func unparsed() throws {
        let flow = FlowBuilder().request(
            "POST / HTTP/1.1\r\nContent-Type: application/json\r\n\r\n", content: ByteBuffer(string: "{\"b\":")
        ).ended().flow
        for (arguments, stored) in [([], 0), (["--redact-unparsed", "leave-out"], 0), (["--redact-unparsed", "keep"], 5)] {
            let redaction = try #require(try redaction(["--redact", "json:$.b"] + arguments))
            #expect(try redaction.redact(flow).request?.storedSize == UInt64(stored))
        }
    }
}
