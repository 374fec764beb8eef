// Formats of other programs that are given as flow files by mistake, recognised by their first bytes.

import NIOCore

/// A format that cannot be read, and what to do with a file in it.
package struct OtherFormat: Sendable, Equatable {
    /// As a person calls it.
    package let name: String
    private let remedy: Remedy

    private enum Remedy: Sendable, Equatable {
        /// The program that decompresses to stdout.
        case decompress(String)
        case other(String)
    }

    private static let all: [(beginning: [UInt8], format: OtherFormat)] = {
        let packets = Remedy.other("it has packets, not flows; record the traffic with mitm-record")
        return [
            ([0x1F, 0x8B], OtherFormat(name: "gzip", remedy: .decompress("zcat"))),
            ([0x28, 0xB5, 0x2F, 0xFD], OtherFormat(name: "Zstandard", remedy: .decompress("zstdcat"))),
            (Array("BZh".utf8), OtherFormat(name: "bzip2", remedy: .decompress("bzcat"))),
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], OtherFormat(name: "xz", remedy: .decompress("xzcat"))),
            ([0x04, 0x22, 0x4D, 0x18], OtherFormat(name: "LZ4", remedy: .decompress("lz4cat"))),
            ([0x0A, 0x0D, 0x0D, 0x0A], OtherFormat(name: "pcapng", remedy: packets)),
            // In both byte orders, with microseconds and with nanoseconds.
            ([0xD4, 0xC3, 0xB2, 0xA1], OtherFormat(name: "pcap", remedy: packets)),
            ([0xA1, 0xB2, 0xC3, 0xD4], OtherFormat(name: "pcap", remedy: packets)),
            ([0x4D, 0x3C, 0xB2, 0xA1], OtherFormat(name: "pcap", remedy: packets)),
            ([0xA1, 0xB2, 0x3C, 0x4D], OtherFormat(name: "pcap", remedy: packets)),
            (
                Array("-----BEGIN AGE ENCRYPTED".utf8),
                OtherFormat(
                    name: "an age file as text", remedy: .other("decrypt it first: age -d -i KEY FILE > decrypted"))
            ),
            (
                Array("PK\u{3}\u{4}".utf8),
                OtherFormat(
                    name: "ZIP", remedy: .other("a SAZ file of Fiddler is one; export it as HAR, or extract the archive first"))
            ),
        ]
    }()

    private init(name: String, remedy: Remedy) {
        self.name = name
        self.remedy = remedy
    }

    /// Recognises a format by the first bytes of a file.
    /// - Returns: nil when they are not those of a format that is known here.
    package init?(sniffing beginning: ByteBuffer) {
        let bytes = beginning.readableBytesView
        guard let found = Self.all.first(where: { bytes.starts(with: $0.beginning) }) else { return nil }
        self = found.format
    }

    /// The second half of an error's sentence: what to do with the file.
    /// - Parameter file: its name; nil for a pipe.
    package func advice(for file: String?) -> String {
        switch (remedy, file) {
        case (.decompress(let program), let file?):
            "decompress it first: \(program) \(file.contains(" ") ? "'\(file)'" : file) > decompressed"
        case (.decompress(let program), nil): "decompress it first, with \(program)"
        case (.other(let advice), _): advice
        }
    }
}
