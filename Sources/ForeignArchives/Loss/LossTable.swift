// The table of docs/foreign-formats.md: what each format does with each class.

import FlowPrinter

/// The table in Markdown.
package func lossTable() -> String {
    let foreign = ForeignFormat.allCases.map { format in (format.rawValue, { (loss: LossClass) in format.fate(of: loss) }) }
    let messages = [MessageFormat.curl, .http].map { format in
        (format.rawValue, { (loss: LossClass) in format.fate(of: loss) ?? .outside })
    }
    let formats = foreign + messages
    func row(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |\n" }
    var table = row(["name", "what"] + formats.map(\.0)) + row(Array(repeating: "---", count: formats.count + 2))
    for isDetail in [false, true] {
        for loss in LossClass.allCases where loss.isDetail == isDetail {
            let name = "`\(loss.rawValue)`" + (isDetail ? " °" : "")
            table += row([name, loss.meaning] + formats.map { $0.1(loss).rawValue })
        }
    }
    return table
}
