// The version of the tools.

/// As `--version` prints it.
package let toolVersion = "0.1.0"
