#pragma once

#if defined(__clang__)
#define ACRE_ATTR(x) __attribute__((x))
#else
#define ACRE_ATTR(x)
#endif
#define ACRE_CAPABILITY(name) ACRE_ATTR(capability(name))
#define ACRE_SCOPED_CAPABILITY ACRE_ATTR(scoped_lockable)
#define ACRE_GUARDED_BY(lock) ACRE_ATTR(guarded_by(lock))
#define ACRE_REQUIRES(lock) ACRE_ATTR(requires_capability(lock))
#define ACRE_EXCLUDES(lock) ACRE_ATTR(locks_excluded(lock))
#define ACRE_ACQUIRE(...) ACRE_ATTR(acquire_capability(__VA_ARGS__))
#define ACRE_RELEASE(...) ACRE_ATTR(release_capability(__VA_ARGS__))
#define ACRE_TRY_ACQUIRE(...) ACRE_ATTR(try_acquire_capability(__VA_ARGS__))
#define ACRE_NO_THREAD_SAFETY_ANALYSIS ACRE_ATTR(no_thread_safety_analysis)
