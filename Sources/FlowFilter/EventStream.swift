// The data of an event stream (text/event-stream, HTML Living Standard section 9.2.6).

import HTTPSemantics
import NIOCore

extension FieldSection {
    var isEventStream: Bool {
        guard let type = first("content-type") else { return false }
        let name: StaticString = "text/event-stream"
        return type.equalsIgnoringCase(ByteRange(0, min(name.utf8CodeUnitCount, type.readableBytes)), name)
    }
}

extension ByteBuffer {
    /// Visits the data of each event of an event stream: its lines, with a line feed between them.
    /// - Parameter visit: returns false to stop.
    func forEachEventData(_ visit: (ByteBuffer) throws -> Bool) rethrows {
        let bytes = readableBytesUInt8Span
        var data: ByteBuffer?
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x0A, bytes[end] != 0x0D { end += 1 }
            if end == start {
                if let whole = data, try !visit(whole) { return }
                data = nil
            } else if equals(ByteRange(start, min(start + 5, end)), Self.dataField) {
                let first = start + 5 < end && bytes[start + 5] == 0x20 ? start + 6 : start + 5
                data.append(line: slice(ByteRange(first, end)))
            }
            start = end + (end + 1 < bytes.count && bytes[end] == 0x0D && bytes[end + 1] == 0x0A ? 2 : 1)
        }
        // A browser drops the last event if its blank line is missing; a recording may have been cut there.
        if let data { _ = try visit(data) }
    }

    private static let dataField = ByteBuffer(string: "data:")
}

extension ByteBuffer? {
    fileprivate mutating func append(line: ByteBuffer) {
        guard var whole = self else {
            self = line
            return
        }
        // Not shared while it is written, so it is not copied for each line.
        self = nil
        whole.writeInteger(0x0A as UInt8)
        whole.writeImmutableBuffer(line)
        self = whole
    }
}
