// A table for people: columns as wide as their values, cut to a terminal.

import FlowPrinter
import HTTPSemantics
import NIOCore

struct TextTable {
    enum Cell {
        /// Text of our own.
        case text(String, Palette.Role?)
        /// Recorded bytes.
        case bytes(ByteBuffer)
        /// A part of the longest bar.
        case bar(Double)
    }

    private struct Column {
        var heading: String
        /// Where the table is too wide for the terminal.
        var shortHeading: String
        var isNumeric: Bool
        var isBar = false
        /// Of the values.
        var valueWidth = 0
        var width: Int
    }

    /// Columns that no text is cut to less than, and those of the longest bar.
    private static let minimumText = 12
    private static let bars = 8...20

    private let palette: Palette
    private let columns: Int?
    private var layout: [Column] = []
    private var rows: [[Cell]] = []

    init(palette: Palette, columns: Int?) {
        self.palette = palette
        self.columns = columns
    }

    mutating func addColumn(_ heading: String, short: String? = nil, isNumeric: Bool) {
        layout.append(Column(heading: heading, shortHeading: short ?? heading, isNumeric: isNumeric, width: heading.count))
    }

    /// A column of bars, whose cells are ``Cell/bar(_:)``.
    mutating func addBar() {
        layout.append(Column(heading: "", shortHeading: "", isNumeric: false, isBar: true, width: Self.bars.upperBound))
    }

    mutating func addRow(_ cells: [Cell]) {
        let cells = cells.map { cell -> Cell in
            guard case .bytes(let bytes) = cell else { return cell }
            var visible = ByteBuffer()
            visible.writeVisible(bytes)
            return .bytes(visible)
        }
        for (index, cell) in cells.enumerated() where !layout[index].isBar {
            layout[index].valueWidth = max(layout[index].valueWidth, Self.width(cell))
            layout[index].width = max(layout[index].width, layout[index].valueWidth)
        }
        rows.append(cells)
    }

    private static func width(_ cell: Cell) -> Int {
        switch cell {
        case .text(let text, _): text.count
        case .bytes(let bytes): bytes.columns
        case .bar: 0
        }
    }

    mutating func write(into out: inout ByteBuffer) {
        fit()
        if let last = layout.lastIndex(where: { !$0.heading.isEmpty && $0.width > 0 }) {
            for (index, column) in layout[...last].enumerated() where column.width > 0 {
                cell(.text(column.heading, .muted), index, into: &out)
            }
            out.writeStaticString("\n")
        }
        let largest = rows.flatMap { $0 }.reduce(0.0) { if case .bar(let part) = $1 { max($0, part) } else { $0 } }
        for row in rows {
            for (index, value) in row.enumerated() where layout[index].width > 0 {
                if case .bar(let part) = value {
                    bar(largest > 0 ? part / largest : 0, layout[index].width, isLast: index == layout.count - 1, into: &out)
                } else {
                    cell(value, index, into: &out)
                }
            }
            out.writeStaticString("\n")
        }
    }

    /// Makes the table as narrow as the terminal: headings become short, the bar is cut and left out, then the widest texts are cut.
    private mutating func fit() {
        guard let columns else { return }
        func excess() -> Int { layout.reduce(0) { $0 + ($1.width > 0 ? $1.width + 2 : 0) } - 2 - columns }
        if excess() > 0 {
            for index in layout.indices where !layout[index].isBar {
                layout[index].heading = layout[index].shortHeading
                layout[index].width = max(layout[index].heading.count, layout[index].valueWidth)
            }
        }
        for index in layout.indices where layout[index].isBar && excess() > 0 {
            let width = layout[index].width - excess()
            layout[index].width = width >= Self.bars.lowerBound ? width : 0
        }
        while excess() > 0 {
            let texts = layout.indices.filter { !layout[$0].isNumeric && layout[$0].width > Self.minimumText }
            guard let widest = texts.max(by: { layout[$0].width < layout[$1].width }) else { return }
            layout[widest].width = max(Self.minimumText, layout[widest].width - excess())
        }
    }

    private func cell(_ cell: Cell, _ index: Int, into out: inout ByteBuffer) {
        if index > 0 { out.writeStaticString("  ") }
        let column = layout[index]
        var text: ByteBuffer
        var role: Palette.Role?
        switch cell {
        case .text(let value, let colour): (text, role) = (ByteBuffer(string: value), colour)
        case .bytes(let bytes): text = bytes
        case .bar: text = ByteBuffer()
        }
        if text.columns > column.width { text = text.cut(toColumns: column.width) }
        let space = max(0, column.width - text.columns)
        if column.isNumeric { out.writeRepeatingByte(0x20, count: space) }
        if let role { out.writeString(palette.text(String(buffer: text), role)) } else { out.writeImmutableBuffer(text) }
        // Lines have no spaces at their ends.
        if !column.isNumeric, index < layout.count - 1 { out.writeRepeatingByte(0x20, count: space) }
    }

    /// A bar of eighths of a column.
    private func bar(_ part: Double, _ width: Int, isLast: Bool, into out: inout ByteBuffer) {
        let eighths = max(part > 0 ? 1 : 0, Int((part * Double(8 * width)).rounded()))
        let text = String(repeating: "█", count: eighths / 8) + ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
        guard !text.isEmpty || !isLast else { return }
        out.writeStaticString("  ")
        out.writeString(palette.text(text, .name))
        if !isLast { out.writeRepeatingByte(0x20, count: max(0, width - text.count)) }
    }
}
