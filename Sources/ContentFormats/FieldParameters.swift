// A value with parameters, as Content-Type and Content-Disposition have it (RFC 9110 section 5.6.6, RFC 6266 section 4.1): leniently, since
// it describes content and frames nothing.

import HTTPSemantics
import NIOCore

/// `text/plain; charset=utf-8`: a value and its parameters.
package struct FieldParameters: Sendable, Equatable {
    package struct Parameter: Sendable, Equatable {
        /// In lower case.
        package var name: String
        /// Without quotation marks and escapes.
        package var value: ByteBuffer
    }

    /// In lower case, without white space around it.
    package let value: String
    /// In the order of the field.
    package let parameters: [Parameter]

    /// - Parameter field: the value of the field.
    package init(_ field: ByteBuffer) {
        let span = field.readableBytesUInt8Span
        /// The offset of the next semicolon, or of another mark before it.
        func end(of start: Int, or mark: UInt8 = 0x3B) -> Int {
            var i = start
            while i < span.count, span[i] != 0x3B, span[i] != mark { i += 1 }
            return i
        }
        var place = end(of: 0)
        value = String(buffer: field.slice(ByteRange(0, place)).trimmed()).lowercased()
        var parameters: [Parameter] = []
        while place < span.count {
            let equals = end(of: place + 1, or: 0x3D)
            let name = String(buffer: field.slice(ByteRange(place + 1, equals)).trimmed()).lowercased()
            place = equals
            guard equals < span.count, span[equals] == 0x3D else { continue }
            var start = equals + 1
            while start < span.count, span[start].isWhitespaceOrLineEnd { start += 1 }
            var text = ByteBuffer()
            if start < span.count, span[start] == 0x22 {
                place = start + 1
                while place < span.count, span[place] != 0x22 {
                    if span[place] == 0x5C, place + 1 < span.count { place += 1 }
                    text.writeInteger(span[place])
                    place += 1
                }
                place = end(of: place)
            } else {
                place = end(of: start)
                text = field.slice(ByteRange(start, place)).trimmed()
            }
            if !name.isEmpty { parameters.append(Parameter(name: name, value: text)) }
        }
        self.parameters = parameters
    }

    /// The value of the first parameter with a name; nil without such a parameter.
    /// - Parameter name: in lower case.
    package subscript(_ name: String) -> ByteBuffer? { parameters.first { $0.name == name }?.value }
}
