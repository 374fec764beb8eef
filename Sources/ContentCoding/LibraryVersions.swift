// The versions of the libraries of content codings, as they are at run time.

private import CBrotli
private import CZlib
private import CZstd

/// `name/version` each.
package var contentCodingLibraries: [String] {
    // Four bits for the most significant number, twelve for each of the others (brotli/decode.h).
    let brotli = BrotliDecoderVersion()
    return unsafe [
        "zlib/\(String(cString: zlibVersion()))",
        "brotli/\(brotli >> 24).\(brotli >> 12 & 0xFFF).\(brotli & 0xFFF)",
        "zstd/\(String(cString: ZSTD_versionString()))",
    ]
}
