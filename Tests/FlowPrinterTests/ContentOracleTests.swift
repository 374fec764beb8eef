// Views against other programs' readings of the same content: Python's msgpack and cbor2, and graphql-core.

import Foundation
import NIOCore
import TestSupport
import Testing

@testable import FlowPrinter

private struct Shown: Decodable {
    var content: Data
    var shown: String
}

private struct Document: Decodable {
    var content: String
}

@Suite("Views equal other readings of the same content", .enabled(if: ContentOracle.isInstalled))
struct ContentOracleTests {
    @Test("MessagePack and CBOR show what Python's libraries read", arguments: ["messagepack", "cbor"])
    func items(format: String) throws {
        for sample in try ContentOracle.run([format, "\(UInt32.random(in: 0 ... .max))", "400"], as: Shown.self) {
            let title = format == "cbor" ? "CBOR" : "MessagePack"
            let out = shown(Array(sample.content), "application/x-none", as: format)
            #expect(out == "\(title)\n\(sample.shown)\n", "\(sample.content.base64EncodedString())")
        }
    }

    @Test("A GraphQL document that is laid out means the same")
    func graphql() throws {
        let documents = try ContentOracle.run(["graphql", "\(UInt32.random(in: 0 ... .max))", "300"], as: Document.self)
        let pairs = try documents.map { document -> String in
            let out = shown(document.content, "application/graphql")
            let lines = out.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines[0].hasPrefix("GraphQL "), "\(document.content)\n\(out)")
            let pair = [document.content, lines.dropFirst().joined(separator: "\n")]
            return String(decoding: try JSONEncoder().encode(pair), as: UTF8.self)
        }
        let isSame = try ContentOracle.run(["graphql-same"], input: pairs, as: Bool.self)
        #expect(isSame.count == pairs.count)
        for (pair, isSame) in zip(pairs, isSame) { #expect(isSame, "\(pair)") }
    }
}
