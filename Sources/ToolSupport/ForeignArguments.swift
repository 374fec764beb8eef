// Options of the formats of other programs.

import ArgumentParser
import ForeignArchives

extension PcapngOptions.Sides: ExpressibleByArgument {}
extension PcapngOptions.Ports: ExpressibleByArgument {}

/// How a file of another program is written.
package struct ForeignArguments: ParsableArguments {
    @Option(
        help: """
            With pcapng: whose connections are written: client (those to the recorder), server (those of the recorder) or both. \
            (default: client)
            """)
    package var pcapSide: PcapngOptions.Sides?

    @Option(
        help: """
            With pcapng: the ports of servers: map writes ports by which Wireshark finds the decrypted protocol (443 becomes 80), keep the \
            recorded ones. (default: map)
            """)
    package var pcapPorts: PcapngOptions.Ports?

    @Flag(
        help: """
            With warc and gor: write a gzip file, as for a file of -o with a name that ends in .gz. Each record of WARC is compressed \
            by itself.
            """)
    package var gzip = false

    @Flag(help: "With warc: write the messages of each WebSocket as a metadata record of JSON Lines.")
    package var warcWebsocket = false

    package init() {}

    /// - Throws: when an option has no effect with the format.
    package func check(_ format: OutputFormat) throws {
        if format != .foreign(.pcapng) {
            if pcapSide != nil { throw ValidationError("--pcap-side needs --format pcapng") }
            if pcapPorts != nil { throw ValidationError("--pcap-ports needs --format pcapng") }
        }
        if warcWebsocket, format != .foreign(.warc) { throw ValidationError("--warc-websocket needs --format warc") }
        if gzip, !format.canBeCompressed { throw ValidationError("--gzip needs --format warc or gor") }
    }

    /// - Parameters:
    ///   - output: of the flows.
    ///   - filter: that chose the flows.
    package func options(output: FilePath?, filter: String?) -> ForeignOptions {
        var options = ForeignOptions()
        options.pcapng.sides = pcapSide ?? options.pcapng.sides
        options.pcapng.ports = pcapPorts ?? options.pcapng.ports
        options.warc.withWebSocket = warcWebsocket
        options.warc.filter = filter
        options.isCompressed = gzip || output?.path.hasSuffix(".gz") == true
        return options
    }
}
