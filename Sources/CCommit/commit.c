// tools/build passes MITM_COMMIT to Package.swift. This is a target of its own, so that a new commit compiles nothing else again.
#include "CCommit.h"

#define TEXT_OF(word) #word
#define TEXT(macro) TEXT_OF(macro)

const char *mitm_commit(void) {
#ifdef MITM_COMMIT
    return TEXT(MITM_COMMIT);
#else
    return "";
#endif
}
