// The formats of other programs: how to recognise them and how to write them. ForeignSource (ToolSupport) reads them.

import ContentCoding
import FlowModel
import NIOCore

/// A format of another program.
package enum ForeignFormat: String, Sendable, CaseIterable {
    case gor
    case har
    case mitmproxy
    case pcapng
    case warc

    /// The number of bytes at the beginning that identify a format.
    package static let sniffedBytes = 72
    /// Bytes of a gzip file that decode to the beginning of what is in it.
    private static let sniffedGzipBytes = 1024

    /// Identifies a format by the beginning of a file.
    /// - Parameter peek: returns the first bytes, at most as many as its argument; nil for an empty file.
    /// - Returns: nil for a format that is not read.
    package static func sniff<Failure: Error>(
        _ peek: (Int) throws(Failure) -> ByteBuffer?
    ) throws(Failure) -> ForeignFormat? {
        guard let beginning = try peek(sniffedBytes) else { return nil }
        guard beginning.readableBytesView.starts(with: gzipMagic) else { return ForeignFormat(sniffing: beginning) }
        return try peek(sniffedGzipBytes).flatMap { ForeignFormat(sniffing: $0) }
    }

    /// Identifies a format that can be read by the first bytes, also in gzip for WARC and GoReplay: `WARC/` is WARC; a line of facts is GoReplay's;
    /// `{` (after an optional byte order mark and white space) is HAR; a length, followed by a key with its length, is mitmproxy's.
    /// - Returns: nil for any other.
    package init?(sniffing beginning: ByteBuffer) {
        if beginning.readableBytesView.starts(with: gzipMagic) {
            var (input, text) = (beginning, ByteBuffer())
            _ = GzipMemberReader().read(&input, into: &text, maximum: Self.sniffedBytes)
            self.init(records: text)
        } else {
            self.init(text: beginning)
        }
    }

    /// A format of records, which may be in gzip.
    private init?(records beginning: ByteBuffer) {
        if beginning.readableBytesView.starts(with: "WARC/".utf8) {
            self = .warc
        } else if GorRecord.sniff(beginning) {
            self = .gor
        } else {
            return nil
        }
    }

    private init?(text beginning: ByteBuffer) {
        if let format = ForeignFormat(records: beginning) {
            self = format
            return
        }
        var bytes = Array(beginning.readableBytesView)[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        if bytes.first(where: { !$0.isWhitespaceOrLineEnd }) == 0x7B {
            self = .har
            return
        }
        for _ in 0..<2 {
            let digits = bytes.prefix { $0 &- 0x30 < 10 }
            bytes = bytes.dropFirst(digits.count)
            guard !digits.isEmpty, digits.count <= 12, bytes.first == 0x3A else { return nil }
            bytes = bytes.dropFirst()
        }
        self = .mitmproxy
    }

    /// What a file is, for sentences.
    package var fileKind: String {
        switch self {
        case .gor: "file of GoReplay"
        case .har: "HAR file"
        case .mitmproxy: "flow file of mitmproxy"
        case .pcapng: "file of packets"
        case .warc: "WARC file"
        }
    }

    /// The files are text, which a terminal can show.
    package var isText: Bool {
        switch self {
        case .gor, .mitmproxy, .pcapng, .warc: false
        case .har: true
        }
    }

    /// A file is a recording, which other output must not replace. HAR and packets are made from one.
    package var isRecording: Bool {
        switch self {
        case .gor, .mitmproxy, .warc: true
        case .har, .pcapng: false
        }
    }

    /// Files begin and end, so that flows cannot be written as they come.
    package var hasEnd: Bool {
        switch self {
        case .gor, .mitmproxy, .warc: false
        case .har, .pcapng: true
        }
    }

    /// What the format does with a class.
    package func fate(of loss: LossClass) -> LossFate {
        switch self {
        case .gor: GorWriter.fate(of: loss)
        case .mitmproxy: MitmproxyWriter.fate(of: loss)
        case .har: HARWriter.fate(of: loss)
        case .pcapng: PcapngWriter.fate(of: loss)
        case .warc: WARCWriter.fate(of: loss)
        }
    }

    /// A writer of one file.
    /// - Parameter version: of the program that writes.
    package func writer(version: String, _ options: ForeignOptions = ForeignOptions()) -> any ForeignWriter {
        switch self {
        case .gor: GorWriter(isCompressed: options.isCompressed)
        case .mitmproxy: MitmproxyWriter()
        case .har: HARWriter(version: version)
        case .pcapng: PcapngWriter(version: version, options.pcapng)
        case .warc: WARCWriter(version: version, options.warc, isCompressed: options.isCompressed)
        }
    }

    /// The format can be written as a gzip file.
    package var canBeCompressed: Bool { self == .gor || self == .warc }
}

/// Choices for a file of another program.
package struct ForeignOptions: Sendable {
    package var pcapng = PcapngOptions()
    package var warc = WARCOptions()
    /// The file is in gzip, with each record in a member of its own where the format says so (WARC 1.1 annex D).
    package var isCompressed = false

    package init() {}
}

/// Writes flows to one file of another program, and counts what the format cannot represent.
package protocol ForeignWriter: Sendable {
    /// What the format does with a class.
    static func fate(of loss: LossClass) -> LossFate
    /// The flows so far. Each call of ``write(_:into:drain:)`` that returns adds one.
    var report: ConversionReport { get }
    /// Appends a flow. A format in which flows are mixed appends it later.
    /// - Parameter drain: is given large output before the flow is complete.
    /// - Returns: false if the format cannot contain the flow; nothing is appended then.
    /// - Throws: if content cannot be read; nothing is appended then. Errors of `drain`.
    mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Bool
    /// Ends the file.
    /// - Throws: if content of a flow that was not appended yet cannot be read. Errors of `drain`.
    mutating func finish(into out: inout ByteBuffer, drain: Drain) throws
}

extension ForeignWriter {
    package typealias Drain = (inout ByteBuffer) throws -> Void
}

extension GorWriter: ForeignWriter {
    /// A file is only its records.
    package func finish(into out: inout ByteBuffer, drain: Drain) {}
}

extension PcapngWriter: ForeignWriter {}

extension MitmproxyWriter: ForeignWriter {
    package mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Bool {
        try write(flow, into: &out)
    }

    /// A file is only its records.
    package func finish(into out: inout ByteBuffer, drain: Drain) {}
}

extension HARWriter: ForeignWriter {
    package mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Bool {
        try write(flow, into: &out)
    }

    package mutating func finish(into out: inout ByteBuffer, drain: Drain) { finish(into: &out) }
}

extension WARCWriter: ForeignWriter {
    package mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Bool {
        try write(flow, into: &out)
    }

    package mutating func finish(into out: inout ByteBuffer, drain: Drain) { finish(into: &out) }
}
