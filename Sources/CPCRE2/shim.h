// PCRE2, 8-bit code units: regular expressions of the filter language.
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
