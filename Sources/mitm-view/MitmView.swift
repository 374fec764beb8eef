// mitm-view: shows recordings in a browser.

import ArgumentParser
import FlowFilter
import FlowView
import Foundation
import Glibc
import NIOCore
import ToolSupport
import ViewServer

@main
struct MitmView: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-view",
        abstract: "Shows recordings in a browser.",
        usage: "mitm-view [options] [<expression>] <file> …",
        discussion: """
            Reads flow files, also while they are recorded, directories of them, stdin, files of mitmproxy and GoReplay, HAR and WARC, and serves a \
            page that lists, searches and shows their flows. The address is printed; its last part is a secret, without which nothing is \
            shown. Recordings are only read.

            Examples:
              mitm-view capture.mflow
              mitm-view --open '~c >=500' captures/
              mitm-view --view failures captures/
              mitm-record -w - | mitm-view -

            Ctrl-C ends it.

            Exit status: 0 it was ended by a signal, 2 an error, 3 an input is damaged or torn (the page shows where).
            """,
        version: versionText(of: "mitm-view"))

    @OptionGroup
    var selection: FilterArguments

    @Option(
        help: ArgumentHelp(
            "Show only the flows of this view of the configuration file. Repeatable: all of them must match.", valueName: "name"))
    var view: [String] = []

    @Option(help: ArgumentHelp("Listen on this port. (default: a free one)", valueName: "port"))
    var port: UInt16?

    @Option(
        help: ArgumentHelp("Listen on this address. Others than those of this machine let its network in.", valueName: "address"))
    var host = "127.0.0.1"

    @Option(
        help: ArgumentHelp(
            "Let the page send a flow again, to this server only: http://, https://, h2c://, tcp:// or tls://host[:port].",
            valueName: "target"))
    var allowReplay: String?

    @Flag(help: "Open the page in the browser of the desktop (xdg-open).")
    var open = false

    @Flag(help: "Read the files once; do not follow them as they grow.")
    var noFollow = false

    /// A recorder has started it: it ends with its standard input, which names files, each with a zero byte after it.
    @Flag(help: .hidden)
    var recorder = false

    @OptionGroup
    var types: ProtobufArguments

    @OptionGroup
    var secrets: SecretArguments

    @OptionGroup
    var identities: IdentityArguments

    @OptionGroup(title: "Configuration")
    var settings: ConfigurationArguments

    @Argument(help: "An expression that limits what is shown, and flow files, directories of them, - for stdin.")
    var arguments: [String] = []

    static func main() { launch() }

    func work() throws -> ToolStatus {
        let signals = [SIGINT, SIGTERM]
        _ = Signals.block(signals)
        let asked = try FilterAndFiles(
            selection, arguments: arguments, types: types, secrets: secrets, identities: identities)
        let index = FlowIndex()
        let named = recorder ? NamedFiles() : nil
        let sources = try ViewedSources(asked, named, follows: !noFollow, into: index)
        var environment = selection.environment(asked.secretRules)
        environment.schema = asked.schema
        var options = ViewOptions(
            environment: environment, version: toolVersion, configuration: configurationDirectory(settings.confdir))
        options.filter = try filter(asked.expression, environment)
        options.isFollowing = !noFollow
        if let allowReplay {
            options.replayer = try FlowReplayer(target: allowReplay, options: settings.given)
        }
        let server: ViewServer
        do {
            server = try ViewServer(index, options, host: host, port: Int(port ?? 0))
        } catch {
            let address = port.map { "\(host):\($0)" } ?? host
            throw ToolError("cannot listen on \(address): \(describe(error)); choose another --port, or none for a free one")
        }
        defer { server.shutDown() }
        sources.start { server.advance() }
        FileHandle.standardOutput.write(Data((server.address + "\n").utf8))
        if open { openBrowser(server.addressForBrowser()) }
        _ = Signals.wait(for: signals)
        sources.stop()
        return sources.isDamaged ? .damaged : .done
    }

    /// The expression that begins each list: the given one and the named views.
    /// - Throws: ``ToolError`` for a name that the configuration does not have.
    private func filter(_ expression: String?, _ environment: FilterEnvironment) throws -> String? {
        for name in view where environment.views[name] == nil {
            let known = environment.views.keys.sorted()
            let file = settings.config?.path ?? configurationDirectory(settings.confdir) + "/config.yaml"
            throw ToolError(
                known.isEmpty
                    ? "--view \(name): no view has a name; name expressions in the section 'views' of \(file)"
                    : "--view \(name): there is no such view; the section 'views' of \(file) has \(known.joined(separator: ", "))")
        }
        let parts = view.map { "~view \($0)" } + (expression.map { ["(\($0))"] } ?? [])
        if view.isEmpty { return expression }
        return parts.joined(separator: " & ")
    }

    private func openBrowser(_ address: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["xdg-open", address]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        do { try process.run() } catch { printError("no browser could be opened; open the address by hand", as: "mitm-view") }
    }
}

/// Why listening failed, without the words of the library.
private func describe(_ error: any Error) -> String {
    guard let error = error as? IOError else { return "\(error)" }
    return unsafe String(cString: strerror(error.errnoCode)).lowercased()
}
