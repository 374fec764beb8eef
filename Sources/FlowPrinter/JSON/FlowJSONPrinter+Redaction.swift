// The member `redacted` of a flow: which rules changed how many values, and what was not stored.

import FlowModel

extension JSONWriter {
    /// `"redacted":[{"rule":"header:authorization","in":"request","count":1}]`
    mutating func redaction(_ redaction: FlowRedaction) {
        key("redacted")
        beginArray()
        for change in redaction.changes {
            entry(change.rule, change.place, change.count)
            endObject()
        }
        for omission in redaction.omissions {
            entry(omission.rule, omission.place, omission.count)
            key("not_stored")
            string("\(omission.reason)")
            endObject()
        }
        endArray()
    }

    private mutating func entry(_ rule: String, _ place: FlowRedaction.Place, _ count: UInt64) {
        beginObject()
        key("rule")
        string(rule)
        key("in")
        string("\(place)")
        key("count")
        number(count)
    }
}
