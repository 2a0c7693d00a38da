// A buffer that is on the stack when it is small and the stack has room, and in the heap otherwise.
#include <acre/os/stack.hpp>

#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

std::size_t reversed_length(std::string_view text) {
  return acre::os::with_stack_buffer(text.size() + 1, [&](std::span<std::byte> buffer) {
    auto* const end = reinterpret_cast<char*>(buffer.data());
    for (std::size_t i = 0; i < text.size(); ++i)
      end[i] = text[text.size() - 1 - i];
    end[text.size()] = '\0';
    return std::strlen(end);
  });
}

}  // namespace

int main() {
  using namespace acre::os;
  const auto bounds = acre::or_throw(current_stack());
  std::printf("a stack of %zu bytes, of which %zu are left\n", bounds.size(), stack_left());
  std::printf("%zu characters reversed\n", reversed_length("stack"));
}
