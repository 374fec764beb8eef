// The key file of redaction.

import FlowModel
import Foundation
import NIOCore
import Redaction
import TestSupport
import Testing
import ToolSupport

@Suite("The key of redaction")
struct RedactionKeyTests {
    @Test("A key is made once, for the user alone, and is the same afterwards")
    func madeOnce() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/sub/redaction.key"
            var sentences: [String] = []
            let first = try RedactionKeyFile.load(from: directory + "/sub") { sentences.append($0) }
            let again = try RedactionKeyFile.load(from: directory + "/sub") { sentences.append($0) }
            #expect(sentences == ["made a redaction key: \(path); hashes of other keys do not compare with its hashes"])
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
            #expect(try String(contentsOfFile: path, encoding: .utf8).wholeMatch(of: /[0-9a-f]{64}\n/) != nil)
            func hash(_ key: RedactionKey) throws -> ByteBuffer {
                Redactor(try RedactionRules(["body=hash"]), key: key)
                    .redact(message: FlowPiece(from: .client, content: ByteBuffer(string: "x")))
            }
            #expect(try hash(first) == hash(again))
            #expect(try hash(first) != hash(RedactionKeyFile.load(from: directory + "/other")))
        }
    }

    @Test("A file that is no key, or that others can read, is an error that says what to do")
    func unusable() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/redaction.key"
            try "abc\n".write(toFile: path, atomically: false, encoding: .utf8)
            _ = unsafe chmod(path, 0o600)
            #expect(
                throws: ToolError("the redaction key \(path) is not 64 hexadecimal digits; move it away to have a new one made")
            ) {
                try RedactionKeyFile.load(from: directory)
            }
            _ = unsafe chmod(path, 0o640)
            #expect(throws: ToolError("the redaction key \(path) can be read by other users; change its mode to 0600 (chmod 600)"))
            {
                try RedactionKeyFile.load(from: directory)
            }
        }
    }
}
