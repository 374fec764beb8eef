// The names in a certificate (RFC 5280): subject, issuer and alternative names. A recording's certificates are whatever a peer sent, so nothing
// is trusted: what is not valid DER ends the reading, and the result is bounded.

import NIOCore

/// The names in a certificate, a line each: `subject: C=US, O=Example, CN=example.org`, `issuer: …`, and for each alternative name
/// `name: www.example.org`. Attributes are in the order of the certificate. Control characters are U+FFFD.
/// - Parameter der: one certificate (RFC 5280 §4.1).
/// - Returns: nil when the bytes are not a certificate.
package func certificateNames(_ der: ByteBuffer) -> ByteBuffer? {
    var outer = der
    guard var certificate = outer.readDER(DERTag.sequence), var fields = certificate.readDER(DERTag.sequence) else { return nil }
    // version [0], serialNumber, signature
    var first = fields.readDER()
    if first?.tag == DERTag.explicit(0) { first = fields.readDER() }
    guard first != nil, fields.readDER(DERTag.sequence) != nil, let issuer = fields.readDER(DERTag.sequence),
        fields.readDER(DERTag.sequence) != nil, let subject = fields.readDER(DERTag.sequence)
    else { return nil }
    var lines = ByteBuffer()
    lines.writeString("subject: \(distinguishedName(subject))\nissuer: \(distinguishedName(issuer))\n")
    for name in alternativeNames(inFieldsAfterSubject: fields) {
        guard lines.readableBytes < maximumNames else { break }
        lines.writeString("name: \(name)\n")
    }
    return lines
}

/// Bytes after which no more names are listed.
private let maximumNames = 64 * 1024

private enum DERTag {
    static let octets: UInt8 = 0x04
    static let identifier: UInt8 = 0x06
    static let utf8: UInt8 = 0x0C
    static let printable: UInt8 = 0x13
    static let teletex: UInt8 = 0x14
    static let ia5: UInt8 = 0x16
    static let universal: UInt8 = 0x1C
    static let bmp: UInt8 = 0x1E
    static let sequence: UInt8 = 0x30
    static let set: UInt8 = 0x31
    static func implicit(_ number: UInt8) -> UInt8 { 0x80 | number }
    static func explicit(_ number: UInt8) -> UInt8 { 0xA0 | number }
}

/// `C=US, O=Example, CN=example.org`. Several attributes of one element are joined by `+`, as in RFC 4514.
private func distinguishedName(_ name: ByteBuffer) -> String {
    var rest = name
    var elements: [String] = []
    while var element = rest.readDER(DERTag.set) {
        var attributes: [String] = []
        while var attribute = element.readDER(DERTag.sequence) {
            guard let type = attribute.readDER(DERTag.identifier), let value = attribute.readDER() else { break }
            attributes.append("\(attributeName(type))=\(text(value.tag, value.content))")
        }
        elements.append(attributes.joined(separator: "+"))
    }
    return elements.joined(separator: ", ")
}

/// DNS names, addresses, mail addresses and URIs of the extension subjectAltName (RFC 5280 §4.2.1.6).
private func alternativeNames(inFieldsAfterSubject fields: ByteBuffer) -> [String] {
    var fields = fields
    var names: [String] = []
    while let field = fields.readDER() {
        var explicit = field.content
        guard field.tag == DERTag.explicit(3), var extensions = explicit.readDER(DERTag.sequence) else { continue }
        while var one = extensions.readDER(DERTag.sequence) {
            guard one.readDER(DERTag.identifier).map({ Array($0.readableBytesView) }) == [0x55, 0x1D, 0x11] else { continue }
            // BOOLEAN critical is optional.
            var value = one.readDER()
            if value?.tag != DERTag.octets { value = one.readDER() }
            guard var octets = value?.content, var list = octets.readDER(DERTag.sequence) else { continue }
            while let name = list.readDER() {
                if let text = generalName(name.tag, name.content) { names.append(text) }
            }
        }
    }
    return names
}

/// - Returns: nil for kinds that are not shown.
private func generalName(_ tag: UInt8, _ content: ByteBuffer) -> String? {
    switch tag {
    case DERTag.implicit(1), DERTag.implicit(2), DERTag.implicit(6): return text(DERTag.ia5, content)
    case DERTag.implicit(7): return try? SocketAddress(packedIPAddress: content, port: 0).ipAddress
    default: return nil
    }
}

/// The short name of an attribute's type (RFC 4519, as OpenSSL writes them); digits and dots for a type without one.
private func attributeName(_ type: ByteBuffer) -> String {
    switch Array(type.readableBytesView) {
    case [0x55, 4, 3]: "CN"
    case [0x55, 4, 4]: "SN"
    case [0x55, 4, 5]: "serialNumber"
    case [0x55, 4, 6]: "C"
    case [0x55, 4, 7]: "L"
    case [0x55, 4, 8]: "ST"
    case [0x55, 4, 9]: "street"
    case [0x55, 4, 10]: "O"
    case [0x55, 4, 11]: "OU"
    case [0x55, 4, 12]: "title"
    case [0x55, 4, 42]: "GN"
    case [0x55, 4, 97]: "organizationIdentifier"
    case [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 1]: "emailAddress"
    case [0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 1]: "UID"
    case [0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25]: "DC"
    default: dotted(type)
    }
}

/// X.690 §8.19: groups of seven bits; the first number combines two.
private func dotted(_ type: ByteBuffer) -> String {
    var numbers: [UInt64] = []
    var number: UInt64 = 0
    for byte in type.readableBytesView {
        number = number &<< 7 | UInt64(byte & 0x7F)
        guard byte < 0x80 else { continue }
        if numbers.isEmpty {
            let first = min(number / 40, 2)
            numbers = [first, number - 40 * first]
        } else {
            numbers.append(number)
        }
        number = 0
    }
    return numbers.map(String.init).joined(separator: ".")
}

/// The text of a string type; hexadecimal digits for a type that has no text.
private func text(_ tag: UInt8, _ content: ByteBuffer) -> String {
    let bytes = content.readableBytesView
    let scalars: [Unicode.Scalar]
    switch tag {
    case DERTag.utf8, DERTag.printable, DERTag.ia5: scalars = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
    case DERTag.teletex: scalars = bytes.map { Unicode.Scalar($0) }
    case DERTag.bmp: scalars = Array(String(decoding: units(content, UInt16.self), as: UTF16.self).unicodeScalars)
    case DERTag.universal: scalars = units(content, UInt32.self).map { Unicode.Scalar($0) ?? "\u{FFFD}" }
    default: return "#" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars.lazy.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 })
    return String(text)
}

private func units<Unit: FixedWidthInteger>(_ content: ByteBuffer, _ type: Unit.Type) -> [Unit] {
    var content = content
    var units: [Unit] = []
    while let unit: Unit = content.readInteger() { units.append(unit) }
    return units
}

extension ByteBuffer {
    /// Takes the next element (X.690 §8.1).
    /// - Returns: nil at the end, and when the bytes are not an element of definite length.
    fileprivate mutating func readDER() -> (tag: UInt8, content: ByteBuffer)? {
        guard let tag: UInt8 = readInteger(), tag & 0x1F != 0x1F, let short: UInt8 = readInteger() else { return nil }
        var length = Int(short)
        if short >= 0x80 {
            guard (0x81...0x84).contains(short), let long = readBytes(length: Int(short & 0x7F)) else { return nil }
            length = long.reduce(0) { $0 &<< 8 | Int($1) }
        }
        return readSlice(length: length).map { (tag, $0) }
    }

    /// The content of the next element if it has this tag; otherwise nil.
    fileprivate mutating func readDER(_ tag: UInt8) -> ByteBuffer? {
        guard let element = readDER(), element.tag == tag else { return nil }
        return element.content
    }
}
