/// Searches for all matches: acre-bytes-search [--smoke] [GROUP...]
///
/// Groups: english random dna adversarial worst small sublinear. Each row is one haystack and
/// needle; all searches of a row run turn and turn about, and the fastest round of each counts, in
/// GB/s of haystack. Needles are pieces of the haystack, taken at several places; the row shows the
/// median and the slowest of them. After each match the search goes on behind it.
#include <acre/bytes/find.hpp>
#include <acre/bytes/instruction_set.hpp>

#include "texts.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using bytes_bench::generator;

/// The number of matches and the sum of their positions.
struct answer {
  std::size_t count = 0;
  std::size_t sum = 0;
  void add(std::size_t position) {
    ++count;
    sum += position;
  }
  bool operator==(const answer&) const = default;
};

answer by_find_all(std::string_view haystack, std::string_view needle) {
  answer found;
  for (const std::size_t at : acre::bytes::find_all(haystack, needle))
    found.add(at);
  return found;
}

/// A search that starts anew behind each match.
template <class Find>
answer by_steps(std::string_view haystack, std::size_t needle_bytes, const Find& find) {
  answer found;
  std::size_t from = 0;
  while (haystack.size() - from >= needle_bytes) {
    const std::size_t at = find(haystack.substr(from));
    if (at == std::string_view::npos) break;
    found.add(from + at);
    from += at + needle_bytes;
  }
  return found;
}

answer by_find(std::string_view haystack, std::string_view needle) {
  return by_steps(haystack, needle.size(), [&](std::string_view rest) {
    return acre::bytes::find(rest, needle).value_or(std::string_view::npos);
  });
}

answer by_memmem(std::string_view haystack, std::string_view needle) {
  return by_steps(haystack, needle.size(), [&](std::string_view rest) {
    const void* at = memmem(rest.data(), rest.size(), needle.data(), needle.size());
    return at == nullptr ? std::string_view::npos
                         : static_cast<std::size_t>(static_cast<const char*>(at) - rest.data());
  });
}

answer by_string_view(std::string_view haystack, std::string_view needle) {
  return by_steps(haystack, needle.size(),
                  [&](std::string_view rest) { return rest.find(needle); });
}

answer by_memchr(std::string_view haystack, std::string_view needle) {
  return by_steps(haystack, needle.size(), [&](std::string_view rest) {
    const char* const end = rest.data() + rest.size() - needle.size() + 1;
    const char* at = rest.data();
    while (true) {
      at = static_cast<const char*>(
          std::memchr(at, needle.front(), static_cast<std::size_t>(end - at)));
      if (at == nullptr) return std::string_view::npos;
      if (std::memcmp(at, needle.data(), needle.size()) == 0)
        return static_cast<std::size_t>(at - rest.data());
      ++at;
    }
  });
}

using search = answer (*)(std::string_view, std::string_view);
constexpr std::array<search, 5> searches{by_find_all, by_find, by_memmem, by_string_view,
                                         by_memchr};
/// One for each search, one for a finder, and the number of matches in a thousand bytes.
using speeds = std::array<double, searches.size() + 2>;

struct settings {
  double seconds_a_row = 0.6;
  bool is_smoke = false;
};

bool all_agree = true;

double seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

/// Seconds for one search, the mean of as many as make the clock's grain small.
double time_of(const auto& work, std::size_t repeats) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t index = 0; index < repeats; ++index)
    work();
  return seconds(start) / static_cast<double>(repeats);
}

/// Gigabytes of haystack a second for each search, and for a finder made beforehand.
speeds measure(const std::string& haystack, const std::string& needle, const settings& how) {
  const acre::bytes::finder prepared(needle);
  const auto by_finder = [&] {
    answer found;
    for (const std::size_t at : prepared.find_all(haystack))
      found.add(at);
    return found;
  };
  const answer expected = by_finder();
  speeds best;
  best.fill(1e9);
  const std::size_t repeats = 1 + 20'000 / haystack.size();
  // Processor time, so that other work on the machine costs no rounds.
  const auto start = std::clock();
  const auto spent = [&] { return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC; };
  for (int round = 0; round < 400 && (round < 2 || spent() < how.seconds_a_row); ++round) {
    for (std::size_t index = 0; index + 1 < best.size(); ++index) {
      // What takes hundreds of milliseconds once need not run again.
      if (round > 0 && best[index] > how.seconds_a_row) continue;
      answer found;
      const auto work = [&] {
        found = index < searches.size() ? searches[index](haystack, needle) : by_finder();
      };
      best[index] = std::min(best[index], time_of(work, repeats));
      if (found != expected) {
        std::printf("search %zu differs: %zu matches, expected %zu\n", index, found.count,
                    expected.count);
        all_agree = false;
      }
    }
    if (how.is_smoke) break;
  }
  const auto size = static_cast<double>(haystack.size());
  for (double& value : best)
    value = size / value / 1e9;
  best.back() = static_cast<double>(expected.count) / size * 1000;
  return best;
}

void print_row(std::string_view name, std::size_t needle_bytes, const speeds& median,
               double least) {
  // The column order: our three, then the others.
  std::printf("| %.*s | %zu | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n",
              static_cast<int>(name.size()), name.data(), needle_bytes, median[6], median[0], least,
              median[1], median[5], median[2], median[3], median[4]);
  std::fflush(stdout);
}

void print_head(std::string_view group) {
  std::printf(
      "\n%.*s\n\n| haystack | needle | matches per 1000 | find_all | slowest needle | find | "
      "finder | memmem | "
      "string_view | memchr |\n|---|---|---|---|---|---|---|---|---|---|\n",
      static_cast<int>(group.size()), group.data());
}

/// Needles of `needle_bytes` from several places of the haystack; the median of each column.
void row(std::string_view name, const std::string& haystack, std::size_t needle_bytes,
         const settings& how) {
  generator random(needle_bytes);
  constexpr std::size_t places = 7;
  std::array<std::vector<double>, speeds{}.size()> columns;
  settings each = how;
  each.seconds_a_row /= places;
  for (std::size_t place = 0; place < places; ++place) {
    const std::string needle =
        haystack.substr(random.below(haystack.size() - needle_bytes + 1), needle_bytes);
    const speeds found = measure(haystack, needle, each);
    for (std::size_t index = 0; index < columns.size(); ++index)
      columns[index].push_back(found[index]);
  }
  speeds median;
  for (std::size_t index = 0; index < columns.size(); ++index) {
    std::sort(columns[index].begin(), columns[index].end());
    median[index] = columns[index][places / 2];
  }
  print_row(name, needle_bytes, median, columns[0].front());
}

void given(std::string_view name, const std::string& haystack, const std::string& needle,
           const settings& how) {
  const speeds found = measure(haystack, needle, how);
  print_row(name, needle.size(), found, found[0]);
}

constexpr std::size_t mebibyte = 1U << 20U;

void text_rows(std::string_view name, const std::string& haystack, const settings& how) {
  print_head(name);
  for (const std::size_t bytes : {1U, 2U, 3U, 4U, 6U, 8U, 12U, 16U, 32U, 64U, 128U, 256U, 1024U})
    row(name, haystack, bytes, how);
}

void small_rows(const settings& how) {
  print_head("small");
  settings each = how;
  each.seconds_a_row /= 10;
  const std::string english = bytes_bench::english(mebibyte);
  const std::string random = bytes_bench::random_bytes(mebibyte);
  for (const std::size_t size : {16U, 24U, 32U, 48U, 64U, 128U, 256U, 512U, 1024U, 4096U, 16384U}) {
    for (const std::size_t bytes : {2U, 4U, 8U, 16U, 64U, 256U}) {
      if (bytes > size) continue;
      row("english " + std::to_string(size), english.substr(5000, size), bytes, each);
      row("random " + std::to_string(size), random.substr(5000, size), bytes, each);
    }
    // No match: the usual case in small haystacks.
    for (const std::string& needle : {std::string("qz"), std::string("the quick brown!")}) {
      if (needle.size() > size) continue;
      given("none in " + std::to_string(size), english.substr(5000, size), needle, each);
    }
  }
}

std::string fibonacci_word(std::size_t size_bytes) {
  std::string one = "a";
  std::string two = "ab";
  while (two.size() < size_bytes)
    one = std::exchange(two, two + one);
  return two.substr(0, size_bytes);
}

/// The word over a and b without three equal pieces in a row.
std::string thue_morse_word(std::size_t size_bytes) {
  std::string word(size_bytes, 'a');
  for (std::size_t at = 0; at < size_bytes; ++at)
    word[at] = __builtin_popcountll(at) % 2 == 0 ? 'a' : 'b';
  return word;
}

/// The haystacks and needles of `bytes` on which searches are slow; `visit` takes a name, both, and
/// the settings.
template <class Visit>
void hostile(std::size_t bytes, const Visit& visit) {
  static const std::string a_only(mebibyte, 'a');
  static const std::string ab = bytes_bench::repeated("ab", mebibyte);
  static const std::string fibonacci = fibonacci_word(mebibyte);
  static const std::string thue_morse = thue_morse_word(mebibyte);
  static const std::string binary = bytes_bench::letters(mebibyte, "ab");
  const auto a = [&](std::size_t count) { return std::string(count, 'a'); };
  const auto with = [](std::string text, std::size_t at) {
    text[at] = text[at] == 'a' ? 'b' : 'a';
    return text;
  };
  visit("a^n / a^m", a_only, a(bytes));
  visit("a^n / a^(m-1) b", a_only, a(bytes - 1) + "b");
  visit("a^n / b a^(m-1)", a_only, "b" + a(bytes - 1));
  visit("a^n / a.. b ..a", a_only, a(bytes / 2) + "b" + a(bytes - bytes / 2 - 1));
  const std::string nearly = bytes_bench::repeated(a(bytes - 1) + "b", mebibyte);
  visit("(a^(m-1) b)* / a^m", nearly, a(bytes));
  visit("(a^m b)* / a^(m-1) c", bytes_bench::repeated(a(bytes) + "b", mebibyte),
        a(bytes - 1) + "c");
  visit("(a^m b)* / a^m", bytes_bench::repeated(a(bytes) + "b", mebibyte), a(bytes));
  visit("(a^(m-1) b a^(m-1))* / a^(m/2) b a^(m/2)",
        bytes_bench::repeated(a(bytes - 1) + "b" + a(bytes - 1), mebibyte),
        a(bytes / 2) + "b" + a(bytes - bytes / 2 - 1));
  visit("(ab)* / (ab)^k", ab, bytes_bench::repeated("ab", bytes));
  visit("(ab)* / (ab)^k b", ab, bytes_bench::repeated("ab", bytes - 1) + "b");
  visit("(ab)* / b (ab)^k", ab, "b" + bytes_bench::repeated("ba", bytes - 1));
  visit("((ab)^k a c)* / (ab)^j",
        bytes_bench::repeated(bytes_bench::repeated("ab", bytes - 1) + "c", mebibyte),
        bytes_bench::repeated("ab", bytes));
  for (const auto& [name, word] :
       {std::pair<std::string_view, const std::string&>{"fibonacci", fibonacci},
        {"thue-morse", thue_morse},
        {"random ab", binary}}) {
    const std::string piece = word.substr(5000, bytes);
    const std::string of(name);
    visit(of + " / piece", word, piece);
    visit(of + " / piece, last wrong", word, with(piece, bytes - 1));
    visit(of + " / piece, middle wrong", word, with(piece, bytes / 2));
    visit(of + " / piece, first wrong", word, with(piece, 0));
  }
  // Every 17 bytes a candidate that fails at its end.
  const std::string unit = std::string(16, 'a') + "b";
  std::string off = bytes_bench::repeated(unit, bytes);
  off.back() = 'c';
  visit("(a^16 b)* / the same, last wrong", bytes_bench::repeated(unit, mebibyte), off);
  off = bytes_bench::repeated("abcdefghijklmnopqrstuvwxyz", bytes);
  off[bytes / 2] = '!';
  visit("(a..z)* / the same, middle wrong",
        bytes_bench::repeated("abcdefghijklmnopqrstuvwxyz", mebibyte), off);
}

void adversarial_rows(const settings& how) {
  print_head("adversarial");
  settings each = how;
  each.seconds_a_row /= 20;
  for (const std::size_t bytes : {2UL, 16UL, 31UL, 64UL, 65UL, 256UL, 1000UL, 10'000UL}) {
    hostile(bytes, [&](std::string_view name, const std::string& haystack,
                       const std::string& needle) { given(name, haystack, needle, each); });
  }
}

/// Of this process: a least value would else be that of a moment in which it did not run.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// The least speed over many sizes of needle for each hostile pair, ours and memmem's alone.
struct least_speed {
  std::string name;
  std::array<double, 3> speed;
  std::array<std::size_t, 3> needle_bytes;
};

void note_least(std::vector<least_speed>& all, std::string_view name, const std::string& haystack,
                const std::string& needle) {
  auto row =
      std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
  if (row == all.end()) {
    all.push_back({std::string(name), {1e9, 1e9, 1e9}, {}});
    row = all.end() - 1;
  }
  for (std::size_t index = 0; index < 3; ++index) {
    double best = 1e9;
    for (int round = 0; round < 2; ++round) {
      const double start = processor_seconds();
      (void)searches[index](haystack, needle);
      best = std::min(best, processor_seconds() - start);
    }
    const double speed = static_cast<double>(haystack.size()) / best / 1e9;
    if (speed < row->speed[index]) {
      row->speed[index] = speed;
      row->needle_bytes[index] = needle.size();
    }
  }
}

void worst_rows(const settings& how) {
  std::vector<std::size_t> sizes;
  for (std::size_t bytes = 1; bytes <= (how.is_smoke ? 4U : 64U); ++bytes)
    sizes.push_back(bytes);
  for (std::size_t bytes = 65; bytes <= 100'000 && !how.is_smoke; bytes = bytes * 5 / 4)
    sizes.push_back(bytes);
  for (std::size_t bytes = 128; bytes <= 100'000 && !how.is_smoke; bytes *= 2)
    sizes.push_back(bytes);
  if (!how.is_smoke) sizes.push_back(100'000);
  std::vector<least_speed> all;
  for (const std::size_t bytes : sizes) {
    hostile(bytes, [&](std::string_view name, const std::string& haystack,
                       const std::string& needle) { note_least(all, name, haystack, needle); });
  }
  std::printf(
      "\nworst of %zu needle sizes from 1 to %zu\n\n"
      "| haystack / needle | find_all | at | find | at | memmem | at "
      "|\n|---|---|---|---|---|---|---|\n",
      sizes.size(), sizes.back());
  for (const least_speed& row : all) {
    std::printf("| %s | %.2f | %zu | %.2f | %zu | %.2f | %zu |\n", row.name.c_str(), row.speed[0],
                row.needle_bytes[0], row.speed[1], row.needle_bytes[1], row.speed[2],
                row.needle_bytes[2]);
  }
}

/// Where a search may skip most of the haystack.
void sublinear_rows(const settings& how) {
  print_head("sublinear");
  settings each = how;
  each.seconds_a_row /= 3;
  const std::string zeros(mebibyte, '\0');
  const std::string english = bytes_bench::english(mebibyte);
  const std::string random = bytes_bench::random_bytes(mebibyte);
  for (const std::size_t bytes :
       {64UL, 128UL, 200UL, 256UL, 300UL, 512UL, 2048UL, 16384UL, 100'000UL}) {
    given("zeros / english", zeros, english.substr(777, bytes), each);
    row("english", english, bytes, each);
    row("random", random, bytes, each);
  }
}

}  // namespace

int main(int argc, char** argv) {
  settings how;
  std::vector<std::string_view> groups;
  for (int index = 1; index < argc; ++index) {
    const std::string_view argument = argv[index];
    if (argument == "--smoke") {
      how = {.seconds_a_row = 0.0, .is_smoke = true};
    } else if (argument.starts_with("--set=")) {
      bool is_set = false;
      for (int set = 0; set < 5; ++set) {
        const auto candidate = static_cast<acre::bytes::instruction_set>(set);
        if (argument.substr(6) == acre::bytes::name(candidate))
          is_set = acre::bytes::use_instruction_set(candidate);
      }
      if (!is_set) {
        std::fprintf(stderr, "this processor has no instruction set '%s'\n", argv[index] + 6);
        return 2;
      }
    } else {
      groups.push_back(argument);
    }
  }
  if (groups.empty() && how.is_smoke) groups = {"english", "dna"};
  if (groups.empty()) groups = {"english", "random", "dna", "small", "sublinear", "adversarial"};
  for (const std::string_view group : groups) {
    if (group == "english") {
      text_rows(group, bytes_bench::english(mebibyte), how);
    } else if (group == "random") {
      text_rows(group, bytes_bench::random_bytes(mebibyte), how);
    } else if (group == "dna") {
      text_rows(group, bytes_bench::letters(mebibyte, "ACGT"), how);
    } else if (group == "small") {
      small_rows(how);
    } else if (group == "sublinear") {
      sublinear_rows(how);
    } else if (group == "worst") {
      worst_rows(how);
    } else if (group == "adversarial") {
      adversarial_rows(how);
    } else {
      std::fprintf(stderr, "unknown group '%s'\n", group.data());
      return 2;
    }
  }
  std::printf("\n%s, %s\n", all_agree ? "all results agree" : "RESULTS DIFFER",
              acre::bytes::name(acre::bytes::instruction_set_in_use()).data());
  return all_agree ? 0 : 1;
}
