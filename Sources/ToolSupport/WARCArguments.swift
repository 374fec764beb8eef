// Options of the format warc.

import ArgumentParser
import ForeignArchives

/// How a WARC file is written.
package struct WARCArguments: ParsableArguments {
    @Flag(help: "With warc: compress each record with gzip, as for a file of -o with a name that ends in .gz.")
    package var gzip = false

    @Flag(help: "With warc: write the messages of each WebSocket as a metadata record of JSON Lines.")
    package var warcWebsocket = false

    package init() {}

    /// - Throws: when an option has no effect with the format.
    package func check(_ format: OutputFormat) throws {
        guard format != .foreign(.warc) else { return }
        if gzip { throw ValidationError("--gzip needs --format warc") }
        if warcWebsocket { throw ValidationError("--warc-websocket needs --format warc") }
    }

    /// - Parameters:
    ///   - output: of the flows.
    ///   - filter: that chose the flows.
    package func options(output: FilePath?, filter: String?) -> WARCOptions {
        var options = WARCOptions()
        options.isCompressed = gzip || output?.path.hasSuffix(".gz") == true
        options.withWebSocket = warcWebsocket
        options.filter = filter
        return options
    }
}
