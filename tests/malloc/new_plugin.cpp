/// A C++ plug-in whose C++ run-time library comes with it, after the program's malloc was chosen.
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

int handler_calls = 0;

void give_up_after_three() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

std::size_t impossible() {
  std::size_t size = SIZE_MAX / 2;
  asm volatile("" : "+r"(size));
  return size;
}

bool throws_bad_alloc() {
  try {
    ::operator delete(::operator new(impossible()));
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

}  // namespace

/// Returns: 0, or the number of the step that failed.
extern "C" int run_plugin() {
  std::vector<std::string> texts(1000, std::string(100, 'p'));
  if (texts.back() != std::string(100, 'p')) return 1;
  if (!throws_bad_alloc()) return 2;
  handler_calls = 0;  // a plug-in with C++ names may stay loaded after dlclose
  std::set_new_handler(&give_up_after_three);
  if (!throws_bad_alloc() || handler_calls != 3) return 3;
  if (::operator new(impossible(), std::nothrow) != nullptr) return 4;
  try {
    throw std::runtime_error("the exception object and its text are allocated");
  } catch (const std::exception& error) {
    if (error.what()[0] != 't') return 5;
  }
  return 0;
}
