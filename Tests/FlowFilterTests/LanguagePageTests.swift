import Foundation
import Testing

@testable import FlowFilter

/// The documents are made from --help-filter, or hold what it prints.
@Suite("The documents of the filter language")
struct LanguagePageTests {
    private static func text(_ path: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test("The page of the language has the lists of the help")
    func page() throws {
        let blocks = try Self.text("docs/filter-language.md").components(separatedBy: "```\n")
        #expect(blocks.count > 1 && blocks[1] == filterHelp())
    }

    @Test("The manual page has a place for each list of the help, and for no other")
    func manualPage() throws {
        let titles = filterHelp().split(separator: "\n").filter { $0.hasSuffix(":") && !$0.hasPrefix(" ") }
        let places = try Self.text("docs/man/mitm-filter-language.mdoc").split(separator: "\n").filter {
            $0.hasPrefix("@") && $0.hasSuffix("@")
        }
        #expect(places == titles.map { "@\($0.dropLast().lowercased())@" })
    }

    @Test("Every line of a list has what is written and what it means, with two spaces between them")
    func lines() {
        for line in filterHelp().split(separator: "\n") where !line.hasSuffix(":") {
            #expect(line.wholeMatch(of: #/  \S.*? {2,}\S.*/#) != nil, "\(line)")
            #expect(line.count <= 140, "\(line)")
        }
    }

    @Test(
        "The documents name only operators that exist",
        arguments: [
            "docs/filter-language.md", "docs/man/mitm-filter-language.mdoc", "docs/reading.md", "docs/configuration.md",
            "README.md",
        ])
    func names(path: String) throws {
        let known = Set(FilterOperator.all.map(\.name))
        let named = try Self.text(path).replacing("\\(ti", with: "~").matches(of: #/(?:^|[ `'(!"])(~[a-z][a-z0-9]*)/#)
        // ~/.config is a directory, and ~user another one.
        #expect(Set(named.map { String($0.1) }).subtracting(known).subtracting(["~user"]) == [])
    }
}
