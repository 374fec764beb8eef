// The clock for durations.

import Dispatch

/// Nanoseconds of a clock that is never set.
package func monotonicNanoseconds() -> Int64 { Int64(clamping: DispatchTime.now().uptimeNanoseconds) }
