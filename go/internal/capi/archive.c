//go:build linux

/* The archive's digest: the go command's cache looks at this file, which changes with libnsgate.a, but not
 * at what is only named to the linker. */
#if !__has_include("archive.h")
#error libnsgate.a is missing: run "make lib" in the nsgate repository
#else
#include "archive.h"
/* In the object, or Go would find the same object and take the old program for new. */
const char nsgate_go_archive[] = NSGATE_ARCHIVE;
#endif
