// How many files a process may have open (RLIMIT_NOFILE, getrlimit(2)).

import Glibc

/// Raises the soft limit of open files towards the hard one, and never lowers it.
/// - Parameter maximum: nil raises it to the hard limit.
/// - Returns: the soft limits before and now; nil when the system does not report them.
@discardableResult
package func raiseDescriptorLimit(atMost maximum: rlim_t? = nil) -> (before: rlim_t, now: rlim_t)? {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0 else { return nil }
    let before = limit.rlim_cur
    limit.rlim_cur = max(before, min(maximum ?? limit.rlim_max, limit.rlim_max))
    if unsafe setrlimit(resource, &limit) != 0 { limit.rlim_cur = before }
    return (before, limit.rlim_cur)
}
