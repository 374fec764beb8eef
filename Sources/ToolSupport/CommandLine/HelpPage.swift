// What --help and -h print. Lines of examples stay as they are, so that they can be pasted; everything else is wrapped at the width of the
// terminal.

import Foundation
import Glibc

/// The help of a tool.
struct HelpPage {
    private static let maximumWidth = 100
    /// Where descriptions begin.
    private static let indent = 30

    private let table: OptionTable
    private let usage: String?
    private let width: Int

    /// - Parameter usage: the lines of the tool's usage.
    init(_ table: OptionTable, usage: String?, width: Int = HelpPage.terminalWidth) {
        self.table = table
        self.usage = usage
        self.width = min(max(width, 60), Self.maximumWidth)
    }

    /// - Parameter isShort: a line for each option, and nothing about the tool but its purpose.
    func text(isShort: Bool) -> String {
        let command = table.command
        var parts = [wrapped(command.abstract ?? "")]
        parts.append(usageText)
        if !isShort, let discussion = command.discussion {
            parts.append(Self.paragraphs(discussion).map(wrapped).joined(separator: "\n"))
        }
        parts += sections(isShort)
        if isShort { parts.append(wrapped("\(command.commandName) --help tells more.")) }
        return parts.joined(separator: "\n\n") + "\n"
    }

    private var usageText: String {
        let lines = (usage ?? "\(table.command.commandName) [OPTION]…").split(separator: "\n").map(String.init)
        return "Usage: " + lines.joined(separator: "\n       ")
    }

    /// Text that was written in several lines is one; indented lines are as they were written.
    private static func paragraphs(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    // MARK: Options

    private func sections(_ isShort: Bool) -> [String] {
        var titles: [String] = []
        var lines: [String: [String]] = [:]
        for argument in table.command.arguments ?? [] where argument.shouldDisplay && argument.kind != "positional" {
            let isBuiltIn = ["help", "version"].contains(argument.preferredName?.name)
            let title = isBuiltIn ? "Help" : argument.sectionTitle ?? "Options"
            if lines[title] == nil { titles.append(title) }
            lines[title, default: []].append(entry(argument, isShort))
        }
        // Those of every tool are last.
        let last = ["Configuration", "Help"]
        titles = titles.filter { !last.contains($0) } + last.filter { titles.contains($0) }
        return titles.map { "\($0):\n" + lines[$0, default: []].joined(separator: "\n") }
    }

    private func entry(_ argument: HelpDump.Argument, _ isShort: Bool) -> String {
        let names = (argument.names ?? []).map { $0.kind == "short" ? "-\($0.name)" : "--\($0.name)" }
        let short = names.filter { !$0.hasPrefix("--") }
        let long = names.filter { $0.hasPrefix("--") }
        let value = argument.kind == "flag" ? "" : " <\(argument.valueName ?? "value")>"
        let head = "  " + (short.isEmpty ? "    " : "") + (short + long).joined(separator: ", ") + value
        var text = argument.preferredName?.name == "help" ? "Show this help; -h shows a short one." : argument.abstract ?? ""
        if isShort {
            text = Self.firstSentence(text)
        } else {
            if let values = argument.allValues, !values.allSatisfy({ text.contains($0) }) {
                text += " (values: \(values.joined(separator: ", ")))"
            }
            if let value = argument.defaultValue, argument.kind != "flag", !text.contains("(default:") {
                text += " (default: \(value))"
            }
        }
        let body = wrap(text, width: width - Self.indent)
        let gap = String(repeating: " ", count: Self.indent)
        guard head.count + 2 <= Self.indent else { return ([head] + body.map { gap + $0 }).joined(separator: "\n") }
        let first = head.padding(toLength: Self.indent, withPad: " ", startingAt: 0) + (body.first ?? "")
        return ([first] + body.dropFirst().map { gap + $0 }).joined(separator: "\n")
    }

    private static func firstSentence(_ text: String) -> String {
        guard let end = text.firstRange(of: #/[.;:] /#) else { return text.hasSuffix(".") ? String(text.dropLast()) : text }
        return String(text[..<end.lowerBound])
    }

    // MARK: Wrapping

    private func wrapped(_ line: String) -> String {
        line.hasPrefix(" ") ? line : wrap(line, width: width).joined(separator: "\n")
    }

    private func wrap(_ text: String, width: Int) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if last.count + 1 + word.count <= width {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }

    /// Of the terminal that the help is shown on; 80 elsewhere.
    static var terminalWidth: Int {
        var size = winsize()
        guard isTerminal(1), unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
