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
    @Option(help: ArgumentHelp("Address to listen on; * for every address.", valueName: "address"))
    package var listenHost = "127.0.0.1"

    @Option(
        name: .short("p"),
        help: ArgumentHelp(
            "Port to listen on; 0 for any free port. Additional modes without an explicit port use the following ports. (default: 8080)",
            valueName: "port"))
    package var listenPort: UInt16?

    @Flag(help: "Accept clients with public IP addresses.")
    package var noBlockGlobal = false

    @Option(
        help: ArgumentHelp(
            "Write the address of each listener to this file, one a line, when all of them listen. The file is removed at the end.",
            valueName: "file"))
    package var readyFile: FilePath?

    package init() {}

    /// Address and port of each mode, in order.
    /// - Parameter port: of the first mode, unless one is given.
    package func addresses(of modes: [ModeSpecification], port: UInt16 = 8080) -> [(host: String, port: UInt16)] {
        var nextPort = listenPort ?? port
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

    @Option(
        help: ArgumentHelp("Verify servers with the certificates in this PEM file instead of the system's.", valueName: "file"))
    package var caFile: FilePath?

    @Option(help: ArgumentHelp("PEM file with a certificate and key for servers that ask for one.", valueName: "file"))
    package var clientCertificate: FilePath?

    package init() {}

    /// - Throws: ``ToolError`` for a file that cannot be read or used.
    package var options: TLSClientOptions {
        get throws {
            var options = TLSClientOptions()
            options.verifies = !insecure
            if let caFile {
                options.trustedPEM = try readText(caFile.path, as: "the file of --ca-file,")
                try Self.check(options, "--ca-file", caFile)
            }
            if let clientCertificate {
                options.clientCertificatePEM = try readText(clientCertificate.path, as: "the file of --client-certificate,")
                try Self.check(options, "--client-certificate", clientCertificate)
            }
            return options
        }
    }

    /// Makes a context, so that an error names the file.
    private static func check(_ options: TLSClientOptions, _ option: String, _ file: FilePath) throws(ToolError) {
        do throws(CertificateError) {
            _ = try TLSClientContext(options)
        } catch {
            throw ToolError("\(option): \(file) cannot be used: \(error.message)")
        }
    }
}

/// Certificates for clients, and the application protocols that are offered to them.
package struct ClientTLSArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Certificate to present to clients, with its key; name may be *.domain. Repeatable.", valueName: "[name=]file"))
    package var certificate: [String] = []

    @Flag(name: .customLong("no-http2"), help: "Neither offer nor accept HTTP/2.")
    package var noHTTP2 = false

    package init() {}
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
