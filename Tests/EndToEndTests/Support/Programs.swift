// Programs that tests run: our tools as they were built beside the tests, and real peers. Each has a deadline after which it is killed, so
// that a test that would hang fails instead.

import Foundation
import Glibc
import Synchronization

/// Where the tools are: beside the tests, or where MITM_TOOLS says (a release build, say).
let toolDirectory: String = {
    if let directory = ProcessInfo.processInfo.environment["MITM_TOOLS"] { return directory }
    if let bundle = CommandLine.arguments.first(where: { $0.contains(".xctest") }),
        let end = bundle.range(of: "/", options: .backwards)
    {
        return String(bundle[..<end.lowerBound])
    }
    return repository + "/.build/debug"
}()

/// Whether the system gives pseudo-terminals (pty(7)): a bare chroot without /dev/pts does not.
let hasTerminals: Bool = {
    let terminal = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY)
    guard terminal >= 0 else { return false }
    close(terminal)
    return true
}()

struct ProgramResult: Equatable {
    var status: Int32
    var output: String
    var errors: String
}

/// The lines of an event log, without their times.
func eventLog(_ errors: String) -> [String] {
    errors.split(separator: "\n").map { String($0.trimmingPrefix(#/[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} /#)) }
}

/// Runs a program to its end.
/// - Parameter program: a name in ``toolDirectory`` when it begins with `mitm-`, otherwise on the PATH.
@discardableResult
func run(_ program: String, _ arguments: [String], input: Data? = nil, in directory: String? = nil) throws -> ProgramResult {
    let running = try RunningProgram(program, arguments, in: directory, takesInput: input != nil)
    if let input { running.write(input) }
    let output = running.readOutput()
    return ProgramResult(status: running.waitForEnd(), output: output, errors: running.errors)
}

/// A program that runs during a test.
final class RunningProgram {
    private static let deadline = 60.0
    private let process = Process()
    private let stdout = Pipe()
    private let stderr = Pipe()
    private let stdin = Pipe()
    private let watchdog: any DispatchSourceTimer
    private(set) var errors = ""
    private let collected = Collected()

    init(_ program: String, _ arguments: [String], in directory: String? = nil, takesInput: Bool = false) throws {
        if program.hasPrefix("mitm-") {
            process.executableURL = URL(fileURLWithPath: toolDirectory + "/" + program)
            process.arguments = arguments
        } else {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [program] + arguments
        }
        var environment = ProcessInfo.processInfo.environment
        environment["PATH"] = (environment["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        process.environment = environment
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        process.standardOutput = stdout
        process.standardError = stderr
        process.standardInput = takesInput ? stdin : FileHandle.nullDevice
        let process = process
        watchdog = DispatchSource.makeTimerSource()
        watchdog.schedule(deadline: .now() + Self.deadline)
        watchdog.setEventHandler { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        // A timer that was never activated must not be released, which a program that cannot be started would do.
        watchdog.activate()
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        watchdog.cancel()
    }

    var processID: Int32 { process.processIdentifier }

    func write(_ data: Data) {
        let handle = stdin.fileHandleForWriting
        Thread {
            // A program that ends before it has read everything is an error here, not the end of all tests.
            var pipe = sigset_t()
            unsafe sigemptyset(&pipe)
            unsafe sigaddset(&pipe, SIGPIPE)
            unsafe pthread_sigmask(SIG_BLOCK, &pipe, nil)
            try? handle.write(contentsOf: data)
            try? handle.close()
        }.start()
    }

    /// Writes bytes after which others come.
    func writePart(_ data: Data) { try? stdin.fileHandleForWriting.write(contentsOf: data) }

    /// The next line of the output; nil at its end.
    func outputLine() -> String? {
        var line = Data()
        while let byte = try? stdout.fileHandleForReading.read(upToCount: 1), let first = byte.first {
            if first == 0x0A { return String(decoding: line, as: UTF8.self) }
            line.append(first)
        }
        return nil
    }

    func readOutput() -> String { String(decoding: stdout.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) }

    /// Reads stderr until a line holds some text.
    /// - Returns: the line; nil when the program ended before.
    func errorLine(containing text: String) -> String? {
        var line = ""
        while true {
            let data = stderr.fileHandleForReading.readData(ofLength: 1)
            guard let byte = data.first else { return nil }
            errors.append(Character(UnicodeScalar(byte)))
            if byte == 0x0A {
                if line.contains(text) { return line }
                line = ""
            } else {
                line.append(Character(UnicodeScalar(byte)))
            }
        }
    }

    /// Reads stderr from now on, so that a program that says much does not stop at a full pipe.
    func collectErrors() { collected.start(stderr.fileHandleForReading) }

    func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// - Returns: the exit status; 128 and the signal's number for one that ended it.
    func waitForEnd() -> Int32 {
        errors += collected.text
        errors += String(decoding: stderr.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        watchdog.cancel()
        return process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
    }

    /// The largest memory the process ever had, in bytes.
    var peakMemory: Int {
        let status = (try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
        return (Int(line.filter(\.isNumber)) ?? 0) * 1024
    }
}

/// What a thread has read from a pipe to its end.
private final class Collected: Sendable {
    private let data = Mutex(Data())
    private let reading = DispatchGroup()

    func start(_ handle: FileHandle) {
        reading.enter()
        Thread { [self] in
            let all = handle.readDataToEndOfFile()
            data.withLock { $0 = all }
            reading.leave()
        }.start()
    }

    /// Empty when nothing was started.
    var text: String {
        reading.wait()
        return String(decoding: data.withLock { $0 }, as: UTF8.self)
    }
}
