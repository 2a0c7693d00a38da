#include <acre/bytes/copy.hpp>

#include <fstream>
#include <string>

namespace acre::bytes {
namespace {

/// Bytes in a size as sysfs writes it, such as "32768K"; 0 if it is none.
std::size_t parse_size(const std::string& text) {
  std::size_t value = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
    value = value * 10 + static_cast<std::size_t>(text[at] - '0');
  if (at == text.size()) return value;
  if (text[at] == 'K') return value << 10U;
  if (text[at] == 'M') return value << 20U;
  return 0;
}

std::string first_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

/// The size of the highest level that holds data, or 0.
std::size_t from_sysfs() {
  std::size_t best = 0;
  std::string best_level;
  for (int index = 0; index < 16; ++index) {
    const std::string folder =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    const std::string level = first_word(folder + "level");
    if (level.empty()) break;
    if (first_word(folder + "type") == "Instruction" || level < best_level) continue;
    best_level = level;
    best = parse_size(first_word(folder + "size"));
  }
  return best;
}

}  // namespace

std::size_t last_level_cache_bytes() noexcept {
  constexpr std::size_t fallback = std::size_t{32} << 20U;
  static const std::size_t size = [] {
    try {
      const std::size_t found = from_sysfs();
      return found != 0 ? found : fallback;
    } catch (...) {  // no memory for a path: the fallback is a value like any other
      return fallback;
    }
  }();
  return size;
}

}  // namespace acre::bytes
