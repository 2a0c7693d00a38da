#include <cstdlib>
#include <new>

// A program that replaces two of the forms alone, and takes the others from the archive.

namespace {
int news = 0;
int deletes = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++news;
  if (void* const block = std::malloc(size); block != nullptr) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept {
  ++deletes;
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  ++deletes;
  std::free(block);
}

namespace {
/// Volatile, or the compiler would leave out what is freed unused.
int* volatile one = nullptr;
int* volatile many = nullptr;
int* volatile perhaps = nullptr;
}  // namespace

int main() {
  one = new int(1);
  many = new int[100]();
  perhaps = new (std::nothrow) int[100]();
  const bool good = *one == 1 && many[99] == 0 && perhaps != nullptr && perhaps[99] == 0;
  delete one;
  delete[] many;
  delete[] perhaps;
  return good && news >= 1 && deletes >= 1 ? 0 : 1;
}
