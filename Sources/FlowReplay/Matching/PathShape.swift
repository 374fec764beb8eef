// A sketch of a path and its query in 64 bits, made for the search for the nearest recording: requests that differ little have sketches
// that differ in few bits, so a scan over a million sketches finds the few recordings that are worth reading. The sketch is a Bloom
// filter: segments and pairs of neighbouring bytes set bits of the path, parameters set bits of the query.

import NIOCore

enum PathShape {
    /// The bits of the path; the others are those of the query.
    private static let pathBits: UInt64 = 48
    private static let queryBits: UInt64 = 16
    /// Bytes of a segment whose pairs count. More would set nearly all bits of a path with long segments.
    private static let maximumPairs = 8

    /// The bits of a path.
    static func bits(of path: ByteBuffer) -> UInt64 {
        let bytes = path.readableBytesUInt8Span
        var bits: UInt64 = 0
        var segment = ByteHash()
        var count = 0
        for index in 0..<bytes.count {
            if bytes[index] == 0x2F {
                if count > 0 { bits |= bit(segment.mixed) }
                segment = ByteHash()
                count = 0
            } else {
                // A pair includes the slash before the segment.
                if count < maximumPairs {
                    let before = UInt64(index > 0 ? bytes[index - 1] : 0x2F)
                    bits |= bit((before << 8 | UInt64(bytes[index])) &* 0x9E37_79B9_7F4A_7C15)
                }
                segment.add(bytes[index])
                count += 1
            }
        }
        return count > 0 ? bits | bit(segment.mixed) : bits
    }

    private static func bit(_ hash: UInt64) -> UInt64 { 1 << (((hash >> 32) &* pathBits) >> 32) }

    /// - Parameter hash: of the whole parameter.
    static func bit(ofParameter hash: UInt64) -> UInt64 { 1 << (pathBits + (((hash >> 32) &* queryBits) >> 32)) }
}
