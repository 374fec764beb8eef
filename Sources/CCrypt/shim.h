#ifndef MITM_CCRYPT_SHIM_H
#define MITM_CCRYPT_SHIM_H
#include <crypt.h>
#endif
