// Notes of flows that were read from another program's file, where that does not have them as they were sent.

extension FlowNote {
    private static let decoded = "the file has content-encoding: "

    /// A field that was changed or left out, as it is in the file.
    package static func changed(field name: String, value: String) -> String { "the file has \(name): \(value)" }

    /// The content stands decoded in the file; its coding was taken out of the fields.
    package static func decoded(coding: String) -> String { "\(decoded)\(coding), and the content decoded" }

    /// Whether this is the note of ``decoded(coding:)``.
    package var saysThatContentWasDecoded: Bool { message.hasPrefix(Self.decoded) }
}
