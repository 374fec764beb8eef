// The content of a form for which a HAR file has only the parameters (`postData.params`), in the encoding of its media type.

import HTTPSemantics
import JSONQuery
import NIOCore

/// The parameters of a form.
struct HARForm {
    private struct Parameter {
        var name: ByteBuffer
        /// nil: the value is a file, which is not stored.
        var value: ByteBuffer?
        var fileName: ByteBuffer?
        var contentType: ByteBuffer?
    }

    private let parameters: [Parameter]
    private let type: ByteBuffer

    init(_ parameters: [JSONTree], type: ByteBuffer) {
        self.type = type
        self.parameters = parameters.map { parameter in
            let fileName = parameter.bytes("fileName", exact: "_fileNameBase64")
            let value = parameter["value"].flatMap { $0 == .null ? nil : $0.string?.unescapedBytes ?? ByteBuffer(string: $0.text) }
            return Parameter(
                name: parameter.bytes("name", exact: "_nameBase64") ?? ByteBuffer(),
                value: value ?? (fileName == nil ? ByteBuffer() : nil),
                fileName: fileName, contentType: parameter.bytes("contentType", exact: "_contentTypeBase64"))
        }
    }

    /// - Parameter length: of the content as it was sent, if known.
    /// - Returns: nil if the content cannot be determined.
    func content(length: UInt64?) -> ByteBuffer? {
        let name = String(buffer: type).prefix { $0 != ";" }.lowercased()
        if name.hasPrefix("multipart/") { return multipart() }
        guard parameters.allSatisfy({ $0.value != nil }) else { return nil }
        // Some programs keep parameters as they were sent, others decode them; the length tells which.
        let (plain, encoded) = (joined { $0 }, joined(Self.encoded))
        if let length {
            if UInt64(plain.readableBytes) == length { return plain }
            if UInt64(encoded.readableBytes) == length { return encoded }
        }
        let isEncoded = parameters.allSatisfy { Self.isEncoded($0.name) && Self.isEncoded($0.value ?? ByteBuffer()) }
        return isEncoded ? plain : encoded
    }

    private func joined(_ form: (ByteBuffer) -> ByteBuffer) -> ByteBuffer {
        var out = ByteBuffer()
        for (index, parameter) in parameters.enumerated() {
            if index > 0 { out.writeStaticString("&") }
            out.writeImmutableBuffer(form(parameter.name))
            out.writeStaticString("=")
            out.writeImmutableBuffer(form(parameter.value ?? ByteBuffer()))
        }
        return out
    }

    /// application/x-www-form-urlencoded of the WHATWG URL standard.
    private static func encoded(_ text: ByteBuffer) -> ByteBuffer {
        let digits = Array("0123456789ABCDEF".utf8)
        var out = ByteBuffer()
        for byte in text.readableBytesView {
            if byte == 0x20 {
                out.writeStaticString("+")
            } else if isPlain(byte) {
                out.writeInteger(byte)
            } else {
                out.writeBytes([0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        return out
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || [0x2A, 0x2D, 0x2E, 0x5F].contains(byte)
    }

    /// Whether the text may be encoded already: it has only plain characters, `+`, and percent signs with two digits.
    private static func isEncoded(_ text: ByteBuffer) -> Bool {
        let bytes = Array(text.readableBytesView)
        func isDigit(_ index: Int) -> Bool { index < bytes.count && Character(Unicode.Scalar(bytes[index])).isHexDigit }
        return bytes.indices.allSatisfy { index in
            let byte = bytes[index]
            return isPlain(byte) || byte == 0x2B || byte == 0x25 && isDigit(index + 1) && isDigit(index + 2)
        }
    }

    /// RFC 7578. nil if the media type has no boundary, or a file is not stored.
    private func multipart() -> ByteBuffer? {
        guard let boundary = mediaTypeParameter("boundary", of: type), !boundary.isEmpty else { return nil }
        var out = ByteBuffer()
        for parameter in parameters {
            guard let value = parameter.value else { return nil }
            out.writeString("--\(boundary)\r\nContent-Disposition: form-data; name=\"")
            out.writeImmutableBuffer(parameter.name.quotedInForm)
            if let fileName = parameter.fileName {
                out.writeStaticString("\"; filename=\"")
                out.writeImmutableBuffer(fileName.quotedInForm)
            }
            out.writeStaticString("\"\r\n")
            if let contentType = parameter.contentType, contentType.readableBytes > 0 {
                out.writeStaticString("Content-Type: ")
                out.writeImmutableBuffer(contentType)
                out.writeStaticString("\r\n")
            }
            out.writeStaticString("\r\n")
            out.writeImmutableBuffer(value)
            out.writeStaticString("\r\n")
        }
        out.writeString("--\(boundary)--\r\n")
        return out
    }
}

extension ByteBuffer {
    /// A name in the head of a part, as browsers write it: three characters are percent-encoded.
    fileprivate var quotedInForm: ByteBuffer {
        var out = ByteBuffer()
        for byte in readableBytesView {
            switch byte {
            case 0x0A: out.writeStaticString("%0A")
            case 0x0D: out.writeStaticString("%0D")
            case 0x22: out.writeStaticString("%22")
            default: out.writeInteger(byte)
            }
        }
        return out
    }
}
