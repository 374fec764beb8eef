// The field Sec-WebSocket-Extensions (RFC 6455 §9.1): a list of extensions with parameters, offered in a request and accepted in a
// response.

import HTTPSemantics
import NIOCore

/// One element of Sec-WebSocket-Extensions: an extension's name and its parameters in their order.
package struct WebSocketExtension: Sendable, Hashable {
    package struct Parameter: Sendable, Hashable {
        package var name: String
        /// nil: the parameter has no value. A quoted value is stored without its quotes and escapes.
        package var value: String?

        package init(_ name: String, _ value: String? = nil) {
            self.name = name
            self.value = value
        }
    }

    package var name: String
    package var parameters: [Parameter]

    package init(_ name: String, _ parameters: [Parameter] = []) {
        self.name = name
        self.parameters = parameters
    }

    /// All extensions of a section, over all its lines of that name, in order.
    /// - Throws: if a value does not follow the grammar (RFC 6455 §9.1).
    package static func all(in fields: FieldSection) throws(WebSocketError) -> [WebSocketExtension] {
        var extensions: [WebSocketExtension] = []
        for value in fields.all("sec-websocket-extensions") {
            for element in value.listElements() { extensions.append(try WebSocketExtension(parsing: element)) }
        }
        return extensions
    }

    /// Reads one element of the list: `token *( ";" token [ "=" ( token / quoted-string ) ] )`, white space allowed around each.
    package init(parsing element: ByteBuffer) throws(WebSocketError) {
        var scanner = Scanner(bytes: element)
        name = try scanner.token()
        parameters = []
        while scanner.take(0x3B) {
            var parameter = Parameter(try scanner.token())
            if scanner.take(0x3D) { parameter.value = try scanner.tokenOrQuoted() }
            parameters.append(parameter)
        }
        guard scanner.isAtEnd else { throw scanner.fault }
    }

    /// The value of a Sec-WebSocket-Extensions field with these extensions.
    package static func fieldValue(_ extensions: [WebSocketExtension]) -> String {
        extensions.map(\.description).joined(separator: ", ")
    }
}

extension WebSocketExtension: CustomStringConvertible {
    package var description: String {
        ([name] + parameters.map(\.description)).joined(separator: "; ")
    }
}

extension WebSocketExtension.Parameter: CustomStringConvertible {
    package var description: String { value.map { "\(name)=\($0)" } ?? name }
}

private struct Scanner {
    let bytes: ByteBuffer
    var position = 0

    var fault: WebSocketError {
        WebSocketError(.handshake, "Sec-WebSocket-Extensions holds \"\(String(buffer: bytes))\", which is no extension")
    }

    private var next: UInt8? { bytes.getInteger(at: bytes.readerIndex + position) }

    var isAtEnd: Bool {
        mutating get {
            skipWhitespace()
            return next == nil
        }
    }

    private mutating func skipWhitespace() {
        while let byte = next, byte == 0x20 || byte == 0x09 { position += 1 }
    }

    /// Consumes this byte and the white space before it, if it is the next one.
    mutating func take(_ byte: UInt8) -> Bool {
        skipWhitespace()
        guard next == byte else { return false }
        position += 1
        return true
    }

    mutating func token() throws(WebSocketError) -> String {
        skipWhitespace()
        let start = position
        while let byte = next, byte.isTokenCharacter { position += 1 }
        guard position > start else { throw fault }
        return String(buffer: bytes.slice(ByteRange(start, position)))
    }

    /// RFC 6455 §9.1: without its quotes and escapes, a quoted value must be a token.
    mutating func tokenOrQuoted() throws(WebSocketError) -> String {
        guard take(0x22) else { return try token() }
        var value: [UInt8] = []
        while let byte = next, byte != 0x22 {
            position += 1
            guard byte == 0x5C else {
                value.append(byte)
                continue
            }
            guard let escaped = next else { throw fault }
            value.append(escaped)
            position += 1
        }
        guard take(0x22), !value.isEmpty, value.allSatisfy(\.isTokenCharacter) else { throw fault }
        return String(decoding: value, as: UTF8.self)
    }
}
