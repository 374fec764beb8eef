// Requests as command lines of curl(1), for any POSIX shell. A command sends what the client sent: the same method, target and fields, and
// the same content. Options of curl that are used exist since version 7.55.

import FlowModel
import HTTPSemantics
import NIOCore

/// Writes a command for each request.
struct CurlWriter: MessageWriter {
    private let store: MessageOptions.Store?
    private(set) var omissions = Omissions()

    init(_ options: MessageOptions) { store = options.store }

    mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Omissions.OfFlow {
        guard flow.kind == .http, let request = flow.request else { return omissions.leaveOut(.noRequest) }
        do {
            let body = try body(of: flow, request)
            var command = try CurlCommand(flow, request.asStored, body)
            if request.trailers?.lines.isEmpty == false { command.lost.insert(.trailers) }
            if flow.isConversation { command.lost.insert(.messages) }
            command.write(into: &out)
            return omissions.leaveOut(command.lost)
        } catch let reason as LeftOut {
            return omissions.leaveOut(reason.reason)
        }
    }

    private func body(of flow: Flow, _ request: Message<RequestHead>) throws -> CurlBody? {
        // The client of a conversation sends messages as long as it is open.
        guard !flow.isConversation else { return nil }
        guard request.ended != nil else { throw LeftOut(.incomplete) }
        guard request.hasAllContent else { throw LeftOut(.missing) }
        guard request.storedSize > 0 else { return nil }
        if request.storedSize <= UInt64(ShellText.maximumInline) {
            guard let content = try flow.pieces.contentUnlessDamaged(from: .client) else { throw LeftOut(.damaged) }
            if let inline = CurlBody(inline: content) { return inline }
        }
        return .file(try flow.storeContent(from: .client, name: "curl-\(flow.id).body", store))
    }
}

/// Why a flow is left out.
struct LeftOut: Error {
    let reason: Omissions.Reason

    init(_ reason: Omissions.Reason) { self.reason = reason }
}

extension Flow {
    /// Stores the content of one side, as it was sent.
    /// - Returns: the path of the file.
    /// - Throws: ``LeftOut`` when nothing is stored, or the content is damaged.
    func storeContent(from side: Side, name: String, _ store: MessageOptions.Store?) throws -> String {
        guard let store else { throw LeftOut(.needsFile) }
        return try store(name) { part in
            try pieces.forEach { _, piece in
                if piece.kind == .data, piece.from == side { try part(piece.content) }
                return true
            } damaged: { piece in
                guard piece.kind == .data, piece.from == side else { return true }
                throw LeftOut(.damaged)
            }
        }
    }
}

/// The content of a request, as a command has it.
enum CurlBody {
    /// The value of --data-raw, quoted.
    case argument(ByteBuffer)
    /// What printf writes to curl, quoted.
    case printed(ByteBuffer)
    /// The path of a file.
    case file(String)

    /// - Returns: nil if it is too long to be part of a command.
    init?(inline content: ByteBuffer) {
        let isText = ShellText.isVisible(content)
        let word = isText ? ShellText.quoted(content) : ShellText.printfFormat(content)
        guard word.readableBytes <= ShellText.maximumInline else { return nil }
        self = isText ? .argument(word) : .printed(word)
    }
}
