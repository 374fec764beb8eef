// Formats that write the messages of a flow: a command that sends the request again, the messages as text, and the bytes as they were sent.

import FlowModel
import HTTPSemantics
import NIOCore

/// A format of messages.
package enum MessageFormat: String, CaseIterable, Sendable {
    /// A command line of curl for each request.
    case curl
    /// Messages of HTTP/1.1 as text, as editors send them (`.http` files).
    case http
    /// The bytes that were sent.
    case raw

    /// A terminal can show it.
    package var isText: Bool { self != .raw }

    package func writer(_ options: MessageOptions) -> any MessageWriter {
        switch self {
        case .curl: CurlWriter(options)
        case .http: HTTPFileWriter(options)
        case .raw: RawWriter(options)
        }
    }
}

/// Choices of the user.
package struct MessageOptions {
    /// The sides whose messages are written.
    package enum Sides: String, CaseIterable, Sendable {
        case client, server, both

        func includes(_ side: Side) -> Bool { self == .both || (side == .client) == (self == .client) }
    }

    /// Stores content in a file.
    /// - Parameters:
    ///   - name: of the file, without a directory.
    ///   - content: calls its argument with each part of the content. If it throws, no file is stored.
    /// - Returns: the path of the file, as a command can name it.
    package typealias Store = (_ name: String, _ content: ((ByteBuffer) throws -> Void) throws -> Void) throws -> String

    package var sides = Sides.client
    /// nil: nothing is stored.
    package var store: Store?

    package init() {}
}

/// Writes flows in a format of messages.
package protocol MessageWriter {
    /// What was not written.
    var omissions: Omissions { get }

    /// Appends a flow, or counts it as left out.
    /// - Parameter drain: is given large output before the flow is complete.
    /// - Returns: what was not written, which ``omissions`` counts.
    /// - Throws: errors of fetching content, unless it is damaged; errors of storing content.
    @discardableResult
    mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Omissions.OfFlow
}

/// What a format could not write, counted by reason.
package struct Omissions: Equatable, Sendable {
    /// Why a flow was left out.
    package enum Reason: String, CaseIterable, Sendable {
        case noRequest = "no HTTP request"
        case noMessages = "no bytes of that side"
        case connect = "CONNECT"
        case incomplete = "incomplete request"
        case missing = "content that is not in the recording"
        case damaged = "damaged content"
        case headContent = "content of a HEAD request"
        case needsFile = "content that needs --bodies"
        case noURL = "no URL that can be requested"
        case tooLong = "a line too long for an argument"
    }

    /// A part of a written flow that was left out.
    package enum Part: String, CaseIterable, Sendable {
        case trailers
        case fields = "fields that cannot be written"
        case content = "content that needs --bodies"
        case messages = "messages after the upgrade"
        case version = "the version HTTP/3"
        case damage = "damaged content"
        case missing = "content that is not in the recording"
    }

    /// What was not written of one flow.
    package enum OfFlow: Equatable, Sendable {
        /// The flow was not written.
        case flow(Reason)
        /// It was written without these parts.
        case parts(Set<Part>)
    }

    private var flows: [Reason: Int] = [:]
    private var parts: [Part: Int] = [:]
    private var partial = 0

    package init() {}

    /// Counts a flow that is not written.
    mutating func leaveOut(_ reason: Reason) -> OfFlow {
        flows[reason, default: 0] += 1
        return .flow(reason)
    }

    /// Counts a flow that is written without some parts.
    mutating func leaveOut(_ lost: Set<Part>) -> OfFlow {
        partial += lost.isEmpty ? 0 : 1
        for part in lost { parts[part, default: 0] += 1 }
        return .parts(lost)
    }

    /// A sentence; nil when everything was written.
    package var sentence: String? {
        var clauses: [String] = []
        if !flows.isEmpty {
            let reasons = Reason.allCases.compactMap { reason in flows[reason].map { "\(reason.rawValue): \($0)" } }
            clauses.append("\(Self.flows(flows.values.reduce(0, +))) left out (\(reasons.joined(separator: ", ")))")
        }
        if partial > 0 {
            let lost = Part.allCases.compactMap { part in parts[part].map { "\(part.rawValue): \($0)" } }
            clauses.append("\(Self.flows(partial)) written without some parts (\(lost.joined(separator: ", ")))")
        }
        return clauses.isEmpty ? nil : clauses.joined(separator: "; ")
    }

    private static func flows(_ count: Int) -> String { count == 1 ? "1 flow was" : "\(count) flows were" }
}
