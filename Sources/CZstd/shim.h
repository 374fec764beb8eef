// Zstandard: content coding zstd.
#pragma once
#include <zstd.h>
