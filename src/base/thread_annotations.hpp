#pragma once

// Lock rules that clang checks: https://clang.llvm.org/docs/ThreadSafetyAnalysis.html

#if defined(__clang__)
#define SQLANE_ANNOTATION(x) __attribute__((x))
#else
#define SQLANE_ANNOTATION(x)
#endif

#define SQLANE_CAPABILITY(name) SQLANE_ANNOTATION(capability(name))
#define SQLANE_SCOPED_CAPABILITY SQLANE_ANNOTATION(scoped_lockable)
#define SQLANE_GUARDED_BY(mutex) SQLANE_ANNOTATION(guarded_by(mutex))
#define SQLANE_REQUIRES(...) SQLANE_ANNOTATION(requires_capability(__VA_ARGS__))
#define SQLANE_EXCLUDES(...) SQLANE_ANNOTATION(locks_excluded(__VA_ARGS__))
#define SQLANE_ACQUIRE(...) SQLANE_ANNOTATION(acquire_capability(__VA_ARGS__))
#define SQLANE_RELEASE(...) SQLANE_ANNOTATION(release_capability(__VA_ARGS__))
