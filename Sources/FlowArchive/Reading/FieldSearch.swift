// The value of one field in field lines, found without a list of all of them: of most heads a table needs one field.

import Glibc
import HTTPSemantics

/// Where a field is in field lines.
package enum FieldSearch: Equatable {
    /// Offsets of the value of the first line with the name, without the white space around it.
    case value(Range<Int>)
    /// No line has the name.
    case none
    /// Only ``FieldSection/init(parsing:)`` tells: the value is folded, or the name is not followed by a colon.
    case unclear
}

extension UnsafeRawBufferPointer {
    /// Finds the first line with a name, as ``FieldSection/first(_:)`` does.
    /// - Parameter name: in lower case.
    package func firstField(_ name: StaticString) -> FieldSearch {
        let length = name.utf8CodeUnitCount
        var start = 0
        while start < count {
            let end = unsafe endOfLine(from: start)
            // The empty line ends the section.
            if unsafe end == start || self[start] == 0x0D && end == start &+ 1 { return .none }
            let colon = start &+ length
            if colon <= end, unsafe UnsafeRawBufferPointer(rebasing: self[start..<colon]).equalsIgnoringCase(name) {
                if colon == end { return .unclear }
                switch unsafe self[colon] {
                case 0x3A:
                    let next = end &+ 1
                    if next < count, unsafe self[next] == 0x20 || self[next] == 0x09 { return .unclear }
                    return .value(unsafe trimmed(colon &+ 1, end))
                case 0x20, 0x09, 0x0D: return .unclear
                default: break
                }
            }
            start = end &+ 1
        }
        return .none
    }

    /// The offset of the next line feed, or the count of bytes.
    private func endOfLine(from start: Int) -> Int {
        guard let base = baseAddress, let found = unsafe memchr(base + start, 0x0A, count &- start) else { return count }
        return unsafe UnsafeRawPointer(found) - base
    }

    private func trimmed(_ from: Int, _ to: Int) -> Range<Int> {
        var (start, end) = (from, to)
        while start < end, unsafe self[start].isWhitespaceOrLineEnd { start &+= 1 }
        while end > start, unsafe self[end &- 1].isWhitespaceOrLineEnd { end &-= 1 }
        return start..<end
    }
}
