// A JUnit report: a test case for each flow. The counts stand at its beginning, so the cases wait in a temporary file without a name.

import FlowModel
import FlowReplay
import Glibc
import NIOCore
import ToolSupport

struct JUnitReport: ~Copyable {
    private let descriptor: Int32
    private var cases = OutputSink()
    private var count = 0
    private var failures = 0
    private var errors = 0
    private var skipped = 0

    /// - Throws: ``ToolError``.
    init() throws {
        let directory = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var name = Array("\(directory)/mitm-replay-XXXXXX".utf8CString)
        descriptor = unsafe mkstemp(&name)
        guard descriptor >= 0 else {
            throw ToolError(unsafe "cannot make a temporary file in \(directory): \(String(cString: strerror(errno)).lowercased())")
        }
        unsafe unlink(name)
        cases = OutputSink(descriptor: descriptor, name: "a temporary file in \(directory)")
    }

    deinit { close(descriptor) }

    /// - Throws: if it cannot be written.
    mutating func add(_ flow: FlowReport) throws {
        count += 1
        try cases.write { out in
            let seconds = flow.duration.map { " time=\"\(Self.seconds($0))\"" } ?? ""
            out.writeString(
                "    <testcase classname=\"\(xml(flow.host))\" name=\"\(xml(flow.request))\"\(seconds)")
            switch flow.result {
            case .sent, .same: out.writeString("/>\n")
            case .different:
                failures += 1
                let number = flow.differences?.count ?? 0
                let message = number == 1 ? "1 difference" : "\(number) differences"
                let lines = (flow.differences?.lines ?? []).joined(separator: "\n")
                out.writeString(">\n      <failure message=\"\(message)\">\(xml(lines))</failure>\n    </testcase>\n")
            case .failed, .notCompared:
                errors += 1
                out.writeString(">\n      <error message=\"\(xml(flow.reason ?? ""))\"/>\n    </testcase>\n")
            case .leftOut:
                skipped += 1
                out.writeString(">\n      <skipped message=\"\(xml(flow.reason ?? ""))\"/>\n    </testcase>\n")
            }
        }
    }

    /// Writes the whole report.
    /// - Throws: if it cannot be written.
    mutating func finish(_ summary: ReplaySummary, into sink: inout OutputSink) throws {
        try cases.flush()
        let counts =
            "tests=\"\(count)\" failures=\"\(failures)\" errors=\"\(errors)\" skipped=\"\(skipped)\" time=\"\(Self.seconds(summary.elapsed))\""
        // ISO 8601 to the second, without a time zone, as the format asks for.
        let started = rfc3339(summary.started).prefix(19)
        try sink.write {
            $0.writeString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites \(counts)>\n")
            $0.writeString("  <testsuite name=\"mitm-replay\" timestamp=\"\(started)\" \(counts)>\n")
        }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw failure() }
        var isAtEnd = false
        while !isAtEnd {
            var bytes = ByteBuffer()
            var hasFailed = false
            let count = unsafe bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: 1 << 16) { target in
                let count = unsafe read(descriptor, target.baseAddress, target.count)
                hasFailed = count < 0
                return max(0, count)
            }
            guard !hasFailed else { throw failure() }
            isAtEnd = count == 0
            try sink.write { $0.writeImmutableBuffer(bytes) }
        }
        try sink.write { $0.writeString("  </testsuite>\n</testsuites>\n") }
    }

    private func failure() -> ToolError {
        ToolError(unsafe "cannot read the temporary file of the report: \(String(cString: strerror(errno)).lowercased())")
    }

    private static func seconds(_ nanoseconds: Int64) -> String {
        let milliseconds = String(nanoseconds / 1_000_000 % 1000)
        return "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 3 - milliseconds.count) + milliseconds
    }
}

/// Text for an attribute or an element of XML 1.0, which has no way to write most control characters (section 2.2).
private func xml(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x26: out += "&amp;"
        case 0x3C: out += "&lt;"
        case 0x3E: out += "&gt;"
        case 0x22: out += "&quot;"
        case 0x0A: out += "&#10;"
        case 0x09, 0x20...0x7E, 0xA0...0xFFFD, 0x10000...0x10FFFF: out.unicodeScalars.append(scalar)
        default: out += "\u{FFFD}"
        }
    }
    return out
}
