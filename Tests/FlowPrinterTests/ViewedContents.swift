// Content as a view prints it.

import FlowModel
import HTTPSemantics
import NIOCore

@testable import FlowPrinter

/// The lines of content, without the indentation of them all.
func shown(
    _ bytes: some Collection<UInt8>, _ type: String? = nil, as view: String = "auto", isColoured: Bool = false,
    limits: ContentLimits = ContentLimits(lines: .max), _ change: (inout ViewedContent) -> Void = { _ in }
) -> String {
    var content = ViewedContent(ByteBuffer(bytes: bytes), type: type.map { ByteBuffer(string: $0) })
    change(&content)
    var out = ByteBuffer()
    content.write(
        into: &out, as: ContentViewChoice(view)!, limits: limits, palette: Palette(isColoured: isColoured))
    return String(buffer: out).split(separator: "\n", omittingEmptySubsequences: false).map {
        String($0.hasPrefix("    ") ? $0.dropFirst(4) : $0)
    }.joined(separator: "\n")
}

func shown(
    _ text: String, _ type: String? = nil, as view: String = "auto", isColoured: Bool = false,
    limits: ContentLimits = ContentLimits(lines: .max)
) -> String {
    shown(Array(text.utf8), type, as: view, isColoured: isColoured, limits: limits)
}
