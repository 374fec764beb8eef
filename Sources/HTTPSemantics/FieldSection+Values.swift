// The value of a field that has several lines. Code that reads a field by its name has three choices:
//
// - the first line (`first`): the field has one value (Content-Type, Host, Range), and recipients take the first of several;
// - all lines (`all`, `list(_:contains:)`): each line or list element is checked on its own (Connection, Content-Encoding), or the lines
//   cannot be joined (Set-Cookie);
// - one value for all lines (`joined`): values are compared, and how a sender spreads them over lines means nothing (RFC 9110 §5.3).

import NIOCore

extension FieldSection {
    /// The values of all lines with a name as one: crumbs of Cookie with `; ` between them (RFC 9113 §8.2.3), lists with `, ` (RFC 9110 §5.3),
    /// and Set-Cookie, which is not a list, with a line feed, which no value holds.
    /// - Parameter name: in lower case.
    /// - Returns: nil if there is no such line.
    package func joined(_ name: String) -> ByteBuffer? {
        let wanted = name.utf8
        var value: ByteBuffer?
        for line in lines where line.name.count == wanted.count {
            guard slice(line.name).readableBytesView.elementsEqual(wanted, by: { ($0 &- 0x41 < 26 ? $0 | 0x20 : $0) == $1 }) else {
                continue
            }
            if value == nil {
                value = slice(line.value)
            } else {
                value?.writeString(Self.separator(of: name))
                value?.writeImmutableBuffer(slice(line.value))
            }
        }
        return value
    }

    /// Visits the values of all lines with a name, in order. For names that are not known before.
    /// - Parameters:
    ///   - name: in lower case.
    ///   - body: returns false to stop.
    package func forEachValue(of name: [UInt8], _ body: (ByteBuffer) throws -> Bool) rethrows {
        guard let first = name.first else { return }
        let place = Self.place(count: name.count, first: first)
        guard names &>> UInt64(place) & 1 != 0 else { return }
        for index in Int(firstLines[place])..<max(Int(firstLines[place]), lines.count) where isName(name, ofLine: index) {
            if try !body(slice(lines[index].value)) { return }
        }
    }

    private func isName(_ name: [UInt8], ofLine index: Int) -> Bool {
        let range = lines[index].name
        return range.count == name.count
            && slice(range).readableBytesView.elementsEqual(name, by: { $0.lowercased == $1 })
    }

    /// The separator between the values of joined lines.
    /// - Parameter name: in lower case.
    package static func separator(of name: String) -> String {
        switch name {
        case "cookie": "; "
        case "set-cookie": "\n"
        default: ", "
        }
    }
}
