// Content for people: each format of content has a view that turns it into lines. docs/how-to/content-view.md describes how to add one.

import HTTPSemantics
import NIOCore

/// A way to show content.
protocol ContentView: SendableMetatype {
    /// What `--content-view` calls it: lower case, without spaces.
    static var name: String { get }
    /// One line for `--list-views`: which content it shows, and how.
    static var help: String { get }

    /// Whether the view shows such content when no view is named: nil if it does not. The check is cheap: it uses the media type and the
    /// first bytes.
    static func fit(_ content: ViewedContent) -> ContentFit?

    /// Reads as much of the content as it takes to know whether it can be shown. The content is what ``fit(_:)`` accepted, or any content
    /// at all when the view is named.
    /// - Throws: why it cannot; another view shows the content then.
    init(_ content: ViewedContent) throws(ContentMismatch)

    /// A line above the content, without its indentation, where the lines below do not tell what they show; nil without one.
    var title: String? { get }

    /// Writes the content, line by line. Content that turns out to be damaged is shown up to there, with a remark and a dump of the rest.
    func write(into lines: inout CountedLines)
}

extension ContentView {
    var title: String? { nil }

    /// Writes the title and the content.
    func show(in lines: inout CountedLines) {
        if let title {
            let palette = lines.palette
            lines.line(0) { out in palette.write(.muted, into: &out) { $0.writeVisible(title) } }
        }
        write(into: &lines)
    }
}

/// Why a view is chosen for content.
enum ContentFit {
    /// The media type names the format. If the content is not in it, that is reported.
    case type
    /// It looks like the format. If it is not, the next view shows it, and nothing is reported.
    case looks
}

/// Why a view cannot show content.
struct ContentMismatch: Error, Equatable {
    /// Part of a sentence, such as `byte 17: a string does not end`.
    let reason: String

    init(_ reason: String) { self.reason = reason }

    static let notText = ContentMismatch("the content is not text")
}

/// All views. The first one that fits the content shows it: views of one format stand before ``JSONView`` and ``TextView``, views of binary
/// formats before ``BinaryView``. ``TextView`` and ``BinaryView`` show everything when they are named, and one of them fits any content.
let contentViews: [any ContentView.Type] = [
    ProtobufView.self,
    GRPCView.self,
    ImageView.self,
    ZIPView.self,
    GzipView.self,
    MultipartView.self,
    EventStreamView.self,
    MessagePackView.self,
    CBORView.self,
    GraphQLView.self,
    NDJSONView.self,
    JSONView.self,
    FormView.self,
    HTMLView.self,
    XMLView.self,
    StyleView.self,
    ScriptView.self,
    JSONWebTokenView.self,
    BinaryView.self,
    TextView.self,
]

/// The choice of a view: the value of `--content-view`.
package struct ContentViewChoice: Sendable, Equatable, CustomStringConvertible {
    /// By media type and looks.
    package static let automatic = ContentViewChoice()

    /// nil: by media type and looks.
    let view: (any ContentView.Type)?

    private init() { view = nil }

    /// - Returns: nil if there is no view of that name.
    package init?(_ name: String) {
        view = contentViews.first { $0.name == name }
        if view == nil, name != Self.automaticName { return nil }
    }

    private static let automaticName = "auto"

    package static var names: [String] { [automaticName] + contentViews.map { $0.name }.sorted() }

    package var description: String { view?.name ?? Self.automaticName }

    package static func == (a: ContentViewChoice, b: ContentViewChoice) -> Bool { a.description == b.description }
}

/// The list of views, a line each, for `--list-views` and the documentation.
package func contentViewHelp() -> String {
    let rows =
        [(ContentViewChoice.automatic.description, "by media type and first bytes: the default")]
        + contentViews.map { ($0.name, $0.help) }.sorted { $0.0 < $1.0 }
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 + "\n" }.joined()
}
