// Options for flows as text.

import ArgumentParser
import FlowModel
import FlowPrinter
import Glibc

extension TextStyle.Time: ExpressibleByArgument {}

/// How lines of flows are printed.
package struct TextArguments: ParsableArguments {
    @Option(help: "Time before each line: clock, elapsed (seconds since the first flow), full (with the date) or none.")
    package var time = TextStyle.Time.clock

    @Flag(help: "Do not cut long URLs to the width of the terminal.")
    package var noTruncate = false

    @OptionGroup
    var colours: ColorArguments

    package init() {}

    /// - Parameter file: where the text goes; nil and - are standard output.
    package func style(for file: FilePath?) -> TextStyle {
        var style = TextStyle(detail: 1, isColoured: colours.isColoured(unless: file))
        style.time = time
        style.now = { currentTime() }
        if file?.isStandard ?? true, !noTruncate { style.columns = { terminalColumns(of: 1) } }
        return style
    }
}

/// The wall clock.
func currentTime() -> Timestamp? {
    var time = timespec()
    guard unsafe clock_gettime(CLOCK_REALTIME, &time) == 0 else { return nil }
    return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
}
