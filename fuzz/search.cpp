/// Fuzz target: any bytes are a needle and a haystack; every search agrees with std::string_view's.
///
/// The first byte chooses the instruction set, the second and third the needle's size; a fourth
/// says how often what is left is repeated, so that a short input can be a long periodic haystack.
#include <acre/bytes/find.hpp>
#include <acre/bytes/instruction_set.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace {

using acre::bytes::instruction_set;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s differs from std::string_view\n", what);
  std::abort();
}

std::optional<std::size_t> as_optional(std::size_t position) {
  return position == std::string_view::npos ? std::nullopt : std::optional(position);
}

/// Blocks of exactly the size, so that a sanitizer sees a read one byte outside.
std::unique_ptr<char[]> exact_copy(std::string_view text) {
  auto copy = std::make_unique_for_overwrite<char[]>(text.size());
  text.copy(copy.get(), text.size());
  return copy;
}

template <class Matches>
void check_all(Matches&& matches, std::string_view haystack, std::string_view needle) {
  std::size_t from = 0;
  for (const std::size_t at : matches) {
    require(!needle.empty() && haystack.find(needle, from) == at, "find_all");
    from = at + needle.size();
  }
  require(needle.empty() || haystack.find(needle, from) == std::string_view::npos,
          "the end of find_all");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  (void)acre::bytes::use_instruction_set(static_cast<instruction_set>(data[0] % 5));
  const std::string_view text(reinterpret_cast<const char*>(data) + 4, size - 4);
  const std::size_t needle_bytes = (data[1] + 256U * data[2]) % (text.size() + 1);
  const std::string_view unit = text.substr(needle_bytes);
  std::string whole;
  for (unsigned repeat = 0; repeat <= data[3] % 16U; ++repeat)
    whole += unit;
  if (data[3] >= 128) whole += text.substr(0, needle_bytes);
  const auto haystack_copy = exact_copy(whole);
  const auto needle_copy = exact_copy(text.substr(0, needle_bytes));
  const std::string_view haystack(haystack_copy.get(), whole.size());
  const std::string_view needle(needle_copy.get(), needle_bytes);

  const acre::bytes::finder prepared(needle);
  const auto first = as_optional(haystack.find(needle));
  const auto last = as_optional(haystack.rfind(needle));
  require(acre::bytes::find(haystack, needle) == first, "find");
  require(acre::bytes::rfind(haystack, needle) == last, "rfind");
  require(prepared.find(haystack) == first, "finder::find");
  require(prepared.rfind(haystack) == last, "finder::rfind");
  check_all(acre::bytes::find_all(haystack, needle), haystack, needle);
  check_all(prepared.find_all(haystack), haystack, needle);
  return 0;
}
