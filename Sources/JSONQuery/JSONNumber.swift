// The value of a JSON number, to compare numbers by value: 100, 1e2 and 100.0 are equal.

/// An integer of 64 bits exactly, otherwise the closest double (RFC 8259 section 6).
package enum JSONNumber: Sendable, Equatable, Comparable {
    case integer(Int64)
    /// Not an integer of 64 bits.
    case real(Double)

    /// - Parameter text: a number in the syntax of JSON.
    /// - Returns: nil for other text.
    package init?(_ text: String) {
        self.init(text.utf8.span)
    }

    /// - Parameter bytes: a number in the syntax of JSON.
    /// - Returns: nil for other text.
    package init?(_ bytes: Span<UInt8>) {
        var number = Digits()
        guard number.read(bytes) else { return nil }
        if let integer = number.integer {
            self = .integer(integer)
            return
        }
        let real = number.real ?? Self.nearest(bytes)
        // Doubles of this size have no fraction.
        self = Int64(exactly: real).map { .integer($0) } ?? .real(real)
    }

    private static func nearest(_ bytes: Span<UInt8>) -> Double {
        var text = ""
        for index in bytes.indices { text.unicodeScalars.append(Unicode.Scalar(bytes[index])) }
        return Double(text) ?? .nan
    }

    package static func < (a: JSONNumber, b: JSONNumber) -> Bool {
        switch (a, b) {
        case (.integer(let a), .integer(let b)): a < b
        case (.real(let a), .real(let b)): a < b
        // The real number has a fraction and is smaller than 2^53, or is beyond all integers of 64 bits.
        case (.integer(let a), .real(let b)): b >= 0x1p63 || Double(a) < b
        case (.real(let a), .integer(let b)): a < -0x1p63 || a < Double(b)
        }
    }

    /// The parts of a number.
    private struct Digits {
        private var isNegative = false
        private var mantissa: UInt64 = 0
        private var isExact = true
        private var isInteger = true
        /// Of ten.
        private var exponent = 0

        /// - Returns: whether the text is a number.
        mutating func read(_ bytes: Span<UInt8>) -> Bool {
            var index = 0
            func digit() -> UInt64? { index < bytes.count && bytes[index] &- 0x30 < 10 ? UInt64(bytes[index] - 0x30) : nil }
            if bytes.count > 0, bytes[0] == 0x2D {
                isNegative = true
                index = 1
            }
            let start = index
            while let next = digit() {
                add(next)
                index += 1
            }
            guard index > start, index == start + 1 || bytes[start] != 0x30 else { return false }
            if index < bytes.count, bytes[index] == 0x2E {
                isInteger = false
                index += 1
                let point = index
                while let next = digit() {
                    add(next)
                    index += 1
                }
                guard index > point else { return false }
                exponent = point - index
            }
            if index < bytes.count, bytes[index] | 0x20 == 0x65 {
                isInteger = false
                index += 1
                let sign = index < bytes.count && (bytes[index] == 0x2D || bytes[index] == 0x2B) ? bytes[index] : nil
                if sign != nil { index += 1 }
                let first = index
                var power = 0
                while let next = digit() {
                    power = min(power * 10 + Int(next), 100_000)
                    index += 1
                }
                guard index > first else { return false }
                exponent += sign == 0x2D ? -power : power
            }
            return index == bytes.count
        }

        private mutating func add(_ digit: UInt64) {
            let (product, overflows) = mantissa.multipliedReportingOverflow(by: 10)
            let (sum, carries) = product.addingReportingOverflow(digit)
            mantissa = sum
            if overflows || carries { isExact = false }
        }

        var integer: Int64? {
            guard isInteger, isExact else { return nil }
            return isNegative ? (mantissa <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- mantissa) : nil) : Int64(exactly: mantissa)
        }

        /// One rounding of two exact doubles is exact (Clinger, How to Read Floating Point Numbers Accurately, 1990).
        var real: Double? {
            guard isExact, mantissa <= 1 << 53, abs(exponent) <= 22 else { return nil }
            let power = Self.powers[abs(exponent)]
            let value = exponent < 0 ? Double(mantissa) / power : Double(mantissa) * power
            return isNegative ? -value : value
        }

        private static let powers: [Double] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
            1e21,
            1e22,
        ]
    }
}
