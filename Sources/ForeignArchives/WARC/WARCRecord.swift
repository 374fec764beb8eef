// One record of a WARC file as it is written: named fields, an empty line, the block, two line ends (WARC 1.1 section 4).

import Digests
import FlowModel
import NIOCore

/// A record under construction.
struct WARCRecord {
    var block = ByteBuffer()
    /// Where the content begins in the block; nil for a record without a message.
    var payloadStart: Int?
    /// The content is in chunks. Programs do not agree what its digest is then (warcio#74), so it has none.
    var hasTransferCoding = false
    private var fields: String

    /// - Parameter url: nil for the record about the file.
    init(type: String, id: FlowID, date: String, url: ByteBuffer?) {
        fields = "WARC/1.1\r\nWARC-Type: \(type)\r\nWARC-Record-ID: \(Self.urn(id))\r\nWARC-Date: \(date)\r\n"
        if let url { add("WARC-Target-URI", String(buffer: url)) }
    }

    /// Adds a field. Line ends in its value become spaces.
    mutating func add(_ name: String, _ value: String) {
        fields += "\(name): \(value.split(whereSeparator: \.isNewline).joined(separator: " "))\r\n"
    }

    static func urn(_ id: FlowID) -> String { "<urn:uuid:\(id)>" }

    /// The whole record.
    func bytes(contentType: String) -> ByteBuffer {
        var out = ByteBuffer(string: fields)
        out.writeString("WARC-Block-Digest: \(Self.digest(block))\r\n")
        if let payloadStart, !hasTransferCoding {
            let payload = block.getSlice(at: block.readerIndex + payloadStart, length: block.readableBytes - payloadStart)
            out.writeString("WARC-Payload-Digest: \(Self.digest(payload ?? ByteBuffer()))\r\n")
        }
        out.writeString("Content-Type: \(contentType)\r\nContent-Length: \(block.readableBytes)\r\n\r\n")
        out.writeImmutableBuffer(block)
        out.writeStaticString("\r\n\r\n")
        return out
    }

    /// `sha1:` and the digest in Base32 (RFC 4648 section 6), which indexes of web archives use as a key.
    private static func digest(_ bytes: ByteBuffer) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
        var text = "sha1:"
        var bits: UInt64 = 0
        var count = 0
        for byte in Digest.of(bytes, by: .sha1) {
            bits = bits << 8 | UInt64(byte)
            count += 8
            while count >= 5 {
                count -= 5
                text.unicodeScalars.append(Unicode.Scalar(alphabet[Int(bits >> UInt64(count) & 31)]))
            }
        }
        return text
    }
}

extension WARCWriter {
    /// `2026-11-23T10:20:30.123456Z`: other programs read up to microseconds.
    static func date(_ time: Timestamp) -> String { String(rfc3339(time).dropLast(4)) + "Z" }
}
