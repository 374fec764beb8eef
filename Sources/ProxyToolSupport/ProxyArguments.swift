// Options that the tools with sockets share, and the settings that they make.

import ArgumentParser
import FlowRecording
import Foundation
import ProxyCore
import ProxyTransport
import TLSEngine
import ToolSupport

/// Where a tool listens, and which clients it accepts.
package struct ListenArguments: ParsableArguments {
    @Option(help: "Address to listen on; * for every address.")
    package var listenHost = "127.0.0.1"

    @Option(
        name: .short("p"),
        help: "Port to listen on; 0 for any free port. Additional modes without an explicit port use the following ports.")
    package var listenPort: UInt16 = 8080

    @Flag(help: "Accept clients with public IP addresses.")
    package var noBlockGlobal = false

    @Option(
        help: ArgumentHelp(
            "Write the address of each listener to this file, one a line, when all of them listen. The file is removed at the end.",
            valueName: "file"))
    package var readyFile: String?

    package init() {}

    /// Address and port of each mode, in order.
    package func addresses(of modes: [ModeSpecification]) -> [(host: String, port: UInt16)] {
        var nextPort = listenPort
        return modes.map { mode in
            let port = mode.listenPort ?? nextPort
            if mode.listenPort == nil, nextPort != 0 { nextPort &+= 1 }
            return (mode.listenHost ?? listenHost, port)
        }
    }
}

/// TLS to servers.
package struct ServerTLSArguments: ParsableArguments {
    @Flag(help: "Do not verify the certificates of servers; the result of the verification is recorded.")
    package var insecure = false

    @Option(help: "Verify servers with the certificates in this PEM file instead of the system's.")
    package var caFile: String?

    @Option(help: "PEM file with a certificate and key for servers that ask for one.")
    package var clientCertificate: String?

    package init() {}

    /// - Throws: ``ToolError`` for a file that cannot be read.
    package var options: TLSClientOptions {
        get throws {
            var options = TLSClientOptions()
            options.verifies = !insecure
            options.trustedPEM = try caFile.map { try Self.read($0, for: "--ca-file") }
            options.clientCertificatePEM = try clientCertificate.map { try Self.read($0, for: "--client-certificate") }
            return options
        }
    }

    private static func read(_ path: String, for option: String) throws -> String {
        do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw ToolError("cannot read the file of \(option), \(path): \(error.localizedDescription)")
        }
    }
}

/// Certificates for clients, and the application protocols that are offered to them.
package struct ClientTLSArguments: ParsableArguments {
    @Option(help: "Certificate to present to clients, [name=]file.pem with its key; name may be *.domain. Repeatable.")
    package var certificate: [String] = []

    @Flag(name: .customLong("no-http2"), help: "Neither offer nor accept HTTP/2.")
    package var noHTTP2 = false

    package init() {}
}

/// The event log.
package struct LogArguments: ParsableArguments {
    @Flag(name: .shortAndLong, help: "No event log.")
    package var quiet = false

    @Flag(name: .shortAndLong, help: "Verbose event log.")
    package var verbose = false

    package init() {}

    /// The lowest level of lines that are printed.
    /// - Parameter level: without options.
    package func lowest(otherwise level: LogLine.Level) -> LogLine.Level { quiet ? .error : verbose ? .debug : level }
}

/// Makes the TLS contexts of a tool.
/// - Throws: ``ToolError`` for settings that OpenSSL refuses.
package func tlsContexts(
    _ server: TLSServerOptions, _ client: TLSClientOptions
) throws -> (server: TLSServerContext, client: TLSClientContext) {
    do throws(CertificateError) {
        return (try TLSServerContext(server), try TLSClientContext(client))
    } catch {
        throw ToolError("the TLS settings are not valid: \(error.message)")
    }
}
