#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Inputs for searches, the same on every machine.
namespace bytes_bench {

/// splitmix64.
class generator {
 public:
  explicit generator(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t mixed = (state_ += 0x9e37'79b9'7f4a'7c15ULL);
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58'476d'1ce4'e5b9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d0'49bb'1331'11ebULL;
    return mixed ^ (mixed >> 31U);
  }
  std::size_t below(std::size_t limit) noexcept { return next() % limit; }

 private:
  std::uint64_t state_;
};

/// Words in about the order of how often English text uses them; the word of rank r is drawn with a
/// weight of 1 / r (Zipf's law).
inline constexpr std::string_view common_words =
    "the of and to a in that is was he for it with as his on be at by i this had not are but from "
    "or have an they which one you were all her she there would their we him been has when who "
    "will "
    "no more if out so up said what its about than into them can only other time new some could "
    "these two may first then do any like my now over such our man me even most made after also "
    "did "
    "many off before must well back through years much where your way down should because long "
    "each "
    "just state those people too mister how little good world make very year still see own work "
    "men "
    "day get here old life both between being under three never know same last another while us "
    "might great go come since against right came take used himself few house use during without "
    "again place american around however home small found mrs thought went say part once general "
    "high upon school every government always number system water early nothing power quickly "
    "question example zealous journey exquisite voyage puzzle knowledge weather evening kitchen "
    "subject fashion machine gravity expression whisper balance village network jungle orchid "
    "memory address pointer library compiler boundary quantity fragment allocate overflow";

/// Sentences of English words with capitals and punctuation.
inline std::string english(std::size_t size_bytes) {
  std::array<std::string_view, 400> words;
  std::array<double, 400> reach{};
  std::size_t count = 0;
  double total = 0;
  for (std::string_view rest = common_words; !rest.empty(); ++count) {
    const std::size_t end = rest.find(' ');
    words[count] = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    total += 1.0 / static_cast<double>(count + 1);
    reach[count] = total;
  }
  generator random(1);
  std::string text;
  std::size_t left_in_sentence = 0;
  while (text.size() < size_bytes) {
    const bool is_first = left_in_sentence == 0;
    if (is_first) left_in_sentence = 4 + random.below(18);
    const double drawn = static_cast<double>(random.next() >> 11U) * 0x1p-53 * total;
    std::size_t rank = 0;
    while (reach[rank] < drawn)
      ++rank;
    std::string word(words[rank]);
    if (is_first) word[0] = static_cast<char>(word[0] - 'a' + 'A');
    text += word;
    --left_in_sentence;
    if (left_in_sentence == 0) {
      text += random.below(5) == 0 ? ".\n" : ". ";
    } else {
      text += random.below(12) == 0 ? ", " : " ";
    }
  }
  text.resize(size_bytes);
  return text;
}

/// Letters drawn evenly from `alphabet`.
inline std::string letters(std::size_t size_bytes, std::string_view alphabet) {
  generator random(2);
  std::string text(size_bytes, ' ');
  for (char& letter : text)
    letter = alphabet[random.below(alphabet.size())];
  return text;
}

inline std::string random_bytes(std::size_t size_bytes) {
  generator random(3);
  std::string text(size_bytes, ' ');
  for (char& letter : text)
    letter = static_cast<char>(random.next() >> 32U);
  return text;
}

/// `unit` again and again.
inline std::string repeated(std::string_view unit, std::size_t size_bytes) {
  std::string text;
  while (text.size() < size_bytes)
    text += unit;
  text.resize(size_bytes);
  return text;
}

}  // namespace bytes_bench
