// The summary of a block's flows in its header, taken from their records.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

extension BlockHeader {
    /// Adds a flow's record to the summary.
    // SAFETY: the record begins with a whole prefix, and the lengths in it are those of its texts.
    mutating func note(flow record: UnsafeRawBufferPointer) {
        func number<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type = T.self) -> T {
            unsafe T(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
        let flags = number(FlowPrefix.flags, UInt8.self)
        let whole = FlowPrefix.isFirst | FlowPrefix.isLast
        records += 1
        if flags & whole == whole {
            flows += 1
            unsafe bounds.note(flow: record)
        } else {
            self.flags |= Self.holdsPartsFlag
        }
        earliest = min(earliest, number(FlowPrefix.started))
        latest = max(latest, number(FlowPrefix.ended))
        kinds |= 1 &<< UInt32(number(FlowPrefix.kind, UInt8.self) & 31)
        statuses |= 1 &<< UInt64(number(FlowPrefix.status, UInt16.self) & 63)
        if flags & FlowPrefix.hasRequest != 0 { methods |= 1 &<< UInt32(number(FlowPrefix.method, UInt8.self) & 31) }
        guard flags & FlowPrefix.isFirst != 0 else { return }
        func length(_ which: FlowPrefix.Text) -> Int { Int(number(FlowPrefix.textLengths + 4 * which.rawValue, UInt32.self)) }
        func text(_ from: Int, _ length: Int) -> UnsafeRawBufferPointer {
            unsafe UnsafeRawBufferPointer(rebasing: record[from..<from + length])
        }
        let hostAt = Int(number(FlowPrefix.textAt, UInt16.self)) + length(.scheme)
        let authorityAt = hostAt + length(.host) + length(.method)
        let targetAt = authorityAt + length(.authority)
        unsafe note(
            host: text(hostAt, length(.host)), authority: text(authorityAt, length(.authority)),
            target: text(targetAt, length(.target)))
    }

    /// Notes the target's host, and those that the client named: in its Host field or `:authority`, and in a target of absolute form.
    private mutating func note(
        host: UnsafeRawBufferPointer, authority: UnsafeRawBufferPointer, target: UnsafeRawBufferPointer
    ) {
        unsafe hostList.note(host)
        if unsafe !authority.isEmpty { unsafe hostList.note(Self.host(of: authority)) }
        if let named = unsafe Self.authority(of: target) { unsafe hostList.note(Self.host(of: named)) }
    }

    /// The host of `host[:port]`, as ByteBuffer.hostWithoutPort returns it.
    private static func host(of authority: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let isLiteral = unsafe authority.first == 0x5B
        let end = unsafe authority.firstIndex(of: isLiteral ? 0x5D : 0x3A) ?? authority.endIndex
        let begin = isLiteral && end < authority.endIndex ? 1 : 0
        return unsafe UnsafeRawBufferPointer(rebasing: authority[begin..<end])
    }

    /// The authority of a target in absolute form (RFC 9112 section 3.2.2) without the part before an `@`; nil for other forms.
    private static func authority(of target: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let first = unsafe target.first, first != 0x2F, let colon = unsafe target.firstIndex(of: 0x3A),
            unsafe target[colon...].starts(with: "://".utf8)
        else { return nil }
        let rest = unsafe target[(colon + 3)...]
        let end = unsafe rest.firstIndex { $0 == 0x2F || $0 == 0x3F || $0 == 0x23 } ?? rest.endIndex
        let begin = unsafe rest[..<end].lastIndex(of: 0x40).map { $0 + 1 } ?? rest.startIndex
        return unsafe UnsafeRawBufferPointer(rebasing: rest[begin..<end])
    }
}
