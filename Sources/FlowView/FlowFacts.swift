// The facts of a flow that lists need without reading the recording again: for orders, groups and the overview. They are small, because a
// recording may have millions of flows.

import FlowArchive
import FlowModel
import FlowTable
import HTTPSemantics
import NIOCore

/// The facts of one flow: 64 bytes.
struct FlowFacts {
    /// Nanoseconds since 1970.
    var started: Int64
    /// Nanoseconds; -1 while the flow has not ended.
    var duration: Int64
    /// Bytes of content on the wire; -1 without a request, or a response.
    var requestSize: Int64
    var responseSize: Int64
    /// The block of a flow that is whole in it, by its number in the index, and the offset of its record; otherwise ``inMemory`` and the
    /// number of a flow that the index keeps.
    var block: UInt32
    var record: UInt32
    /// Numbers of interned texts.
    var host: UInt32
    var client: UInt32
    /// A part of the identifier, by which a flow is searched.
    var identity: UInt32
    /// Whole microseconds to the first byte, plus one; 0 without one; `.max` for a longer time.
    var firstByte: UInt32
    var status: UInt16
    var port: UInt16
    /// The number of the interned media type of the response.
    var type: UInt16
    /// ``FlowMethods``; 0 for another method and for none.
    var method: UInt8
    /// Two bits of the kind, two of the state, and ``Marks``.
    private var bits: UInt8

    static let inMemory = UInt32.max

    struct Marks: OptionSet {
        let rawValue: UInt8

        static let hasError = Marks(rawValue: 0x10)
        static let hasLocalReply = Marks(rawValue: 0x20)
        /// Of a kept flow: its recorder has not ended it.
        static let isBeingRecorded = Marks(rawValue: 0x40)
        /// Of a kept flow: more of it may follow.
        static let mayChange = Marks(rawValue: 0x80)
    }

    /// - Parameters:
    ///   - host: the number of ``FlowAttributes/displayHost``.
    ///   - client: the number of the client's address without its port.
    ///   - type: the number of ``mediaType(of:)``.
    init(_ flow: some FlowAttributes, host: UInt32, client: UInt32, type: UInt16) {
        started = flow.started.nanoseconds
        duration = flow.ended.map { max(0, $0 - flow.started) } ?? -1
        requestSize = Self.size(try? flow.contentSize(from: .client))
        responseSize = Self.size(try? flow.contentSize(from: .server))
        (block, record) = (Self.inMemory, 0)
        (self.host, self.client, self.type) = (host, client, type)
        identity = Self.identity(flow.id)
        firstByte = flow.timeToFirstByteMicroseconds.map { UInt32(clamping: max(0, $0)) &+ 1 } ?? 0
        status = UInt16(clamping: flow.status)
        port = flow.targetPort
        method = flow.methodCode
        bits = FlowClass(flow.kind, isWebSocket: flow.isWebSocket).rawValue | flow.state.rawValue << 2
        if flow.errorMessage != nil { insert(.hasError) }
        if flow.hasLocalReply { insert(.hasLocalReply) }
    }

    var kind: FlowClass { FlowClass(rawValue: bits & 3) ?? .http }
    var state: FlowState { FlowState(rawValue: bits >> 2 & 3) ?? .failed }
    var marks: Marks { Marks(rawValue: bits & 0xF0) }
    mutating func insert(_ mark: Marks) { bits |= mark.rawValue }

    /// The media type of the response, without its parameters; empty without one.
    static func mediaType(of flow: some FlowAttributes) -> ByteBuffer {
        if case .text(let type)? = try? FlowColumn.responseType.value(of: flow) { type } else { ByteBuffer() }
    }

    private static func size(_ size: UInt64??) -> Int64 { (size ?? nil).map { Int64(clamping: $0) } ?? -1 }

    static func identity(_ id: FlowID) -> UInt32 { UInt32(truncatingIfNeeded: id.low ^ id.high &* 0x9E37_79B9) }

    /// Microseconds; nil without one.
    var timeToFirstByte: Int64? { firstByte > 0 ? Int64(firstByte - 1) : nil }
    /// From the start to the end, or to now.
    var end: Int64 { started &+ max(0, duration) }
    /// Of both sides.
    var size: Int64 { max(0, requestSize) &+ max(0, responseSize) }
    var isKept: Bool { block == Self.inMemory }
    /// It did not succeed: by its state, or by the status.
    var isFailure: Bool { state == .failed || status >= 400 || marks.contains(.hasError) }
}

/// What people call the kind of a flow.
package enum FlowClass: UInt8, Sendable, CaseIterable {
    case http
    case webSocket
    case tcp
    case tls

    init(_ kind: FlowKind, isWebSocket: Bool) {
        self =
            switch kind {
            case .http: isWebSocket ? .webSocket : .http
            case .tcp: .tcp
            case .tls: .tls
            }
    }

    /// As the filter language calls it.
    package var name: String {
        switch self {
        case .http: "http"
        case .webSocket: "websocket"
        case .tcp: "tcp"
        case .tls: "tls"
        }
    }
}

extension FlowAttributes {
    fileprivate var methodCode: UInt8 {
        guard let method else { return 0 }
        return FlowMethods.code(of: method)
    }
}

/// Methods by the codes of the flow file.
enum FlowMethods {
    static let names = ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

    static func code(of method: ByteBuffer) -> UInt8 {
        let bytes = method.readableBytesView
        for index in 1..<names.count where bytes.count == names[index].utf8.count && bytes.elementsEqual(names[index].utf8) {
            return UInt8(index)
        }
        return 0
    }
}
