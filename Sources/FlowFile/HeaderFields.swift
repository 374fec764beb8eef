// Header and trailer fields.

internal import HTTPSemantics
internal import NIOCore

/// The fields of a header or trailer section, in the order and spelling in which they were received. Several fields may have one name.
public struct HeaderFields: Sendable, Equatable {
    let section: FieldSection

    init(_ section: FieldSection) { self.section = section }

    /// Fields in this order.
    /// - Precondition: names are not empty; there are no line ends, and no colons in names.
    public init(_ pairs: [(name: String, value: String)]) {
        for (name, value) in pairs {
            precondition(!name.isEmpty && !name.utf8.contains { $0 <= 0x20 || $0 == 0x3A }, "\(name) is not the name of a field")
            precondition(!value.utf8.contains { $0 == 0x0D || $0 == 0x0A }, "the value of \(name) has a line end")
        }
        section = FieldSection(pairs)
    }

    /// All fields. Bytes of a field that are not UTF-8 are written as `\xe9`, so different fields stay different;
    /// ``Message/head`` has the bytes themselves.
    public var pairs: [(name: String, value: String)] { section.pairs }

    /// The number of fields.
    public var count: Int { section.lines.count }

    /// The value of the first field with a name, without white space around it; nil if there is none.
    /// - Parameter name: in any case (RFC 9110 section 5.1).
    public func first(_ name: String) -> String? {
        pairs.first { Self.isSame($0.name, name) }?.value
    }

    /// The values of all fields with a name, in order.
    /// - Parameter name: in any case.
    public func all(_ name: String) -> [String] {
        pairs.filter { Self.isSame($0.name, name) }.map(\.value)
    }

    private static func isSame(_ a: String, _ b: String) -> Bool {
        a.utf8.elementsEqual(b.utf8) { lowercased($0) == lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// A head of HTTP/1.
    func head(startLine: String) -> ByteBuffer {
        var wire = ByteBuffer(string: startLine + "\r\n")
        wire.writeImmutableBuffer(section.wire)
        wire.writeStaticString("\r\n")
        return wire
    }
}

extension HeaderFields: ExpressibleByDictionaryLiteral {
    /// `["Host": "a.example"]`; a name may stand several times.
    public init(dictionaryLiteral elements: (String, String)...) { self.init(elements.map { (name: $0, value: $1) }) }
}

extension HeaderFields: ExpressibleByArrayLiteral {
    /// `[]`, or pairs.
    public init(arrayLiteral elements: (name: String, value: String)...) { self.init(elements) }
}
