// Times in mitmproxy's files: seconds since 1970 as a decimal number. They are read and written digit by digit, because a binary
// fraction of present-day seconds cannot represent nanoseconds.

import FlowModel
import NIOCore

extension Tnetstring {
    /// A time, of a value that is a float or an integer.
    package func time() throws(TnetstringError) -> Timestamp {
        guard tag == .float || tag == .integer, payload.readableBytes <= 64,
            let time = Timestamp(decimalSeconds: String(buffer: payload))
        else { throw error("time") }
        return time
    }
}

extension Timestamp {
    /// `1700000000.123456789`; digits after nanoseconds are ignored. An exponent is allowed.
    /// - Returns: nil if the text is not a number, or the time is out of range (before 1677, after 2262).
    init?(decimalSeconds text: String) {
        guard !text.utf8.contains(where: { $0 == 0x65 || $0 == 0x45 }) else {
            guard let seconds = Double(text), abs(seconds) < 9.2e9 else { return nil }
            self.init(nanoseconds: Int64(seconds * 1e9))
            return
        }
        let isNegative = text.hasPrefix("-")
        let parts = text.dropFirst(isNegative ? 1 : 0).split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts[0].decimal, whole < 9_200_000_000 else { return nil }
        var nanoseconds: Int64 = 0
        if parts.count > 1 {
            let digits = parts[1].prefix(9)
            guard parts[1].decimalDigits, let fraction = digits.isEmpty ? 0 : digits.decimal else { return nil }
            nanoseconds = fraction
            for _ in digits.utf8.count..<9 { nanoseconds *= 10 }
        }
        nanoseconds += whole * 1_000_000_000
        self.init(nanoseconds: isNegative ? -nanoseconds : nanoseconds)
    }

    /// The number, with a fraction of at least one digit.
    var decimalSeconds: String {
        let (seconds, fraction) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1_000_000_000)
        var digits = String(fraction)
        digits = String(repeating: "0", count: 9 - digits.utf8.count) + digits
        while digits.utf8.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        return "\(nanoseconds < 0 ? "-" : "")\(seconds).\(digits)"
    }
}

extension Substring {
    fileprivate var decimalDigits: Bool { utf8.allSatisfy { $0 &- 0x30 < 10 } }

    /// At most 18 digits as a number.
    fileprivate var decimal: Int64? { decimalDigits && !isEmpty && utf8.count <= 18 ? Int64(self) : nil }
}
