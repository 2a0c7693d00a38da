/// Counts the lines of a log that hold a word, and tells where the first and last are.
///
///     find_in_log [FILE [WORD]]
///
/// Without arguments it searches a small log of its own.
#include <acre/bytes/find.hpp>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view own_log =
    "10:01 start\n10:02 timeout: disk 3\n10:03 ok\n10:04 timeout: disk 3, timeout: disk 4\n";

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string log = argc > 1 ? read(argv[1]) : std::string(own_log);
  const std::string word = argc > 2 ? argv[2] : "timeout";

  // Made once: every search in every line is ready at once.
  const acre::bytes::finder finder(word);
  std::size_t lines = 0;
  std::size_t matches = 0;
  std::size_t line_start = 0;
  for (const std::size_t line_end : acre::bytes::find_all(log, std::string_view("\n"))) {
    const std::string_view line(log.data() + line_start, line_end - line_start);
    std::size_t in_line = 0;
    for ([[maybe_unused]] const std::size_t at : finder.find_all(line))
      ++in_line;
    lines += in_line != 0 ? 1 : 0;
    matches += in_line;
    line_start = line_end + 1;
  }
  std::printf("'%s': %zu times in %zu lines\n", word.c_str(), matches, lines);
  if (const auto first = finder.find(log))
    std::printf("first at byte %zu, last at byte %zu\n", *first, *finder.rfind(log));
  return matches != 0 ? 0 : 1;
}
