// Options for recordings of several files.

import ArgumentParser
import FlowRecording
import ToolSupport

/// When the next file begins, and which sealed files are deleted.
struct RotationArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Begin the next file when this one has this size. Names get numbers, such as capture-00001.mflow.", valueName: "size"))
    var rotateSize: ByteSize?

    @Option(
        help: ArgumentHelp(
            "Begin the next file at whole multiples of this time of the clock: 1h begins files on the hour.", valueName: "time"))
    var rotateEvery: TimeSpan?

    @Option(
        help: ArgumentHelp(
            "Keep this number of files, the current one included: older ones are deleted. Only sealed files that -w named are.",
            valueName: "number"))
    var keepFiles: Int?

    @Option(help: ArgumentHelp("Delete the oldest files when all of them have more than this size.", valueName: "size"))
    var keepSize: ByteSize?

    @Option(help: ArgumentHelp("Delete files that were sealed longer ago than this.", valueName: "time"))
    var keepAge: TimeSpan?

    @Option(
        help: ArgumentHelp(
            "Run PROGRAM FILE with each sealed file, one at a time and without a shell.", valueName: "program"))
    var onSealed: FilePath?

    func validate() throws {
        if let rotateSize, rotateSize.bytes < 4096 { throw ValidationError("--rotate-size is at least 4k, not \(rotateSize)") }
        if let rotateEvery, rotateEvery.nanoseconds < 1_000_000_000 {
            throw ValidationError("--rotate-every is at least 1s, not \(rotateEvery)")
        }
        if let keepFiles, keepFiles < 1 { throw ValidationError("--keep-files is at least 1, not \(keepFiles)") }
    }

    /// - Throws: when the recording is not made of files.
    func check(_ write: FilePath?) throws {
        guard rotateSize != nil || rotateEvery != nil || keepFiles != nil || keepSize != nil || keepAge != nil || onSealed != nil,
            let write, write.isStandard || write.text == "none"
        else { return }
        throw ValidationError("-w \(write.text) makes no files, so there is nothing to rotate, keep or run a program with")
    }

    func apply(to options: inout RecordingFiles.Options) {
        options.rotation.size = rotateSize?.bytes
        options.rotation.interval = rotateEvery?.nanoseconds
        options.retention.files = keepFiles
        options.retention.size = keepSize?.bytes
        options.retention.age = keepAge?.nanoseconds
        options.onSealed = onSealed?.path
    }
}
