// All differences of two contents: of JSON by place, of text by line, of other bytes the first one.

import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore

/// What is compared, for the differences that are found in it.
struct ContentPlace {
    static let body = ContentPlace(path: "body", text: "body")

    var path: String
    var text: String

    /// A difference of the whole.
    func difference(
        _ recorded: FlowDifference.Value, _ now: FlowDifference.Value, remark: String? = nil
    ) -> FlowDifference {
        FlowDifference(path: path, place: text, recorded: recorded, now: now, remark: remark)
    }

    /// A difference at a place in JSON.
    func difference(at path: String, _ recorded: FlowDifference.Value, _ now: FlowDifference.Value) -> FlowDifference {
        FlowDifference(
            path: self.path == "body" ? path : "\(self.path):\(path)", place: "\(text): \(path)", recorded: recorded, now: now)
    }

    func difference(line: Int, _ recorded: FlowDifference.Value, _ now: FlowDifference.Value) -> FlowDifference {
        FlowDifference(path: "\(path):line \(line)", place: "\(text): line \(line)", recorded: recorded, now: now)
    }
}

struct ContentComparison {
    let ignoredPaths: [JSONPath]
    let place: ContentPlace

    /// - Parameter isJSON: a media type names JSON; other content that begins as JSON is tried.
    func compare(_ was: ByteBuffer, _ now: ByteBuffer, isJSON: Bool, _ found: inout FlowDifferences) {
        if was == now { return }
        let first = was.readableBytesView.first
        if isJSON || first == 0x7B || first == 0x5B, var a = JSONTree(parsing: was), var b = JSONTree(parsing: now) {
            for path in ignoredPaths { (a, b) = (a.removing(path), b.removing(path)) }
            return compare(a.canonical, b.canonical, at: "$", &found)
        }
        if was.readableBytes == 0 { return found.add(place.difference(.text("empty"), .text("\(now.readableBytes) bytes"))) }
        if now.readableBytes == 0 { return found.add(place.difference(.text("\(was.readableBytes) bytes"), .text("empty"))) }
        if let a = Self.text(was), let b = Self.text(now) { return compareLines(a, b, &found) }
        compareBytes(was, now, &found)
    }

    /// Compares the beginning of content that is recorded, then its size and its digest.
    func compare(_ recorded: ByteBuffer, _ cut: ContentCut, with now: ByteBuffer, _ found: inout FlowDifferences) {
        let beginning = now.slice(ByteRange(0, min(recorded.readableBytes, now.readableBytes)))
        if beginning != recorded { return compare(recorded, beginning, isJSON: false, &found) }
        // What is ignored may be in the rest.
        guard !cut.isOf(now), ignoredPaths.isEmpty || cut.size != UInt64(now.readableBytes) else { return }
        let remark = "after the first \(recorded.readableBytes) bytes, which are recorded"
        found.add(
            place.difference(.text("\(cut.size) bytes"), .text("\(now.readableBytes) bytes, another SHA-256"), remark: remark))
    }

    private static func text(_ bytes: ByteBuffer) -> String? {
        guard !bytes.readableBytesView.contains(0) else { return nil }
        return String(validating: bytes.readableBytesView, as: UTF8.self)
    }

    // MARK: JSON

    /// Compares two trees, members in the order of their names.
    private func compare(_ was: JSONTree, _ now: JSONTree, at path: String, _ found: inout FlowDifferences) {
        switch (was, now) {
        case (.object(let a), .object(let b)):
            var (i, j) = (0, 0)
            while i < a.count || j < b.count {
                if j == b.count || i < a.count && a[i].name < b[j].name {
                    found.add(place.difference(at: Self.member(path, a[i].name.text), .json(a[i].value.text), .none))
                    i += 1
                } else if i == a.count || b[j].name < a[i].name {
                    found.add(place.difference(at: Self.member(path, b[j].name.text), .none, .json(b[j].value.text)))
                    j += 1
                } else {
                    if a[i].value != b[j].value {
                        compare(a[i].value, b[j].value, at: Self.member(path, a[i].name.text), &found)
                    }
                    (i, j) = (i + 1, j + 1)
                }
            }
        case (.array(let a), .array(let b)):
            compare(ArrayAlignment(a, b), at: path, &found)
        default:
            if was != now { found.add(place.difference(at: path, .json(was.text), .json(now.text))) }
        }
    }

    /// Elements that were removed or changed have their positions in the recorded array, added ones those in the new array.
    private func compare(_ alignment: ArrayAlignment, at path: String, _ found: inout FlowDifferences) {
        for pair in alignment.pairs {
            switch (pair.recorded, pair.now) {
            case (let was?, let now?): compare(was.value, now.value, at: "\(path)[\(was.position)]", &found)
            case (let was?, nil): found.add(place.difference(at: "\(path)[\(was.position)]", .json(was.value.text), .none))
            case (nil, let now?): found.add(place.difference(at: "\(path)[\(now.position)]", .none, .json(now.value.text)))
            case (nil, nil): break
            }
        }
        let (was, now) = alignment.counts
        if was != now { found.add(place.difference(at: path, .text("\(was) elements"), .text("\(now) elements"))) }
    }

    private static func member(_ path: String, _ name: String) -> String {
        let isPlain =
            !name.isEmpty && name.utf8.allSatisfy { $0 == 0x5F || $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A || $0 &- 0x30 < 10 }
        return isPlain ? "\(path).\(name)" : "\(path)['\(name)']"
    }

    // MARK: Text and bytes

    /// Compares lines by their numbers, between the lines at both ends that are equal.
    private func compareLines(_ was: String, _ now: String, _ found: inout FlowDifferences) {
        let a = was.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
        let b = now.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
        func value(_ lines: ArraySlice<Substring.UTF8View>, _ index: Int) -> FlowDifference.Value {
            lines.indices.contains(index) ? .text(String(Substring(lines[index]))) : .none
        }
        if a.count == 1, b.count == 1 { return found.add(place.difference(value(a[...], 0), value(b[...], 0))) }
        let start = zip(a, b).prefix { $0.elementsEqual($1) }.count
        let end = zip(a[start...].reversed(), b[start...].reversed()).prefix { $0.elementsEqual($1) }.count
        let (c, d) = (a[start..<(a.count - end)], b[start..<(b.count - end)])
        for index in start..<max(c.endIndex, d.endIndex) {
            if c.indices.contains(index), d.indices.contains(index), c[index].elementsEqual(d[index]) { continue }
            found.add(place.difference(line: index + 1, value(c, index), value(d, index)))
        }
    }

    private func compareBytes(_ was: ByteBuffer, _ now: ByteBuffer, _ found: inout FlowDifferences) {
        let offset = was.commonPrefix(with: now)
        let (a, b) = (was.readableBytesUInt8Span, now.readableBytesUInt8Span)
        guard offset < min(a.count, b.count) else {
            return found.add(
                place.difference(
                    .text("\(a.count) bytes"), .text("\(b.count) bytes, equal up to byte \(offset)")))
        }
        func hexadecimal(_ byte: UInt8) -> FlowDifference.Value { .text((byte < 16 ? "0x0" : "0x") + String(byte, radix: 16)) }
        found.add(
            FlowDifference(
                path: "\(place.path):byte \(offset)", place: "\(place.text): byte \(offset)", recorded: hexadecimal(a[offset]),
                now: hexadecimal(b[offset]), sizes: (a.count, b.count)))
    }
}
