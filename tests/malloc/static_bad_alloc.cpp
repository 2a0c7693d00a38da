#include <cstdio>
#include <new>

// A small program that is linked with the archive and brings nothing of the C++ library by itself
// but what it names here.

namespace {

/// Volatile, or the compiler would leave out what is freed unused.
volatile std::size_t too_much = std::size_t{1} << 60;
char* volatile made = nullptr;
int handled = 0;

bool throws_bad_alloc() {
  try {
    made = new char[too_much];
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

void give_up_the_second_time() {
  if (++handled == 2) throw std::bad_alloc();
}

bool returns_null() {
  made = new (std::nothrow) char[too_much];
  return made == nullptr;
}

bool check(bool holds, const char* what) {
  if (!holds) (void)std::fprintf(stderr, "fails: %s\n", what);
  return holds;
}

}  // namespace

int main() {
  bool good = check(throws_bad_alloc(), "throws without a handler");
  good &= check(returns_null(), "null without a handler");
  std::set_new_handler(give_up_the_second_time);
  good &= check(throws_bad_alloc() && handled == 2, "calls the handler until it throws");
  handled = 0;
  good &= check(returns_null() && handled == 2, "null when the handler throws");
  return good ? 0 : 1;
}
