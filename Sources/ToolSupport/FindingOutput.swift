// The secrets of flows on their way to the output: JSON Lines, described in docs/secrets.md.

import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
import NIOCore

/// Writes a line with a JSON object for each secret. No line has a byte of a secret.
package final class FindingOutput {
    private let file: OutputFile
    private let secrets: FlowSecrets
    /// Secrets so far.
    package private(set) var count = 0

    package init(_ file: OutputFile, _ secrets: FlowSecrets) { (self.file, self.secrets) = (file, secrets) }

    /// Opens the output, when an input was opened.
    package func begin() throws { try file.open() }

    /// Writes the secrets of a flow. Content that is damaged, which its source reports, has none.
    /// - Throws: ``ReaderGone``; errors of writing; an expression that takes too many steps.
    package func take(_ flow: Flow) throws {
        do {
            try secrets.forEach(of: flow) { secret in
                count += 1
                try file.write { out, _ in Self.write(secret, of: flow.id, into: &out) }
            }
        } catch let error as ArchiveError where error.kind == .damagedContent {
            // The source reports the damage.
        }
    }

    /// Writes everything that came, if a reader may wait for it.
    package func flush() throws {
        if file.isLive { try file.flush() }
    }

    package func finish() throws { try file.close() }

    private static func write(_ secret: FlowSecret, of flow: FlowID, into out: inout ByteBuffer) {
        var json = JSONWriter()
        json.beginObject()
        json.key("flow")
        json.string(flow.description)
        json.key("rule")
        json.string(secret.finding.rule)
        json.key("where")
        json.string(secret.place)
        if let field = secret.field {
            json.key("field")
            json.string(field)
        }
        json.key("offset")
        json.number(secret.range.lowerBound)
        json.key("length")
        json.number(secret.range.count)
        json.key("entropy")
        let hundredths = Int((secret.finding.entropy * 100).rounded())
        json.decimal("\(hundredths / 100).\(hundredths / 10 % 10)\(hundredths % 10)")
        json.key("preview")
        json.string(secret.finding.preview)
        json.key("fingerprint")
        let place = secret.field.map { "\(secret.place)[\($0)]" } ?? secret.place
        json.string("\(flow):\(secret.finding.rule):\(place):\(secret.range.lowerBound)")
        json.endObject()
        json.write(into: &out)
        out.writeInteger(0x0A as UInt8)
    }
}
