// Keys on a terminal while the recorder runs: `O` (options), then `T`, asks for a TCP host and applies it to new connections.

import Foundation
import Glibc
import ProxyToolSupport
import ToolSupport

/// Reads keys as they are pressed, on a thread of its own, while the recorder is in the terminal's foreground.
final class TerminalKeys: Sendable {
    private let before: termios
    private let addTCPHost: @Sendable (String) throws -> Void
    private let log: EventLog

    /// - Parameter addTCPHost: receives a regular expression; throws if it is not valid.
    /// - Returns: nil if standard input is not the tool's terminal.
    init?(_ log: EventLog, addTCPHost: @escaping @Sendable (String) throws -> Void) {
        var settings = termios()
        guard isatty(0) == 1, isatty(2) == 1, tcgetpgrp(0) == getpgrp(), unsafe tcgetattr(0, &settings) == 0 else { return nil }
        before = settings
        self.addTCPHost = addTCPHost
        self.log = log
        // In the background a read fails instead of stopping the recorder.
        signal(SIGTTIN, SIG_IGN)
        signal(SIGTTOU, SIG_IGN)
    }

    func start() {
        setKeyMode(true)
        Thread { self.run() }.start()
    }

    /// Gives the terminal back as it was.
    func end() { setKeyMode(false) }

    private func setKeyMode(_ isOn: Bool) {
        var settings = before
        if isOn { settings.c_lflag &= ~tcflag_t(ICANON | ECHO) }
        unsafe tcsetattr(0, TCSANOW, &settings)
    }

    private func run() {
        var isInOptions = false
        while true {
            var key: UInt8 = 0
            guard unsafe read(0, &key, 1) == 1 else { return }
            if isInOptions, key | 0x20 == UInt8(ascii: "t") { askForTCPHost() }
            isInOptions = key | 0x20 == UInt8(ascii: "o")
        }
    }

    private func askForTCPHost() {
        setKeyMode(false)
        defer { setKeyMode(true) }
        writeToStandardError("TCP host (regular expression on host:port): ")
        guard let text = readLine()?.trimmingCharacters(in: .whitespaces), !text.isEmpty else { return }
        do {
            try addTCPHost(text)
            log.log(.notice, "reload", "new connections to '\(text)' are recorded as TCP")
        } catch {
            log.log(.error, "reload", "\(error)")
        }
    }
}
