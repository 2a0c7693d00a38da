#ifndef ACRE_EXPORT_H
#define ACRE_EXPORT_H

/* Marks what the shared libraries show to their users; everything else in them is hidden. */
#if defined(__GNUC__)
#define ACRE_API __attribute__((visibility("default")))
#else
#define ACRE_API
#endif

#endif
