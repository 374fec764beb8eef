// How flows are printed as text.

import FlowModel
import NIOCore
import Protobuf
import Synchronization

/// Choices of the user, and facts of the terminal.
package struct TextStyle: Sendable {
    /// The time before each line.
    package enum Time: String, CaseIterable, Sendable {
        /// The local time of day, with milliseconds.
        case clock
        /// Seconds since the first flow that was printed.
        case elapsed
        /// The local date and time, with the difference to UTC.
        case full
        case none
    }

    /// 0 nothing, 1 a line, 2 heads, 3 content up to 512 lines, 4 everything.
    package var detail: Int
    package var palette: Palette
    package var time = Time.none
    /// How content is shown.
    package var contentView = ContentViewChoice.automatic
    /// The types of protobuf messages.
    package var schema = ProtobufSchema.builtIn
    /// The columns of the terminal, to which the lines of flows are cut; nil: they are not cut.
    package var columns: @Sendable () -> Int? = { nil }
    /// The current time, for flows that are still being recorded; nil if it is not known.
    package var now: @Sendable () -> Timestamp? = { nil }
    private let origin = Origin()

    package init(detail: Int, isColoured: Bool) {
        self.detail = detail
        palette = Palette(isColoured: isColoured)
    }

    /// Appends a time and a space, unless none is wanted.
    func write(_ time: Timestamp, into out: inout ByteBuffer) {
        switch self.time {
        case .none: return
        case .clock: palette.write(.muted, into: &out) { LocalTime.shared.write(clock: time, into: &$0) }
        case .full: palette.write(.muted, into: &out) { LocalTime.shared.write(full: time, into: &$0) }
        case .elapsed:
            let milliseconds = origin.elapsed(at: time) / 1_000_000
            let text = decimal(Double(milliseconds) / 1000, places: 3)
            palette.write(.muted, into: &out) { out in
                out.writeRepeatingByte(0x20, count: max(0, 9 - text.utf8.count))
                out.writeString(text)
            }
        }
        out.writeInteger(UInt8(ascii: " "))
    }
}

/// The first time that was printed.
private final class Origin: Sendable {
    private let first = Mutex<Timestamp?>(nil)

    /// Nanoseconds since the first time.
    func elapsed(at time: Timestamp) -> Int64 {
        first.withLock { first in
            if first == nil { first = time }
            return time - (first ?? time)
        }
    }
}
