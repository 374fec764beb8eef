// The target of a request of the API: path segments, and parameters of the query.

import HTTPSemantics
import NIOCore

/// A parsed request-target.
struct ViewQuery {
    let path: [String]
    private let parameters: [(name: String, value: String)]

    init(_ target: String) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts[0].split(separator: "/").map(Self.decoded)
        var parameters: [(name: String, value: String)] = []
        for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            parameters.append((Self.decoded(halves[0]), halves.count > 1 ? Self.decoded(halves[1]) : ""))
        }
        self.parameters = parameters
    }

    /// The last value of a parameter.
    subscript(_ name: String) -> String? { parameters.last { $0.name == name }?.value }

    /// The values of a parameter that may be repeated.
    func all(_ name: String) -> [String] { parameters.filter { $0.name == name }.map(\.value) }

    /// A number between bounds.
    /// - Throws: 400 for something else.
    func number(_ name: String, _ range: ClosedRange<Int>, otherwise: Int) throws(ViewError) -> Int {
        guard let text = self[name] else { return otherwise }
        guard let number = Int(text), range.contains(number) else {
            throw ViewError(.badRequest, "\(name) is a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func decoded(_ text: Substring) -> String { String(buffer: ByteBuffer(substring: text).formDecoded) }
}
