// Writes flow files, and makes flows to write.

internal import FlowArchive
internal import FlowModel
internal import Glibc
internal import HTTPSemantics
internal import NIOCore

/// Writes flows to a file.
///
/// ```swift
/// let writer = try FlowFileWriter(path: "errors.mflow", existing: .replace)
/// try writer.write(flow)
/// try writer.close()
/// ```
///
/// Call ``close()``: it writes the blocks that are left and the index. A writer belongs to one task at a time; a file has one writer at a
/// time, and a second one is refused.
public final class FlowFileWriter {
    /// What happens to a file that is there.
    public enum ExistingFile: Sendable {
        /// The flows are added to the flow file. A file of another kind is refused and stays untouched.
        case append
        /// The file is replaced when the writer is closed. Until then, and if it never is, it stays as it is.
        case replace
    }

    private let writer: ArchiveWriter

    /// Opens a file, or makes one that only its owner may read (mode 0600), since recordings hold secrets.
    /// - Throws: `.system` if the file cannot be opened or has another writer, `.notAFlowFile` with ``ExistingFile/append``.
    public init(path: String, existing: ExistingFile = .append) throws(FlowFileError) {
        do {
            let storage =
                switch existing {
                case .append: try POSIXStorage.open(path: path, truncates: false)
                case .replace: try POSIXStorage.replacing(path: path)
                }
            writer = try ArchiveWriter(storage: storage, now: Timestamp.now.model)
        } catch { throw FlowFileError(error) }
    }

    /// Adds a flow. Content that is in another file is read from there, a part at a time; damaged content is left out and marked.
    /// - Throws: `.system` if the file cannot be written, or what fetching the flow's content throws.
    public func write(_ flow: Flow) throws(FlowFileError) {
        do { try flow.model.forEachEvent { try writer.append($0) } } catch { throw FlowFileError(error) }
    }

    /// Names rules of redaction in the file, each once, so that its readers know by which rules values of its flows were hidden. It hides
    /// nothing itself. Call it before ``close()``.
    /// - Parameter rules: as ``FlowFileReader/redactionRules`` has them.
    public func add(redactionRules rules: [String]) { writer.addRedactionRules(rules) }

    /// Passes all flows so far to the operating system, so that readers see them. With ``ExistingFile/replace`` they see them after
    /// ``close()``.
    public func flush() throws(FlowFileError) {
        do { try writer.flush() } catch { throw FlowFileError(error) }
    }

    /// Writes what is left and the index, and closes the file. Nothing can be written afterwards.
    public func close() throws(FlowFileError) {
        do { try writer.close() } catch { throw FlowFileError(error) }
    }
}

extension Timestamp {
    /// The wall clock.
    public static var now: Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

extension Flow {
    /// Makes a complete HTTP exchange, with a new identifier.
    /// - Parameters:
    ///   - response: nil if there is none.
    ///   - messages: WebSocket messages, if the exchange opened a conversation.
    ///   - scheme: `http` or `https`.
    ///   - port: by default that of the scheme.
    ///   - started: the time of the request.
    ///   - ended: the time of the response.
    public init(
        _ request: Request, requestContent: [UInt8] = [], _ response: Response?, responseContent: [UInt8] = [],
        messages: [FlowData] = [], scheme: String = "http", host: String, port: UInt16? = nil, started: Timestamp,
        ended: Timestamp
    ) {
        let port = port ?? (scheme == "https" ? 443 : 80)
        var flow = NewFlow(.http, FlowTarget(scheme: scheme, host: host, port: port), at: started)
        flow.add(.request(request.model.head), at: started)
        flow.add(requestContent, .client, trailers: request.model.trailers, at: started)
        if let response {
            flow.add(.response(response.model.head), at: ended)
            flow.add(responseContent, .server, trailers: response.model.trailers, at: ended)
        }
        for message in messages { flow.add(.piece(message.piece), at: message.time) }
        self = flow.ended(at: messages.last.map { max($0.time, ended) } ?? ended)
    }

    /// Makes a complete TCP stream, with a new identifier.
    /// - Parameter data: in the order of time.
    public init(tcp data: [FlowData], host: String, port: UInt16, started: Timestamp, ended: Timestamp) {
        var flow = NewFlow(.tcp, FlowTarget(scheme: "tcp", host: host, port: port), at: started)
        for element in data { flow.add(.piece(element.piece), at: element.time) }
        self = flow.ended(at: ended)
    }
}

/// A flow that is being made.
private struct NewFlow {
    private var assembler: FlowAssembler

    init(_ kind: FlowKind, _ target: FlowTarget, at time: Timestamp) {
        let id = FlowModel.FlowID(
            time: time.model, sequence: UInt16.random(in: .min ... .max), random: UInt64.random(in: .min ... .max))
        let opening = FlowOpening(kind: kind, client: Shared(.unknown), target: target, stream: StreamID(1))
        assembler = FlowAssembler(id: id, at: time.model, opening: opening, keepsPieces: true)
    }

    mutating func add(_ what: FlowEvent.What, at time: Timestamp) { assembler.receive(what, at: time.model) }

    /// The rest of a message.
    mutating func add(_ content: [UInt8], _ side: HTTPSemantics.Side, trailers: FieldSection?, at time: Timestamp) {
        if !content.isEmpty { add(.piece(FlowPiece(from: side, content: ByteBuffer(bytes: content))), at: time) }
        if let trailers { add(.trailers(from: side, trailers), at: time) }
        add(.finished(side), at: time)
    }

    mutating func ended(at time: Timestamp) -> Flow {
        add(.ended(FlowEnding(state: .complete)), at: time)
        return Flow(assembler.flow)
    }
}
