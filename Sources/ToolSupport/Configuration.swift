// The configuration file: every long option of a tool is a key of it, and of --set. Its settings become arguments that stand before those
// of the command line, so that the command line wins.

import ArgumentParser
import Foundation
import Yams

/// Where the tools keep their configuration and the certificate authority.
package func configurationDirectory(_ option: String?) -> String {
    if let option { return expandingTilde(option) }
    // Paths that are not absolute are ignored (XDG Base Directory Specification).
    let base = environmentPath("XDG_CONFIG_HOME") ?? homeDirectory() + "/.config"
    return base + "/mitm"
}

/// The user's directory: HOME where it is set and absolute, as for every other program, otherwise that of the system's user database.
package func homeDirectory() -> String { environmentPath("HOME") ?? NSHomeDirectory() }

/// A path with `~` at its beginning replaced by the user's directory.
package func expandingTilde(_ path: String) -> String {
    if path == "~" || path.hasPrefix("~/") { return homeDirectory() + path.dropFirst() }
    return (path as NSString).expandingTildeInPath
}

private func environmentPath(_ name: String) -> String? {
    guard let path = ProcessInfo.processInfo.environment[name], path.hasPrefix("/") else { return nil }
    return path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
}

/// Options that mitmproxy's users know by other names, where they mean the same.
private let foreignNames: [String: String] = [
    "ssl_insecure": "insecure", "listen_host": "listen-host", "listen_port": "listen-port",
    "connection_strategy": "connection-strategy",
    "keep_host_header": "keep-host-header", "save_stream_file": "write", "flow_detail": "detail", "confdir": "confdir",
    "mode": "mode",
    "ssl_verify_upstream_trusted_ca": "ca-file", "body_size_limit": "maximum-body-size", "client_certs": "client-certificate",
]

extension ParsableCommand {
    /// The arguments, preceded by those of the configuration file and of --set.
    /// - Throws: ``ToolError`` for a file that cannot be read, and an unknown key.
    static func configuredArguments(_ arguments: [String]) throws -> [String] {
        guard !arguments.contains("--help"), !arguments.contains("-h"), !arguments.contains("--version") else { return arguments }
        var rest: [String] = []
        var settings: [String] = []
        var file: String?
        var directory: String?
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            if argument == "--" {
                rest += arguments[index...]
                break
            }
            func value(of name: String) throws -> String? {
                if argument.hasPrefix(name + "=") { return String(argument.dropFirst(name.count + 1)) }
                guard argument == name else { return nil }
                guard index + 1 < arguments.count else { throw ToolError("\(name) needs a value") }
                index += 1
                return arguments[index]
            }
            if let setting = try value(of: "--set") {
                settings.append(setting)
            } else if let path = try value(of: "--config") {
                file = path
            } else {
                if let path = try value(of: "--confdir") {
                    directory = path
                    rest.append("--confdir=\(path)")
                } else {
                    rest.append(argument)
                }
            }
            index += 1
        }
        let known = longOptions()
        if directory != nil, !known.keys.contains("confdir") { rest.removeAll { $0.hasPrefix("--confdir=") } }
        let path = file ?? configurationDirectory(directory) + "/config.yaml"
        var configured: [String] = []
        if FileManager.default.fileExists(atPath: path) {
            configured = try read(path, known)
        } else if file != nil {
            throw ToolError("cannot read the configuration file \(path): there is no such file")
        }
        for setting in settings {
            let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            configured += try Self.arguments(parts[0], parts.count > 1 ? parts[1] : "true", known, "--set \(setting)")
        }
        // A repeatable option is one on the command line and another one in the file; here the command line replaces the file.
        let given = Set(rest.compactMap { $0.hasPrefix("--") ? String($0.dropFirst(2).prefix { $0 != "=" }) : nil })
        return configured.filter { argument in !given.contains(String(argument.dropFirst(2).prefix { $0 != "=" })) } + rest
    }

    private static func read(_ path: String, _ known: [String: Bool]) throws -> [String] {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ToolError("cannot read the configuration file \(path): \(error.localizedDescription)")
        }
        let parsed: Any?
        do {
            parsed = try Yams.load(yaml: text)
        } catch {
            throw ToolError("the configuration file \(path) is not YAML: \(error)")
        }
        guard let parsed else { return [] }
        guard let keys = parsed as? [String: Any] else {
            throw ToolError("the configuration file \(path) must be a mapping of option names to values")
        }
        var arguments: [String] = []
        for (key, value) in keys.sorted(by: { $0.key < $1.key }) {
            for element in (value as? [Any]) ?? [value] {
                // All tools share the file: an option of another tool is not an error.
                if known[Self.name(of: key)] == nil, allToolOptions.contains(Self.name(of: key)) { continue }
                arguments += try Self.arguments(key, "\(element)", known, "the configuration file \(path)")
            }
        }
        return arguments
    }

    private static func name(of key: String) -> String { foreignNames[key] ?? key.replacing("_", with: "-") }

    private static func arguments(_ key: String, _ value: String, _ known: [String: Bool], _ place: String) throws -> [String] {
        let name = name(of: key)
        guard let isFlag = known[name] else { throw ToolError("\(place): there is no option '\(key)'") }
        guard isFlag else { return ["--\(name)=\(value)"] }
        switch value.lowercased() {
        case "true", "yes", "on", "1": return ["--\(name)"]
        case "false", "no", "off", "0": return []
        default: throw ToolError("\(place): '\(key)' is true or false, not '\(value)'")
        }
    }

    /// Long option names, and whether each is a flag; from the parser's own description of the command.
    private static func longOptions() -> [String: Bool] {
        guard let dump = try? JSONDecoder().decode(HelpDump.self, from: Data(_dumpHelp().utf8)) else { return [:] }
        var options: [String: Bool] = [:]
        for argument in dump.command.arguments ?? [] {
            for name in argument.names ?? [] where name.kind == "long" { options[name.name] = argument.kind == "flag" }
        }
        return options
    }
}

/// The parser's description of a command, as far as it is needed here.
private struct HelpDump: Decodable {
    struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
        }
        var kind: String
        var names: [Name]?
    }
    struct Command: Decodable {
        var arguments: [Argument]?
    }
    var command: Command
}

/// Long options of any of the tools, which share one configuration file.
private let allToolOptions: Set<String> = [
    "allow-hosts", "allow-target", "append", "ca-file", "certificate", "client-certificate", "color", "concurrency", "confdir",
    "connect-timeout", "connection-strategy", "count", "detail", "diff", "fault", "filter", "flush-interval", "follow",
    "format", "handshake-timeout", "help-filter", "http2-priority", "idle-timeout", "ignore", "ignore-hosts", "insecure",
    "invert", "jobs", "json", "keep-host-header", "list", "listen-host", "listen-port", "match-body", "match-header",
    "max-count", "maximum-body-size", "maximum-connections", "maximum-connections-per-client", "maximum-field-count",
    "maximum-field-section", "maximum-start-line", "maximum-streams", "mode", "no-block-global", "no-color", "no-http2",
    "no-refresh", "no-validate-inbound-headers", "on-disk-full", "on-miss", "once", "order", "output",
    "passthrough-on-reject", "patience", "proxyauth", "quiet", "rate", "raw-body", "ready-file", "journal", "max-differences",
    "duration", "repeat", "safe-methods", "stats",
    "structure", "sync", "target", "tcp", "tcp-hosts", "timing", "tls-maximum", "tls-minimum", "truncate", "verbose",
    "verify", "volatile", "websocket-match", "websocket-ping", "write",
]
