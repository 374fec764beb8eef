// SHA-1 (FIPS 180-4 §6.1.2), for Sec-WebSocket-Accept only: it proves that a server read the request and protects nothing.

/// The SHA-1 digest of a message, 20 bytes.
func sha1(_ message: [UInt8]) -> [UInt8] {
    var padded = message
    padded.append(0x80)
    while padded.count % 64 != 56 { padded.append(0) }
    let bits = UInt64(message.count) * 8
    for shift in stride(from: 56, through: 0, by: -8) { padded.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift))) }
    var hash: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
    for block in stride(from: 0, to: padded.count, by: 64) { addBlock(padded[block..<block + 64], to: &hash) }
    return hash.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) } }
}

private func addBlock(_ block: ArraySlice<UInt8>, to hash: inout [UInt32]) {
    var schedule = stride(from: block.startIndex, to: block.endIndex, by: 4).map { at in
        block[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    for t in 16..<80 {
        schedule.append(rotated(schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16], by: 1))
    }
    var (a, b, c, d, e) = (hash[0], hash[1], hash[2], hash[3], hash[4])
    for t in 0..<80 {
        let mixed: UInt32
        switch t {
        case 0..<20: mixed = (b & c | ~b & d) &+ 0x5A82_7999
        case 20..<40: mixed = (b ^ c ^ d) &+ 0x6ED9_EBA1
        case 40..<60: mixed = (b & c | b & d | c & d) &+ 0x8F1B_BCDC
        default: mixed = (b ^ c ^ d) &+ 0xCA62_C1D6
        }
        let next = rotated(a, by: 5) &+ mixed &+ e &+ schedule[t]
        (e, d, c, b, a) = (d, c, rotated(b, by: 30), a, next)
    }
    for (i, word) in [a, b, c, d, e].enumerated() { hash[i] &+= word }
}

private func rotated(_ word: UInt32, by bits: UInt32) -> UInt32 { word << bits | word >> (32 - bits) }
