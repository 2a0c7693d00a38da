// What the compiler's start files define in every shared library, and this one is linked without:
// the name under which libc keeps its fork handlers. They stay until the process ends, so that a
// destructor of the program may fork as well as the program itself.

extern "C" [[gnu::visibility("hidden")]] void* const __dso_handle;
void* const __dso_handle = const_cast<void**>(&__dso_handle);
