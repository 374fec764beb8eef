// Options for a disk that is full or fails.

import ArgumentParser
import FlowRecording
import ToolSupport

/// What to do when the disk takes no more bytes.
struct DiskArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            When the disk is full: pause (traffic waits), stop (the recorder ends with status 2), pass (traffic continues, unrecorded \
            until there is room), rotate (the oldest file of this recording is deleted).
            """, valueName: "policy"))
    var onDiskFull = DiskFullPolicy.pause

    @Option(
        help: ArgumentHelp(
            "When the disk fails in another way: pause (traffic waits until it works), stop (the recorder ends with status 2).",
            valueName: "policy"))
    var onDiskError = DiskErrorPolicy.stop

    @Option(
        help: ArgumentHelp(
            "Leave this much of the disk to other programs: with less room it counts as full. (default: none)", valueName: "size"))
    var keepFree: ByteSize?

    var options: DiskOptions {
        var options = DiskOptions()
        options.whenFull = onDiskFull
        options.onError = onDiskError
        if let keepFree {
            options.keptFree = keepFree.bytes
            options.keptFreeName = "--keep-free \(keepFree)"
        }
        return options
    }
}

extension DiskFullPolicy: ExpressibleByArgument {}
extension DiskErrorPolicy: ExpressibleByArgument {}
