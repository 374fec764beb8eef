// JSON that a view writes, in closures, so that each bracket is closed.

import FlowPrinter
import FlowView
import NIOCore

/// A JSON text under construction.
struct JSONText {
    var writer = JSONWriter()

    var bytes: ByteBuffer {
        var bytes = ByteBuffer()
        writer.write(into: &bytes)
        return bytes
    }

    mutating func object(_ body: (inout JSONText) throws -> Void) rethrows {
        writer.beginObject()
        try body(&self)
        writer.endObject()
    }

    mutating func array<Elements: Sequence>(
        _ elements: Elements, _ body: (inout JSONText, Elements.Element) throws -> Void
    ) rethrows {
        writer.beginArray()
        for element in elements { try body(&self, element) }
        writer.endArray()
    }

    mutating func key(_ name: StaticString) { writer.key(name) }
    mutating func string(_ text: String) { writer.string(text) }
    /// Text that a page shows: without control characters and characters that turn the direction of text.
    mutating func visible(_ bytes: ByteBuffer, keepsLines: Bool = false) {
        var text = ByteBuffer()
        text.writeVisible(bytes, keepsLines: keepsLines)
        writer.string(text)
    }
    mutating func number(_ value: some BinaryInteger) { writer.number(value) }
    mutating func null() { writer.raw("null") }

    mutating func member(_ name: StaticString, _ text: String) {
        writer.key(name)
        writer.string(text)
    }

    mutating func member(_ name: StaticString, _ value: Int) {
        writer.key(name)
        writer.number(value)
    }

    mutating func member(_ name: StaticString, _ value: Bool) {
        writer.key(name)
        writer.bool(value)
    }

    mutating func member(_ name: StaticString, visible bytes: ByteBuffer, keepsLines: Bool = false) {
        writer.key(name)
        visible(bytes, keepsLines: keepsLines)
    }

    /// JSON that was written elsewhere.
    mutating func member(_ name: StaticString, json: ByteBuffer) {
        writer.key(name)
        writer.raw(String(buffer: json))
    }

    mutating func counts(_ status: ListStatus) {
        member("matched", status.matched)
        member("scanned", status.scanned)
        member("total", status.total)
        member("done", status.isDone)
        member("revision", status.revision)
        if let failure = status.failure { member("failure", failure) }
    }
}
