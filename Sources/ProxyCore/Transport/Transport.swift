// One connection of a session as bytes in order in both directions, through TLS where it is used.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

/// A socket or a stream, its TLS, and the state of each direction. It has one owner and does not know the protocols above it.
final class Transport {
    enum Security {
        case none
        case handshaking(TLSConnection)
        case established(TLSConnection)

        var tls: TLSConnection? {
            switch self {
            case .none: nil
            case .handshaking(let tls), .established(let tls): tls
            }
        }

        var isEstablished: Bool {
            if case .established = self { true } else { false }
        }
    }

    enum Output {
        case open
        /// FIN was sent, or closing was requested: nothing more is sent.
        case finished
    }

    /// The carrier of its bytes.
    enum Link {
        case socket(ConnectionHandle)
        case stream(StreamLink)
    }

    private let link: Link
    /// TLS of the conversation.
    private(set) var security = Security.none
    /// TLS with an upstream proxy, which contains everything else.
    private(set) var proxySecurity = Security.none
    private(set) var output = Output.open
    /// The peer's FIN or close_notify was received.
    var hasEnded = false
    private(set) var isReading = true
    /// The peer accepts output; otherwise the other side is not read.
    var isWritable = true {
        didSet { unreadReplies = 0 }
    }
    /// Bytes of our answers to the peer's pings that were sent while it was not writable.
    private(set) var unreadReplies = 0
    /// Why TLS took no bytes.
    private var failure: TLSError?
    /// TLS may have records that were not sent yet.
    private var hasUnsentRecords = false
    /// When bytes were last read from it.
    var lastRead = Timestamp(nanoseconds: 0)

    init(_ link: Link) { self.link = link }

    /// The driver's handle of the connection. A stream is a part of the client's.
    var handle: ConnectionHandle {
        if case .socket(let handle) = link { handle } else { .client }
    }

    /// The stream of HTTP/2 that carries it.
    var stream: StreamLink? {
        if case .stream(let stream) = link { stream } else { nil }
    }

    var tls: TLSConnection? { security.tls }
    var isTLSEstablished: Bool { security.isEstablished }
    var isFinished: Bool { output == .finished }

    /// Our answers to the peer's pings were sent.
    func countUnreadReplies(_ bytes: Int) {
        if !isWritable { unreadReplies += bytes }
    }

    // MARK: TLS

    func begin(_ tls: TLSConnection) { security = .handshaking(tls) }

    /// Continues the handshake.
    /// - Returns: whether it is complete.
    func handshake(_ tls: TLSConnection) throws(TLSError) -> Bool {
        guard try tls.handshake() else { return false }
        security = .established(tls)
        return true
    }

    func beginProxyTLS(_ tls: TLSConnection) { proxySecurity = .handshaking(tls) }

    /// Continues the handshake with the upstream proxy.
    /// - Returns: whether it is complete.
    func proxyHandshake(_ tls: TLSConnection, _ context: SessionContext) throws(TLSError) -> Bool {
        let isComplete = try tls.handshake()
        if let records = tls.takeCiphertext() { put(records, context) }
        if isComplete { proxySecurity = .established(tls) }
        return isComplete
    }

    /// TLS may have generated records itself: an alert, a ticket, an answer.
    func noteRecords() { hasUnsentRecords = true }

    // MARK: Writing

    /// Sends plaintext, through TLS where it is used. Nothing is sent on a connection that is finished.
    func send(_ bytes: ByteBuffer, _ context: SessionContext) throws(TLSError) {
        guard bytes.readableBytes > 0, !isFinished else { return }
        guard let tls else { return transmit(bytes, context) }
        try tls.write(bytes)
        hasUnsentRecords = true
    }

    /// Sends plaintext; what went wrong with TLS is there for the owner of the connection to take.
    func write(_ bytes: ByteBuffer, _ context: SessionContext) {
        do throws(TLSError) { try send(bytes, context) } catch { if failure == nil { failure = error } }
    }

    func takeFailure() -> TLSError? {
        defer { failure = nil }
        return failure
    }

    /// Sends bytes, through the TLS of an upstream proxy if there is one.
    func transmit(_ bytes: ByteBuffer, _ context: SessionContext) {
        guard let proxyTLS = proxySecurity.tls else { return put(bytes, context) }
        // A failure shows when the next bytes are read.
        try? proxyTLS.write(bytes)
        if let records = proxyTLS.takeCiphertext() { put(records, context) }
    }

    private func put(_ bytes: ByteBuffer, _ context: SessionContext) {
        switch link {
        case .socket(let handle): context.emit(.send(handle, bytes))
        case .stream(let stream): stream.send(bytes)
        }
    }

    /// Sends the records that TLS has ready.
    func flush(_ context: SessionContext) {
        guard hasUnsentRecords, let tls else { return }
        hasUnsentRecords = false
        if let records = tls.takeCiphertext() { transmit(records, context) }
    }

    /// Sends FIN after what was sent, with close_notify before it where TLS is used.
    /// - Parameter isCut: without close_notify, as for a connection that was cut.
    func finish(isCut: Bool = false, _ context: SessionContext) {
        guard !isFinished else { return }
        if !isCut { tls?.close() }
        hasUnsentRecords = tls != nil
        flush(context)
        output = .finished
        switch link {
        case .socket(let handle): context.emit(.finish(handle))
        case .stream(let stream): stream.finish()
        }
    }

    /// Closes both directions after the output, with close_notify if the handshake was complete.
    func close(_ context: SessionContext) {
        if case .established(let tls) = security { tls.close() }
        hasUnsentRecords = tls != nil
        flush(context)
        closeLink(context)
    }

    /// Closes the carrier after the output.
    func closeLink(_ context: SessionContext) {
        switch link {
        case .socket(let handle): context.emit(.close(handle))
        case .stream(let stream): stream.close()
        }
    }

    /// Resets the connection.
    func abort(_ context: SessionContext) {
        output = .finished
        switch link {
        case .socket(let handle): context.emit(.abort(handle))
        case .stream(let stream): stream.abort()
        }
    }

    /// The peer is gone: nothing more is sent.
    func isGone() {
        hasEnded = true
        output = .finished
    }

    // MARK: Reading

    /// Reads from the connection, or stops.
    func setReading(_ isWanted: Bool, _ context: SessionContext) {
        guard isWanted != isReading else { return }
        isReading = isWanted
        switch link {
        case .socket(let handle): context.emit(.read(handle, isWanted))
        case .stream(let stream): stream.isReading = isWanted
        }
    }
}
