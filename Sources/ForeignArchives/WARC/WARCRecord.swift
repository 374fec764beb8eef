// One record of a WARC file as it is written: named fields, an empty line, the block, two line ends (WARC 1.1 section 4).

import Digests
import FlowModel
import HTTPSemantics
import NIOCore

/// A record under construction.
struct WARCRecord {
    var block = ByteBuffer()
    /// Where the content begins in the block; nil for a record without a message.
    var payloadStart: Int?
    /// The content is in chunks. Programs do not agree what its digest is then (warcio#74), so it has none.
    var hasTransferCoding = false
    private var fields = ByteBuffer()

    /// - Parameter url: nil for the record about the file.
    init(type: StaticString, id: FlowID, date: String, url: ByteBuffer?) {
        fields.reserveCapacity(768)
        fields.writeStaticString("WARC/1.1\r\nWARC-Type: ")
        fields.writeStaticString(type)
        fields.writeStaticString("\r\n")
        add("WARC-Record-ID", Self.urn(id))
        add("WARC-Date", date)
        if let url { add("WARC-Target-URI", url) }
    }

    /// Adds a field. Line ends in its value become spaces.
    mutating func add(_ name: StaticString, _ value: String) {
        begin(name)
        let start = fields.readableBytes
        fields.writeString(value)
        endLine(from: start)
    }

    mutating func add(_ name: StaticString, _ value: ByteBuffer) {
        begin(name)
        let start = fields.readableBytes
        fields.writeImmutableBuffer(value)
        endLine(from: start)
    }

    private mutating func begin(_ name: StaticString) {
        fields.writeStaticString(name)
        fields.writeStaticString(": ")
    }

    private mutating func endLine(from start: Int) {
        let end = fields.readableBytes
        if fields.firstIndex(of: 0x0D, from: start, to: end) != nil || fields.firstIndex(of: 0x0A, from: start, to: end) != nil {
            let line = fields.slice(ByteRange(start, end)).readableBytesView.map { $0 == 0x0D || $0 == 0x0A ? 0x20 : $0 }
            fields.moveWriterIndex(to: fields.readerIndex + start)
            fields.writeBytes(line)
        }
        fields.writeStaticString("\r\n")
    }

    static func urn(_ id: FlowID) -> String { "<urn:uuid:\(id)>" }

    /// Appends the whole record.
    mutating func write(contentType: StaticString, into out: inout ByteBuffer) {
        digest("WARC-Block-Digest", of: block)
        if let payloadStart, !hasTransferCoding {
            let payload = block.getSlice(at: block.readerIndex + payloadStart, length: block.readableBytes - payloadStart)
            digest("WARC-Payload-Digest", of: payload ?? ByteBuffer())
        }
        begin("Content-Type")
        fields.writeStaticString(contentType)
        fields.writeString("\r\nContent-Length: \(block.readableBytes)\r\n\r\n")
        out.reserveCapacity(minimumWritableBytes: fields.readableBytes + block.readableBytes + 4)
        out.writeImmutableBuffer(fields)
        out.writeImmutableBuffer(block)
        out.writeStaticString("\r\n\r\n")
    }

    /// Adds `sha1:` and the digest in Base32 (RFC 4648 section 6), which indexes of web archives use as a key.
    private mutating func digest(_ name: StaticString, of bytes: ByteBuffer) {
        begin(name)
        fields.writeStaticString("sha1:")
        var bits: UInt64 = 0
        var count = 0
        var digits: [UInt8] = []
        digits.reserveCapacity(32)
        for byte in Digest.of(bytes, by: .sha1) {
            bits = bits << 8 | UInt64(byte)
            count += 8
            while count >= 5 {
                count -= 5
                // A to Z, then 2 to 7.
                let digit = UInt8(truncatingIfNeeded: bits >> UInt64(count)) & 31
                digits.append(digit < 26 ? 0x41 + digit : 0x32 + digit - 26)
            }
        }
        fields.writeBytes(digits)
        fields.writeStaticString("\r\n")
    }
}

extension WARCWriter {
    /// `2026-11-23T10:20:30.123456Z`: other programs read up to microseconds.
    static func date(_ time: Timestamp) -> String { String(rfc3339(time).dropLast(4)) + "Z" }
}
