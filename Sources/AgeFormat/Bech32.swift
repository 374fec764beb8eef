// Bech32 (BIP 173), the text form of age's keys, without the limit on its length.

/// Bytes as text with a prefix and a checksum. All letters are of one case.
enum Bech32 {
    private static let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8)
    /// The value of each character of the alphabet; 255 for others.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 128)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()
    private static let checksumLength = 6
    private static let separator = UInt8(ascii: "1")

    /// - Parameter prefix: in lower case.
    /// - Returns: text in lower case.
    static func encode(prefix: String, _ bytes: [UInt8]) -> String {
        // The last group is filled with zeros.
        let groups = regroup(bytes, from: 8, to: 5, fills: true) ?? []
        let remainder = checksum(expanded(Array(prefix.utf8)) + groups + [UInt8](repeating: 0, count: checksumLength)) ^ 1
        let check = (0..<checksumLength).map { UInt8(truncatingIfNeeded: remainder >> UInt32(5 * (5 - $0)) & 31) }
        return prefix + "1" + String(decoding: (groups + check).map { alphabet[Int($0)] }, as: UTF8.self)
    }

    /// - Returns: the prefix in lower case, and the bytes; nil when the text is not Bech32 of whole bytes.
    static func decode(_ text: String) -> (prefix: String, bytes: [UInt8])? {
        let characters = Array(text.utf8)
        let hasLower = characters.contains { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
        let hasUpper = characters.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        guard !(hasLower && hasUpper), characters.allSatisfy({ (33...126).contains($0) }) else { return nil }
        let lower = hasUpper ? characters.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 } : characters
        guard let end = lower.lastIndex(of: separator), end > 0, lower.count - end - 1 >= checksumLength else { return nil }
        let groups = lower[(end + 1)...].map { values[Int($0)] }
        guard !groups.contains(255), checksum(expanded(Array(lower[..<end])) + groups) == 1 else { return nil }
        guard let bytes = regroup(groups.dropLast(checksumLength), from: 5, to: 8, fills: false) else { return nil }
        return (String(decoding: lower[..<end], as: UTF8.self), bytes)
    }

    /// The prefix as the checksum sees it.
    private static func expanded(_ prefix: [UInt8]) -> [UInt8] { prefix.map { $0 >> 5 } + [0] + prefix.map { $0 & 31 } }

    /// The BCH code of BIP 173: the remainder of the groups as a polynomial.
    private static func checksum(_ groups: [UInt8]) -> UInt32 {
        let generators: [UInt32] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3]
        var remainder: UInt32 = 1
        for group in groups {
            let top = remainder >> 25
            remainder = (remainder & 0x1FF_FFFF) << 5 ^ UInt32(group)
            for (bit, generator) in generators.enumerated() where top >> UInt32(bit) & 1 == 1 { remainder ^= generator }
        }
        return remainder
    }

    /// Regroups bits.
    /// - Parameter fills: whether the last group is filled with zeros; otherwise bits that are left must be fewer than a group and zero.
    private static func regroup(_ groups: some Sequence<UInt8>, from: UInt32, to: UInt32, fills: Bool) -> [UInt8]? {
        var bits: UInt32 = 0
        var count: UInt32 = 0
        var out: [UInt8] = []
        for group in groups {
            bits = (bits << from | UInt32(group)) & 0xFFF
            count += from
            while count >= to {
                count -= to
                out.append(UInt8(truncatingIfNeeded: bits >> count & (1 << to - 1)))
            }
        }
        let rest = bits & (1 << count - 1)
        if fills {
            if count > 0 { out.append(UInt8(truncatingIfNeeded: rest << (to - count))) }
            return out
        }
        return count < from && rest == 0 ? out : nil
    }
}
