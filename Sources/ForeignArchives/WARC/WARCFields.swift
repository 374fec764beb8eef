// The named fields of a record of a WARC file (WARC 1.1 section 5).

import FlowModel
import HTTPSemantics
import NIOCore

/// The fields of a record, as they are in the file.
package struct WARCFields: Equatable {
    private let section: FieldSection

    /// - Parameter head: the first line, the fields and the empty line.
    /// - Returns: nil without a type.
    init?(_ head: ByteBuffer) {
        guard let line = head.readableBytesView.firstIndex(of: 0x0A) else { return nil }
        let first = line - head.readableBytesView.startIndex + 1
        section = FieldSection(parsing: head.slice(ByteRange(first, head.readableBytes)))
        guard section.contains("warc-type") else { return nil }
    }

    /// In lower case.
    var type: String { text("warc-type")?.lowercased() ?? "" }
    /// Bytes of the block; nil if it is not a number.
    var length: Int? {
        guard let value = section.first("content-length"), value.readableBytes > 0,
            value.readableBytesView.allSatisfy({ $0 &- 0x30 < 10 })
        else { return nil }
        return Int(String(buffer: value))
    }
    var date: Timestamp? { text("warc-date").flatMap { Timestamp(rfc3339: $0) } }
    /// Early versions write the URL in angle brackets too.
    var url: ByteBuffer? { section.first("warc-target-uri").map { $0.withoutBrackets } }
    var id: ByteBuffer? { section.first("warc-record-id") }
    var concurrent: [ByteBuffer] { section.all("warc-concurrent-to") }
    var contentType: ByteBuffer? { section.first("content-type") }
    var isTruncated: Bool { section.contains("warc-truncated") }
    var address: String { text("warc-ip-address") ?? "" }
    var cipher: String? { text("warc-cipher-suite") }
    /// `TLSv1.3`; nil if the file does not name a version.
    var tlsVersion: String? {
        let names = section.all("warc-protocol").map { String(buffer: $0).lowercased() }
        guard let name = names.first(where: { $0.hasPrefix("tls/1") }) else { return nil }
        return "TLSv" + (name == "tls/1.0" ? "1" : name.dropFirst(4))
    }
    /// Where the content of a revisit is.
    var referred: String? { text("warc-refers-to-target-uri") ?? text("warc-refers-to") }
    var profile: String? { text("warc-profile") }

    private func text(_ name: StaticString) -> String? { section.first(name).map { $0.latin1 } }
}

extension ByteBuffer {
    fileprivate var withoutBrackets: ByteBuffer {
        guard readableBytesView.first == UInt8(ascii: "<"), readableBytesView.last == UInt8(ascii: ">"), readableBytes > 1 else {
            return self
        }
        return slice(ByteRange(1, readableBytes - 1))
    }
}
