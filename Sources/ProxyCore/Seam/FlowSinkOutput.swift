import FlowRecords

/// What a session appends to while it handles an event: commands for the driver, and records of flows for the recording.
package struct ProxyOutput {
    package var commands: [ProxyCommand] = []
    package var records = FlowRecordBuffer()

    package init() {}
}
