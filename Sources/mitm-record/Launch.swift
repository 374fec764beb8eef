// A program that the recorder starts once it listens, and with which it ends: a command, or a browser.

import ArgumentParser
import FlowArchive
import FlowModel
import Foundation
import Glibc
import ProxyCore
import ProxyToolSupport
import TLSEngine
import ToolSupport

/// Programs to start.
struct LaunchArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Start a browser with a fresh profile, and end with it: chromium, firefox, or a program. The arguments are then URLs to open; \
            further arguments of the browser follow --.
            """, valueName: "browser"))
    var browser: String?

    @Flag(help: "Print the variables by which programs use a recorder on this port, for a POSIX shell; nothing is started.")
    var environment = false
}

/// What to start.
struct Launch {
    private enum Kind {
        case command
        case browser(Browser, addresses: [String])
    }

    /// The status when the recorder itself fails; 126 and 127 are those of a command that cannot be started (as env(1) has them).
    static let failureStatus: Int32 = 125

    private let kind: Kind
    private let program: ProgramFile
    private let arguments: [String]
    private let environment = ProcessEnvironment.current
    private let showsErrors: Bool

    /// Whether the arguments of the process ask for a program.
    static func isRequested(_ arguments: [String]) -> Bool {
        let own = arguments.prefix { $0 != "--" }
        return own.count + 1 < arguments.count || own.contains { $0 == "--browser" || $0.hasPrefix("--browser=") }
    }

    var isCommand: Bool { if case .command = kind { true } else { false } }

    /// - Returns: nil if nothing is to be started.
    /// - Throws: ``ToolError`` for arguments that exclude each other; ``LaunchFailure`` for a command that cannot be executed.
    init?(_ arguments: MitmRecord) throws {
        let launching = arguments.launching
        let search = environment["PATH"]
        showsErrors = arguments.logging.verbose
        if let choice = launching.browser {
            let addresses = arguments.filter
            if let other = addresses.first(where: { !Self.isAddress($0) }) {
                throw ToolError(
                    "'\(other)' is not a URL such as https://example.org/; write --browser=PROGRAM for a browser, -f for a filter")
            }
            let browser = try Browser(choice, path: search)
            try BrowserProfile.checkNeeds(of: browser, path: search)
            (kind, program, self.arguments) = (.browser(browser, addresses: addresses), browser.program, givenCommand() ?? [])
        } else if let command = givenCommand() {
            guard let name = command.first else { throw ToolError("no command follows --") }
            (kind, program, self.arguments) = (.command, try ProgramFile(name, path: search), Array(command.dropFirst()))
        } else {
            return nil
        }
        if isCommand, arguments.write?.isStandard == true {
            throw ToolError("standard output is the command's; name a file with -w")
        }
        if arguments.hosts.proxyauth != nil {
            throw ToolError("--proxyauth asks for a password that a program which the recorder starts does not have")
        }
    }

    private static func isAddress(_ text: String) -> Bool { text.contains("://") || text.hasPrefix("about:") }

    /// Starts it.
    /// - Parameters:
    ///   - proxy: nil if the recorder has no mode that is a forward proxy.
    ///   - mask: the signals that were blocked when the recorder was started.
    func start(
        _ proxy: ProxyAddress?, _ authority: CertificateAuthority, directory: String, mask: sigset_t
    ) throws -> LaunchedRun {
        switch kind {
        case .command:
            let trust = try TrustBundle(for: authority, in: directory, environment: environment)
            let variables = LaunchEnvironment(proxy: proxy, trust: trust, over: environment).variables
            let started = try LaunchedProgram(program, arguments, environment: environment.setting(variables), mask: mask)
            return LaunchedRun(program: started, name: program.name, profile: nil)
        case .browser(let browser, let addresses):
            guard let proxy else { throw ToolError("a browser needs a forward proxy: --mode regular or upstream") }
            let profile = try BrowserProfile()
            do {
                try profile.prepare(for: browser, proxy: proxy, authority: authority, environment: environment, mask: mask)
                let all = browser.arguments(
                    profile: profile.directory, proxy: proxy, authority: authority, given: arguments, addresses: addresses)
                let started = try LaunchedProgram(
                    program, all, environment: environment.setting(browser.variables), mask: mask,
                    errors: showsErrors ? nil : profile.log)
                return LaunchedRun(program: started, name: program.name, profile: profile)
            } catch {
                profile.remove()
                throw error
            }
        }
    }
}

/// A program that runs, and what belongs to it.
struct LaunchedRun {
    let program: LaunchedProgram
    private let name: String
    private let profile: BrowserProfile?

    init(program: LaunchedProgram, name: String, profile: BrowserProfile?) {
        (self.program, self.name, self.profile) = (program, name, profile)
    }

    /// Waits for the end of the program. A signal that a user sends to the recorder is passed on; those of the terminal's keys the program has
    /// received itself.
    /// - Parameter wait: is called before each wait; returns the most seconds until its next call, or nil to wait no longer.
    /// - Returns: the exit status; nil if waiting was ended.
    func waitForEnd(_ wait: () -> Double?) -> Int32? {
        var isEnding = false
        while let seconds = wait() {
            guard let signal = Signals.receive(LaunchedProgram.signals, seconds: seconds) else { continue }
            if signal.number == SIGCHLD {
                guard let status = program.noticeChildren() else { continue }
                if status != 0, !isEnding, let profile {
                    printError("\(name) ended with status \(status): \(profile.lastWords)", as: "mitm-record")
                }
                return status
            }
            guard signal.number != SIGTSTP || signal.isSent else { continue }
            isEnding = isEnding || signal.number != SIGTSTP
            // When a terminal closes, the system tells the leader of the session only (setpgid(2)): that may be the recorder.
            if signal.isSent || signal.number == SIGHUP { program.send(signal.number) }
        }
        return nil
    }

    /// Removes what was made for the program.
    func clear() { profile?.remove() }
}

/// Prints the variables for a recorder that runs.
/// - Throws: ``ToolError``.
func printEnvironment(_ arguments: MitmRecord) throws {
    guard !Launch.isRequested(Array(CommandLine.arguments.dropFirst())) else {
        throw ToolError("--environment starts nothing: it does not go together with a command or a browser")
    }
    let modes = try arguments.modes
    guard let proxy = ProxyAddress.of(zip(modes, arguments.listening.addresses(of: modes)).map { ($0, $1) }) else {
        throw ToolError("--environment is for a forward proxy: --mode regular or upstream")
    }
    guard proxy.port != 0 else { throw ToolError("--environment needs the port of a recorder that runs; give it with -p") }
    let environment = ProcessEnvironment.current
    let directory = configurationDirectory(arguments.settings.confdir)
    let authority = try Authority.load(from: directory, now: Int64(Date().timeIntervalSince1970))
    let trust = try TrustBundle(for: authority, in: directory, environment: environment)
    var output = OutputSink()
    let exports = LaunchEnvironment(proxy: proxy, trust: trust, over: environment).exports
    try output.write { $0.writeBytes(FileName.bytes(exports)) }
    try output.flush()
}

extension ProxyAddress {
    /// The first mode that is a forward proxy.
    static func of(_ listeners: [(mode: ModeSpecification, address: (host: String, port: UInt16))]) -> ProxyAddress? {
        listeners.first { $0.mode.mode.isForwardProxy }.map { ProxyAddress(host: $0.address.host, port: $0.address.port) }
    }
}

extension ProxyMode {
    /// Whether programs can be given its address as that of an HTTP proxy.
    var isForwardProxy: Bool {
        switch self {
        case .regular, .upstream: true
        default: false
        }
    }
}
