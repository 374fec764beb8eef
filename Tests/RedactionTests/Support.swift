// Flows through the stage, and content in every coding.

import CBrotli
import CZlib
import CZstd
import FlowModel
import HTTPSemantics
import NIOCore
import Secrets
import TestSupport

@testable import Redaction

let testKey = RedactionKey(Array(repeating: 7, count: 32))!

func redactor(
    _ rules: [String], limit: Int = RedactionRules.defaultLimit, keepsUnparsed: Bool = false
) throws -> Redactor {
    // Tokens of GitHub have more letters than a test needs.
    let secrets = try SecretRules(yaml: "rules:\n- id: short\n  regex: ghp_[0-9a-f]{16}\n  keywords: [ghp_]\n")
    let rules = try RedactionRules(rules, limit: limit, keepsUnparsed: keepsUnparsed, secrets: SecretScanner(secrets))
    return Redactor(rules, key: testKey)
}

extension Redactor {
    /// The events that are stored.
    func events(_ events: [FlowEvent]) -> [FlowEvent] {
        let stage = FlowRedactor(self, connections: RedactedConnections())
        var stored: [FlowEvent] = []
        for event in events {
            stage.receive(event.what, at: event.at) { stored.append(FlowEvent(flow: event.flow, at: $1, what: $0)) }
        }
        return stored
    }

    /// The flow that is stored.
    func flow(_ builder: FlowBuilder) -> Flow {
        let stored = events(builder.events)
        guard case .opened(let opening) = stored[0].what else { preconditionFailure("the first event opens the flow") }
        var assembler = FlowAssembler(id: builder.id, at: stored[0].at, opening: opening, keepsPieces: true)
        for event in stored.dropFirst() { assembler.receive(event.what, at: event.at) }
        return assembler.flow
    }

    /// The head of a request that is stored.
    func requestHead(_ head: String) -> String {
        String(buffer: flow(FlowBuilder().request(head).ended()).request!.head.wire)
    }

    func responseHead(_ head: String) -> String {
        String(buffer: flow(FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").response(head).ended()).response!.head.wire)
    }

    /// The body of a request that is stored, and its facts.
    func body(_ content: ByteBuffer, type: String?, coding: String? = nil) throws -> (content: String, flow: Flow) {
        var head = "POST / HTTP/1.1\r\n"
        if let type { head += "Content-Type: \(type)\r\n" }
        if let coding { head += "Content-Encoding: \(coding)\r\n" }
        let flow = flow(FlowBuilder().request(head + "\r\n", content: content).ended())
        return (String(buffer: try flow.pieces.content(from: .client)), flow)
    }

    func body(_ content: String, type: String?, coding: String? = nil) throws -> String {
        try body(ByteBuffer(string: content), type: type, coding: coding).content
    }
}

func hash(_ value: String) -> String { String(buffer: testKey.marker(of: ByteBuffer(string: value))) }

/// Content in a coding.
func coded(_ plain: ByteBuffer, _ coding: String) -> ByteBuffer {
    switch coding {
    case "deflate": return zlib(plain)
    case "gzip":
        // RFC 1952: a header, the stream without the wrapping of zlib, and a check.
        let wrapped = zlib(plain)
        var out = ByteBuffer(bytes: [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3])
        out.writeImmutableBuffer(wrapped.getSlice(at: 2, length: wrapped.readableBytes - 6)!)
        let check = unsafe plain.withUnsafeReadableBytes {
            unsafe crc32(0, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32($0.count))
        }
        out.writeInteger(UInt32(check), endianness: .little)
        out.writeInteger(UInt32(plain.readableBytes), endianness: .little)
        return out
    case "br":
        return unsafe encoded(plain, room: max(64, BrotliEncoderMaxCompressedSize(plain.readableBytes))) { source, target in
            var size = target.count
            let isDone = unsafe BrotliEncoderCompress(
                5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, source.count, source.baseAddress?.assumingMemoryBound(to: UInt8.self),
                &size, target.baseAddress!.assumingMemoryBound(to: UInt8.self))
            precondition(isDone == BROTLI_TRUE)
            return size
        }
    case "zstd":
        return unsafe encoded(plain, room: ZSTD_compressBound(plain.readableBytes)) { source, target in
            unsafe ZSTD_compress(target.baseAddress, target.count, source.baseAddress, source.count, 3)
        }
    default: return plain
    }
}

private func zlib(_ plain: ByteBuffer) -> ByteBuffer {
    unsafe encoded(plain, room: Int(compressBound(UInt(plain.readableBytes)))) { source, target in
        var size = UInt(target.count)
        let result = unsafe compress(
            target.baseAddress!.assumingMemoryBound(to: UInt8.self), &size,
            source.baseAddress!.assumingMemoryBound(to: UInt8.self), UInt(source.count))
        precondition(result == Z_OK)
        return Int(size)
    }
}

private func encoded(
    _ plain: ByteBuffer, room: Int, _ encode: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) -> Int
) -> ByteBuffer {
    var out = ByteBuffer()
    unsafe plain.withUnsafeReadableBytes { source in
        _ = unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { unsafe encode(source, $0) }
    }
    return out
}
