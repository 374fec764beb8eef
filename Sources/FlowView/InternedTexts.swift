// Texts that many flows share, such as hosts: each is kept once and has a number.

import HTTPSemantics
import NIOCore

/// Texts by number, in the order in which they came.
struct InternedTexts {
    /// The bytes of each text, which keep nothing else in memory.
    private(set) var texts: [ByteBuffer] = []
    private var numbers: [ByteBuffer: UInt32] = [:]
    private var last: (text: ByteBuffer, number: UInt32)?

    /// The number of a text.
    /// - Parameter maximum: texts beyond this count share one number.
    mutating func number(of text: ByteBuffer, maximum: Int = Int(UInt32.max)) -> UInt32 {
        if let last, last.text == text { return last.number }
        if let known = numbers[text] {
            last = (texts[Int(known)], known)
            return known
        }
        if texts.count >= maximum { return UInt32(maximum) }
        let number = UInt32(texts.count)
        let own = ByteBuffer(bytes: text.readableBytesView)
        texts.append(own)
        numbers[own] = number
        last = (own, number)
        return number
    }

    /// The place of each text in their order.
    var ranks: [UInt32] {
        var ranks = [UInt32](repeating: 0, count: texts.count)
        let order = texts.indices.sorted { texts[$0].readableBytesView.lexicographicallyPrecedes(texts[$1].readableBytesView) }
        for (rank, number) in order.enumerated() { ranks[number] = UInt32(rank) }
        return ranks
    }
}
