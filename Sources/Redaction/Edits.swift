// Changes of a text: ranges of its bytes that are replaced, all other bytes stay as they are.

import HTTPSemantics
import NIOCore

/// Ranges of a text and what replaces them. An empty list costs nothing.
struct Edits {
    struct Edit {
        var range: Range<Int>
        var new: ByteBuffer
    }

    private(set) var edits: [Edit] = []
    /// Where the part that is read now begins in the text: the ranges of new edits are relative to it.
    var offset = 0

    var isEmpty: Bool { edits.isEmpty }

    mutating func replace(_ range: Range<Int>, with new: ByteBuffer) {
        // One allocation is enough for most heads.
        if edits.isEmpty { edits.reserveCapacity(8) }
        edits.append(Edit(range: range.lowerBound + offset..<range.upperBound + offset, new: new))
    }

    mutating func remove(_ range: Range<Int>) { replace(range, with: ByteBuffer()) }

    /// The edits of a part of the text.
    mutating func add(_ others: Edits) { for edit in others.edits { replace(edit.range, with: edit.new) } }

    /// Puts the edits in order. Of two that overlap the outer one stays, of two with one range the last one.
    mutating func normalize() {
        guard !isInOrder else { return }
        var order = Array(edits.indices)
        order.sort { a, b in
            let (x, y) = (edits[a].range, edits[b].range)
            if x.lowerBound != y.lowerBound { return x.lowerBound < y.lowerBound }
            if x.upperBound != y.upperBound { return x.upperBound > y.upperBound }
            return a > b
        }
        var kept: [Edit] = []
        for edit in order.map({ edits[$0] }) {
            guard let last = kept.last, edit.range.lowerBound < last.range.upperBound else {
                kept.append(edit)
                continue
            }
            // Overlapping ends are hidden as one.
            if edit.range.upperBound > last.range.upperBound {
                kept[kept.count - 1].range = last.range.lowerBound..<edit.range.upperBound
            }
        }
        edits = kept
    }

    private var isInOrder: Bool {
        for index in edits.indices.dropFirst() {
            let (last, next) = (edits[index - 1].range, edits[index].range)
            guard next.lowerBound >= last.upperBound, next.lowerBound > last.lowerBound else { return false }
        }
        return true
    }

    /// The text with the edits, which are in order.
    func applied(to text: ByteBuffer) -> ByteBuffer {
        guard !edits.isEmpty else { return text }
        var out = ByteBuffer()
        out.reserveCapacity(text.readableBytes + edits.reduce(0) { $0 + $1.new.readableBytes })
        let span = text.readableBytesUInt8Span
        var place = 0
        for edit in edits {
            out.append(span.extracting(place..<edit.range.lowerBound))
            out.append(edit.new.readableBytesUInt8Span)
            place = edit.range.upperBound
        }
        out.append(span.extracting(place...))
        return out
    }
}

extension ByteBuffer {
    fileprivate mutating func append(_ bytes: Span<UInt8>) {
        // SAFETY: the bytes are copied before the span ends.
        _ = unsafe bytes.withUnsafeBytes { unsafe writeBytes($0) }
    }
}
