// One end of an HTTP/2 connection, as a test plays it: it says what the test wants, reads what the peer says, and writes down what that
// was. It acknowledges and gives windows back by itself unless told otherwise, and it never checks what it sends.

import Foundation

final class HTTP2Endpoint {
    enum Role { case client, server }

    /// What the peer said on one stream.
    struct Stream {
        /// Sections of fields in their order: interim responses, the head, trailers.
        var sections: [[HTTP2Field]] = []
        var body = HTTP2Body()
        /// Sizes of the DATA frames.
        var pieces: [Int] = []
        var ended = false
        var reset: HTTP2Code?
        var windowUpdates: [UInt32] = []

        /// The value of a field, a pseudo-field perhaps, of the last section that has it.
        subscript(_ name: String) -> String? {
            sections.reversed().lazy.compactMap { $0.first { $0.name == name }?.value }.first
        }
        var status: Int? { self[":status"].flatMap(Int.init) }
        var path: String { self[":path"] ?? "" }
        /// Nothing more is to come.
        var isOver: Bool { ended || reset != nil }
    }

    let connection: RawConnection
    private let role: Role
    private(set) var streams: [UInt32: Stream] = [:]
    /// Streams in the order in which their first fields came.
    private(set) var opened: [UInt32] = []
    private(set) var goAway: (last: UInt32, code: HTTP2Code)?
    private(set) var isClosed = false
    private(set) var settings: [UInt16: UInt32]?
    private(set) var settingsAcknowledgements = 0
    private(set) var pongs: [[UInt8]] = []
    private(set) var pings = 0
    /// Priority signals as text, in their order.
    private(set) var priorities: [String] = []
    /// What the peer sent instead of frames.
    private(set) var plainText: String?
    /// What the peer may not do.
    private(set) var faults: [String] = []

    /// Whether SETTINGS and PING are acknowledged.
    var acknowledges = true
    /// Whether windows are given back.
    var returnsWindows = true
    private var received: ArraySlice<UInt8> = []
    private var prefaceLeft: Int
    private var decoder = HPACKDecoder()
    private var block: (stream: UInt32, end: Bool, bytes: [UInt8])?
    private var connectionWindow = 65535
    private var initialWindow = 65535
    private var windows: [UInt32: Int] = [:]

    init(_ connection: RawConnection, _ role: Role) {
        self.connection = connection
        self.role = role
        prefaceLeft = role == .server ? HTTP2Frame.preface.count : 0
    }

    /// A client that has said its preface and settings.
    static func client(port: Int, settings: KeyValuePairs<UInt16, UInt32> = [:]) throws -> HTTP2Endpoint {
        let endpoint = HTTP2Endpoint(try RawConnection(port: port), .client)
        endpoint.connection.send(bytes: HTTP2Frame.preface)
        endpoint.send(.settings(settings))
        return endpoint
    }

    func send(_ frames: HTTP2Frame...) { send(frames) }
    func send(_ frames: [HTTP2Frame]) { connection.send(bytes: frames.flatMap(\.bytes)) }

    /// Reads until something holds.
    /// - Returns: whether it does; false as well when the connection has ended.
    @discardableResult
    func wait(_ limit: Duration = .seconds(1), until holds: () -> Bool) -> Bool {
        let deadline = ContinuousClock.now + limit
        while !holds() {
            guard !isClosed, read(before: deadline) else { return holds() }
        }
        return true
    }

    /// Takes in what comes next.
    /// - Returns: whether something came, the end included.
    func read(before deadline: ContinuousClock.Instant) -> Bool {
        switch connection.receive(before: deadline) {
        case .nothing: return false
        case .end: isClosed = true
        case .bytes(let bytes):
            received += bytes
            takeIn()
        }
        return true
    }

    /// Sends content as the peer's windows allow, reading meanwhile.
    /// - Returns: whether all of it could be sent.
    @discardableResult
    func send(_ body: [UInt8], on stream: UInt32, end: Bool = true, limit: Duration = .seconds(30)) -> Bool {
        let deadline = ContinuousClock.now + limit
        var sent = 0
        repeat {
            let room = min(
                connectionWindow, windows[stream] ?? initialWindow, Int(settings?[HTTP2Setting.maximumFrameSize] ?? 16384))
            if room > 0 || body.isEmpty {
                let piece = Array(body[sent..<min(body.count, sent + max(0, room))])
                sent += piece.count
                connectionWindow -= piece.count
                windows[stream] = (windows[stream] ?? initialWindow) - piece.count
                send(.data(stream, piece, end: end && sent == body.count))
                // What has come already, without waiting for more.
                while !isClosed, read(before: .now) {}
            } else if !read(before: deadline) {
                return false
            }
            if isClosed || streams[stream]?.reset != nil { return false }
        } while sent < body.count
        return true
    }
}

// MARK: - Taking in

extension HTTP2Endpoint {
    private func takeIn() {
        if prefaceLeft > 0 {
            guard received.count >= prefaceLeft else { return }
            if Array(received.prefix(prefaceLeft)) != HTTP2Frame.preface { faults.append("no preface") }
            received = received.dropFirst(prefaceLeft)
            prefaceLeft = 0
        }
        if plainText != nil || received.starts(with: Array("HTTP/".utf8)) {
            plainText = String(decoding: received, as: UTF8.self)
            return
        }
        while let frame = HTTP2Frame(takingFrom: &received) { takeIn(frame) }
    }

    private func takeIn(_ frame: HTTP2Frame) {
        if settings == nil, frame.type != HTTP2Frame.Kind.settings { faults.append("the first frame is of type \(frame.type)") }
        if block != nil, frame.type != HTTP2Frame.Kind.continuation { faults.append("a section was interrupted") }
        switch frame.type {
        case HTTP2Frame.Kind.data: takeInData(frame)
        case HTTP2Frame.Kind.headers:
            block = (frame.stream, frame.has(HTTP2Frame.Flag.endStream), [])
            notePriority("HEADERS", frame)
            takeInFragment(frame, frame.content ?? [])
        case HTTP2Frame.Kind.continuation: takeInFragment(frame, frame.payload)
        case HTTP2Frame.Kind.reset:
            streams[frame.stream, default: Stream()].reset = HTTP2Code(rawValue: UInt32(bigEndian: frame.payload[...]))
        case HTTP2Frame.Kind.settings: takeInSettings(frame)
        case HTTP2Frame.Kind.ping where frame.has(HTTP2Frame.Flag.acknowledgement): pongs.append(frame.payload)
        case HTTP2Frame.Kind.ping:
            pings += 1
            if acknowledges { send(.ping(frame.payload, acknowledges: true)) }
        case HTTP2Frame.Kind.goAway:
            goAway = (UInt32(bigEndian: frame.payload[0..<4]), HTTP2Code(rawValue: UInt32(bigEndian: frame.payload[4..<8])))
        case HTTP2Frame.Kind.windowUpdate:
            let increment = UInt32(bigEndian: frame.payload[...])
            streams[frame.stream, default: Stream()].windowUpdates.append(increment)
            if frame.stream == 0 {
                connectionWindow += Int(increment)
            } else {
                windows[frame.stream] = (windows[frame.stream] ?? initialWindow) + Int(increment)
            }
        case HTTP2Frame.Kind.priority: notePriority("PRIORITY", frame.with(flags: HTTP2Frame.Flag.priority))
        case HTTP2Frame.Kind.priorityUpdate:
            let text = String(decoding: frame.payload.dropFirst(4), as: UTF8.self)
            priorities.append("UPDATE \(UInt32(bigEndian: frame.payload.prefix(4))) \(text)")
        case HTTP2Frame.Kind.pushPromise: faults.append("a push")
        default: break
        }
    }

    private func notePriority(_ name: String, _ frame: HTTP2Frame) {
        guard frame.has(HTTP2Frame.Flag.priority), frame.payload.count >= 5 else { return }
        let dependency = UInt32(bigEndian: frame.payload.prefix(4)) & 0x7FFF_FFFF
        priorities.append("\(name) \(frame.stream) on \(dependency) weight \(Int(frame.payload[4]) + 1)")
    }

    private func takeInData(_ frame: HTTP2Frame) {
        guard let content = frame.content else {
            faults.append("DATA with padding longer than the frame")
            return
        }
        streams[frame.stream, default: Stream()].body.append(content)
        streams[frame.stream]?.pieces.append(content.count)
        if frame.has(HTTP2Frame.Flag.endStream) { streams[frame.stream]?.ended = true }
        guard returnsWindows, !frame.payload.isEmpty else { return }
        var updates = HTTP2Frame.windowUpdate(0, UInt32(frame.payload.count)).bytes
        if streams[frame.stream]?.isOver == false {
            updates += HTTP2Frame.windowUpdate(frame.stream, UInt32(frame.payload.count)).bytes
        }
        connection.send(bytes: updates)
    }

    private func takeInFragment(_ frame: HTTP2Frame, _ fragment: [UInt8]) {
        guard block?.stream == frame.stream else {
            faults.append("CONTINUATION of nothing")
            return
        }
        block?.bytes += fragment
        guard frame.has(HTTP2Frame.Flag.endHeaders), let whole = block else { return }
        block = nil
        if streams[whole.stream]?.sections.isEmpty != false { opened.append(whole.stream) }
        do {
            streams[whole.stream, default: Stream()].sections.append(try decoder.decode(whole.bytes))
        } catch {
            faults.append("HPACK: \(error)")
        }
        if whole.end { streams[whole.stream]?.ended = true }
    }

    private func takeInSettings(_ frame: HTTP2Frame) {
        if frame.has(HTTP2Frame.Flag.acknowledgement) {
            settingsAcknowledgements += 1
            return
        }
        settings = (settings ?? [:]).merging(frame.settingsValues) { $1 }
        if let size = frame.settingsValues[HTTP2Setting.initialWindowSize] {
            for stream in windows.keys { windows[stream]? += Int(size) - initialWindow }
            initialWindow = Int(size)
        }
        if acknowledges { send(.settingsAcknowledgement) }
    }
}

/// Content: all of it while it is small, and always its size and a hash.
struct HTTP2Body: Equatable, Sendable {
    private static let kept = 1 << 20
    private(set) var size = 0
    private(set) var start: [UInt8] = []
    private var hasher = Hasher()

    init(_ bytes: [UInt8] = []) { append(bytes) }

    mutating func append(_ bytes: [UInt8]) {
        size += bytes.count
        if start.count < Self.kept { start += bytes.prefix(Self.kept - start.count) }
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    var hash: Int { hasher.finalize() }
    var text: String { String(decoding: start, as: UTF8.self) }

    static func == (left: HTTP2Body, right: HTTP2Body) -> Bool { left.size == right.size && left.hash == right.hash }
}
