#ifndef MITM_CJEMALLOC_SHIM_H
#define MITM_CJEMALLOC_SHIM_H
#include <jemalloc/jemalloc.h>
#endif
