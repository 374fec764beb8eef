#ifndef MITM_CWIDECHARACTERS_SHIM_H
#define MITM_CWIDECHARACTERS_SHIM_H
#include <wchar.h>
/* The columns of a character in the thread's locale; wchar.h declares it for X/Open programs only (wcwidth(3)). */
extern int wcwidth(wchar_t character);
#endif
