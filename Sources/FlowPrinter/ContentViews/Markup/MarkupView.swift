// HTML and XML with a line for each element. Only white space at the beginning and the end of lines is changed.

import HTTPSemantics
import NIOCore

/// HTML, as browsers read it: by its media type or its first tag.
struct HTMLView: ContentView {
    static let name = "html"
    static let help = "text/html: elements on lines of their own, indented; scripts and styles laid out"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        if content.media == "text/html" { return .type }
        return content.media.isEmpty && content.beginsWith(["<!doctype html", "<html"]) ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) {
        var layout = MarkupLayout(MarkupTree(content, isHTML: true))
        layout.write(into: &lines)
    }
}

/// XML by its media type or its declaration.
struct XMLView: ContentView {
    static let name = "xml"
    static let help = "text/xml, application/xml, +xml: elements on lines of their own, indented"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        if content.media.hasSuffix("/xml") || content.media.hasSuffix("+xml") { return .type }
        return content.beginsWith(["<?xml "]) ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) {
        var layout = MarkupLayout(MarkupTree(content, isHTML: false))
        layout.write(into: &lines)
    }
}

extension ViewedContent {
    /// The text begins with one of these words, after white space and a byte order mark.
    /// - Parameter words: in lower case.
    func beginsWith(_ words: [String]) -> Bool {
        var head = bytes.readableBytesView.prefix(1024)
        if head.starts(with: [0xEF, 0xBB, 0xBF]) { head = head.dropFirst(3) }
        let text = head.drop { $0.isWhitespaceOrLineEnd }
        return words.contains { text.prefix($0.utf8.count).elementsEqual($0.utf8) { $0.lowercased == $1 } }
    }
}
