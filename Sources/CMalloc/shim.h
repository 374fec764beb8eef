#ifndef MITM_CMALLOC_SHIM_H
#define MITM_CMALLOC_SHIM_H
#include <malloc.h>
#endif
