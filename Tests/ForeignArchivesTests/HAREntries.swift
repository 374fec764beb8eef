// HAR files of made-up entries, as tests write them.

import FlowModel
import HTTPSemantics
import NIOCore

@testable import ForeignArchives

/// A file with these entries.
func har(_ entries: [String]) -> ByteBuffer {
    ByteBuffer(string: "{\"log\":{\"version\":\"1.2\",\"entries\":[\(entries.joined(separator: ",\n"))]}}")
}

/// An entry of a request and a response in JSON, without their braces.
func entry(
    _ request: String = "", _ response: String, method: String = "GET", url: String = "http://a.example/", more: String = ""
) -> String {
    let request = request.isEmpty ? "\"headers\":[]" : request
    return """
        {"startedDateTime":"2026-01-02T03:04:05Z","time":1,"request":{"method":"\(method)","url":"\(url)","httpVersion":"HTTP/1.1",\(request)},
        "response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1",\(response)}\(more)}
        """
}

/// Fields of a message in JSON.
func headers(_ fields: (String, String)...) -> String {
    "\"headers\":[" + fields.map { "{\"name\":\"\($0.0)\",\"value\":\($0.1)}" }.joined(separator: ",") + "]"
}

/// A message of a flow: its head and content with bytes that are not ASCII escaped, and whether it is complete.
struct MessageSeen: Equatable, CustomStringConvertible {
    var head: String
    var content: String
    var isComplete: Bool

    init(_ head: String, _ content: String, isComplete: Bool = true) {
        (self.head, self.content, self.isComplete) = (head, content, isComplete)
    }

    var description: String { "\(head) | \(content) | \(isComplete)" }
}

extension ByteBuffer {
    var escaped: String {
        readableBytesView.map { byte in
            switch byte {
            case 0x0D: "\\r"
            case 0x0A: "\\n"
            case 0x20..<0x7F: String(Unicode.Scalar(byte))
            default: "\\x" + String(byte, radix: 16)
            }
        }.joined()
    }
}

extension Flow {
    /// The fields only, each line ended.
    func requestSeen() throws -> MessageSeen {
        let content = try pieces.content(from: .client).escaped
        return MessageSeen(request?.head.fields.wire.escaped ?? "none", content, isComplete: request?.isComplete ?? false)
    }

    func responseSeen() throws -> MessageSeen {
        let content = try pieces.content(from: .server).escaped
        return MessageSeen(response?.head.fields.wire.escaped ?? "none", content, isComplete: response?.isComplete ?? false)
    }

    /// The notes of the reader.
    var importNotes: [String] { notes.map(\.value.message) }
}
