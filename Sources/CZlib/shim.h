// zlib: inflate and deflate for content codings.
#pragma once
#include <zlib.h>
