// JSON Lines as their schema and their page describe them (docs/json-lines.md).

import Foundation
import TestSupport
import Testing

@Suite("JSON Lines")
struct JSONLinesTests {
    private static let validator = repository + "/tools/json-lines"

    private static func files(_ folder: String, _ ends: [String]) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: repository + "/Fixtures/" + folder).sorted()
            .filter { name in ends.contains { name.hasSuffix($0) } }.map { repository + "/Fixtures/\(folder)/\($0)" }
    }

    /// Validates printed flows. A member that the schema does not have is an error.
    /// - Returns: the members that were found, by their paths.
    private func members(_ lines: String) throws -> Set<String> {
        let result = try run(python, [Self.validator, "--members"], input: Data(lines.utf8))
        #expect(result.status == 0, "\(result.errors)")
        return Set(result.output.split(separator: "\n").map(String.init))
    }

    /// A member that only some flows have, by its path.
    private static let rare = [
        "client.settings.name", "error.side", "informational.status", "local_reply.text", "malformed.base64", "notes.side",
        "passthrough.bytes_from_client", "request.trailers", "response.body.chunks.at", "tags", "tcp.how", "websocket.close.reason",
        "websocket.messages.compressed_size", "comment",
    ]

    @Test("Every flow of every fixture is valid, with bodies decoded and as sent; the fixtures have the rare members too")
    func fixtures() throws {
        let files =
            try Self.files("archives/v1", [".mflow"]) + Self.files("quickstart", [".mflow"])
            + Self.files("foreign", [".mitm", ".har"])
        var lines = ""
        for option in [[], ["--raw-body"]] {
            let result = try run("mitm-dump", ["--format", "json"] + option + files)
            // Some of the files are damaged, or of versions that cannot be read.
            #expect(result.status == 2)
            lines += result.output
        }
        let found = try members(lines)
        #expect(Set(Self.rare).subtracting(found) == [])
    }

    @Test("Bodies of gRPC, protobuf and event streams, what cannot be decoded and damage are valid")
    func bodies() throws {
        try withTemporaryDirectory { directory in
            let message = "\u{8}\u{1}\u{12}\u{2}hi\u{1D}abcd\u{21}abcdefgh\u{2A}\u{2}\u{8}\u{5}"
            let frame = "\u{0}\u{0}\u{0}\u{0}\(Character(UnicodeScalar(UInt8(message.utf8.count))))\(message)"
            func typed(_ type: String, _ body: String, _ more: String = "") -> String {
                response(body).replacing("\r\n\r\n", with: "\r\nContent-Type: \(type)\r\n\(more)\r\n", maxReplacements: 1)
            }
            try record(
                [
                    ("/grpc", typed("application/grpc+proto", frame)), ("/rest", typed("application/grpc+proto", frame + "\u{0}")),
                    ("/message", typed("application/x-protobuf", message)), ("/events", typed("text/event-stream", "data: a\n\n")),
                    ("/gzip", typed("text/plain", "plain", "Content-Encoding: gzip\r\n")),
                ], in: directory)
            let found = try members(run("mitm-dump", ["--format", "json", "capture.mflow"], in: directory).output)
            let expected = [
                "response.body.messages.fields.wire", "response.body.fields.value", "response.body.fields.float",
                "response.body.fields.double", "response.body.fields.fields.field", "response.body.unparsed",
                "response.body.chunks.size", "response.body.decoded", "response.body.remark",
            ]
            #expect(Set(expected).subtracting(found) == [])

            var data = try Data(contentsOf: URL(fileURLWithPath: repository + "/Fixtures/archives/v1/http.mflow"))
            let frames = try run("mitm-dump", ["--structure", repository + "/Fixtures/archives/v1/http.mflow"]).output
                .split(separator: "\n")
            let first = try #require(frames.firstIndex { $0.contains("\tblock") && !$0.contains("content 0") })
            // The last frame of a block is content.
            let end = try #require(frames[first + 1].split(separator: "\t").first.flatMap { Int($0) })
            data[end - 6] ^= 1
            try data.write(to: URL(fileURLWithPath: directory + "/damaged.mflow"))
            let damaged = try run("mitm-dump", ["--format", "json", "damaged.mflow"], in: directory)
            #expect(try members(damaged.output).contains { $0.hasSuffix("body.damaged") })
        }
    }

    @Test("The recipes of the page print something")
    func recipes() throws {
        let page = try String(contentsOfFile: repository + "/docs/json-lines.md", encoding: .utf8)
        let recipes = page.split(separator: "\n").filter { $0.contains("| jq ") }.map(String.init)
        #expect(recipes.count > 10)
        try withTemporaryDirectory { directory in
            let inputs =
                try Self.files("quickstart", [".mflow"]) + Self.files("archives/v1", ["every-kind.mflow", "websocket.mflow"])
            var data = Data()
            for path in inputs { data += try Data(contentsOf: URL(fileURLWithPath: path)) }
            try data.write(to: URL(fileURLWithPath: directory + "/capture.mflow"))
            for recipe in recipes where !recipe.contains("reason_base64") {
                let command = recipe.replacing("mitm-dump ", with: toolDirectory + "/mitm-dump ")
                let result = try run("bash", ["-o", "pipefail", "-c", command], in: directory)
                #expect(result.status == 0 && !result.output.isEmpty && result.errors == "", "\(recipe): \(result.errors)")
            }
        }
    }
}
