// The target of a request of the API: path segments, and parameters of the query.

import HTTPSemantics
import NIOCore

/// A parsed request-target.
struct ViewQuery {
    let path: [String]
    private let parameters: [(name: String, value: String)]

    init(_ target: String) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts[0].split(separator: "/").map { Self.decoded($0, plusIsSpace: false) }
        var parameters: [(name: String, value: String)] = []
        for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = halves.count > 1 ? Self.decoded(halves[1], plusIsSpace: true) : ""
            parameters.append((Self.decoded(halves[0], plusIsSpace: true), value))
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

    private static func decoded(_ text: Substring, plusIsSpace: Bool) -> String {
        let form = plusIsSpace ? String(text.map { $0 == "+" ? " " : $0 }) : String(text)
        var bytes: [UInt8] = []
        var rest = form.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = rest.first?.hexadecimal, let low = rest.dropFirst().first?.hexadecimal {
                bytes.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension UInt8 {
    fileprivate var hexadecimal: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
