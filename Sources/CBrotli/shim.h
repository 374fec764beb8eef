// Brotli: content coding br.
#pragma once
#include <brotli/decode.h>
#include <brotli/encode.h>
