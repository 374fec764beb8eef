// Notes on flows from another program's file that differ from what was sent.

extension FlowNote {
    private static let decoded = "the file has content-encoding: "

    /// A field of the file that was changed or left out.
    package static func changed(field name: String, value: String) -> String { "the file has \(name): \(value)" }

    /// The file has the content decoded; the coding was removed from the fields.
    package static func decoded(coding: String) -> String { "\(decoded)\(coding), and the content decoded" }

    /// Whether this is the note of ``decoded(coding:)``.
    package var saysThatContentWasDecoded: Bool { message.hasPrefix(Self.decoded) }
}
