// What the user asks for instead of recordings: the handling of misses, and faults.

import FlowModel
import ToolSupport

/// How a request is handled that no recording answers.
enum MissPolicy: Equatable {
    case answer(Int)
    case close
    /// To a server; nil: to the one that the client asked for.
    case forward(to: Server?)

    struct Server: Equatable, CustomStringConvertible {
        var endpoint: Endpoint
        var isTLS: Bool

        var description: String { "\(isTLS ? "https" : "http")://\(endpoint)" }
    }

    var contactsServers: Bool { if case .forward = self { true } else { false } }

    /// - Throws: ``ToolError`` if the text is not valid.
    init(_ text: String) throws {
        if let status = Int(text), (200...599).contains(status) {
            self = .answer(status)
        } else if text == "close" {
            self = .close
        } else if text == "forward" || text == "record" {
            self = .forward(to: nil)
        } else if let colon = text.firstIndex(of: ":"), ["forward", "record"].contains(text[..<colon]) {
            self = .forward(to: try Self.server(text[text.index(after: colon)...], text))
        } else {
            throw ToolError("--on-miss \(text) is not known; write a status, close, forward[:URL] or record[:URL]")
        }
    }

    private static func server(_ url: Substring, _ text: String) throws -> Server {
        let isTLS = url.hasPrefix("https://")
        guard isTLS || url.hasPrefix("http://") else {
            throw ToolError("--on-miss \(text): write the server as http://host[:port] or https://host[:port]")
        }
        let authority = url.dropFirst(isTLS ? 8 : 7).prefix { $0 != "/" }
        guard url.hasSuffix(authority) || url.hasSuffix(authority + "/") else {
            throw ToolError("--on-miss \(text): requests keep their own path; write http[s]://host[:port] without one")
        }
        guard let endpoint = Endpoint(parsing: authority, defaultPort: isTLS ? 443 : 80) else {
            throw ToolError("--on-miss \(text): '\(authority)' is not a host[:port]")
        }
        return Server(endpoint: endpoint, isTLS: isTLS)
    }
}

/// A fault, as the answer to some of the requests.
struct Fault: Sendable {
    enum Kind: Equatable {
        case status(Int)
        case close
        case reset
    }

    var percent: Double
    var kind: Kind

    /// - Throws: ``ToolError`` if the text is not valid.
    init(_ text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, parts[0].hasSuffix("%"), let percent = Double(parts[0].dropLast()), (0...100).contains(percent)
        else {
            throw ToolError("--fault \(text) is not known; write 2%:503, 1%:reset or 1%:close")
        }
        self.percent = percent
        switch parts[1] {
        case "close": kind = .close
        case "reset": kind = .reset
        default:
            guard let status = Int(parts[1]), (200...599).contains(status) else {
                throw ToolError("--fault \(text): '\(parts[1])' is neither a status nor close nor reset")
            }
            kind = .status(status)
        }
    }
}
