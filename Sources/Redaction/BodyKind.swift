// How a body is read to redact it: by its media type and by its first bytes.

import ContentFormats
import HTTPSemantics
import NIOCore

/// What a body declares to be.
struct BodyType {
    /// The media type in lower case; empty if it is not declared.
    let name: String
    let isJSON: Bool
    /// Of multipart content.
    let boundary: ByteBuffer?
    let isWideText: Bool

    init(_ fields: FieldSection) {
        guard let field = fields.first("content-type") else {
            (name, isJSON, boundary, isWideText) = ("", false, nil, false)
            return
        }
        let parsed = FieldParameters(field)
        name = parsed.value
        isJSON = name.includes("json")
        boundary = name.hasPrefix("multipart/") ? parsed["boundary"] : nil
        isWideText =
            if let charset = parsed["charset"].map({ String(buffer: $0).lowercased() }) {
                charset.hasPrefix("utf-16") || charset.hasPrefix("utf-32") || charset.hasPrefix("ucs")
            } else {
                false
            }
    }

    var isForm: Bool { name == "application/x-www-form-urlencoded" }
    /// Parts that can have names or be JSON. Ranges and images that follow one another have neither, and the latter have no end.
    var isMultipart: Bool {
        name.hasPrefix("multipart/") && name != "multipart/byteranges" && name != "multipart/x-mixed-replace"
    }
    /// Content without a type that describes it may be a form.
    var mayBeForm: Bool { isForm || name.isEmpty || name == "text/plain" || name == "application/octet-stream" || isJSON }

    /// Content of this type is not JSON, even if it begins like it.
    var isOther: Bool {
        let kinds = ["image/", "audio/", "video/", "font/"]
        let words: [StaticString] = [
            "javascript", "ecmascript", "css", "html", "xml", "event-stream", "wasm", "protobuf", "grpc", "pdf", "zip",
        ]
        return kinds.contains { name.hasPrefix($0) } || words.contains { name.includes($0) }
    }
}

extension String {
    /// Whether ASCII text is in it. Foundation's `contains` compares by the rules of a language, which takes many times as long.
    func includes(_ part: StaticString) -> Bool {
        var text = self
        // SAFETY: indexes are below the counts of both.
        return text.withUTF8 { bytes in
            part.withUTF8Buffer { part in
                var start = 0
                while start + part.count <= bytes.count {
                    var length = 0
                    while length < part.count, unsafe bytes[start + length] == part[length] { length += 1 }
                    if length == part.count { return true }
                    start += 1
                }
                return false
            }
        }
    }
}

extension ByteBuffer {
    /// JSON text that begins with a bracket, after white space and a byte order mark. Texts of other kinds seldom do.
    /// - Returns: nil if there is nothing yet but those.
    var beginsLikeJSON: Bool? {
        let span = readableBytesUInt8Span
        for index in span.indices {
            switch span[index] {
            case 0x20, 0x09, 0x0A, 0x0D, 0x1E, 0xEF, 0xBB, 0xBF: continue
            case 0x7B, 0x5B: return true
            default: return false
            }
        }
        return nil
    }

    /// Text that begins with `name=`.
    /// - Returns: nil if it is too short to tell.
    var beginsLikeForm: Bool? {
        let span = readableBytesUInt8Span
        for index in 0..<min(span.count, 128) {
            switch span[index] {
            case 0x3D: return index > 0
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x25, 0x2B, 0x2D, 0x2E, 0x5B, 0x5D, 0x5F, 0x7E, 0x24, 0x26: continue
            default: return false
            }
        }
        return span.count >= 128 ? false : nil
    }

    /// Text of two or four bytes a character, by its byte order mark.
    var beginsLikeWideText: Bool {
        readableBytes >= 2 && (byte(at: 0) == 0xFF && byte(at: 1) == 0xFE || byte(at: 0) == 0xFE && byte(at: 1) == 0xFF)
    }

    /// The JSON text after a prefix that keeps it from being a script: its offset.
    var jsonStart: Int {
        let prefixes: [StaticString] = [")]}'", "for(;;);", "while(1);", "for (;;);", "while (1);", "{}&&"]
        // Most texts end here.
        guard let first = byte(at: 0), first != 0x7B || byte(at: 1) == 0x7D, first != 0x5B else { return 0 }
        for prefix in prefixes where equals(ByteRange(0, prefix.utf8CodeUnitCount), prefix) {
            var start = prefix.utf8CodeUnitCount
            // `)]}',` and a line end.
            while let byte = byte(at: start), byte == 0x2C || byte.isWhitespaceOrLineEnd { start += 1 }
            return start
        }
        return 0
    }
}
