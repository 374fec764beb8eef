// The commit that the tools were built from.
#pragma once

/// A short hash; an empty string if the build did not receive one.
const char *mitm_commit(void);
