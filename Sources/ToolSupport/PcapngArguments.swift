// Options of the format pcapng.

import ArgumentParser
import ForeignArchives

extension PcapngOptions.Sides: ExpressibleByArgument {}
extension PcapngOptions.Ports: ExpressibleByArgument {}

/// Which connections become packets, and with which ports.
package struct PcapngArguments: ParsableArguments {
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

    package init() {}

    /// - Throws: when an option has no effect with the format.
    package func check(_ format: OutputFormat) throws {
        guard format != .foreign(.pcapng) else { return }
        if pcapSide != nil { throw ValidationError("--pcap-side needs --format pcapng") }
        if pcapPorts != nil { throw ValidationError("--pcap-ports needs --format pcapng") }
    }

    package var options: PcapngOptions {
        var options = PcapngOptions()
        options.sides = pcapSide ?? options.sides
        options.ports = pcapPorts ?? options.ports
        return options
    }
}
