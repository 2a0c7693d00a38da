#include "base/option_parser.hpp"

#include "base/text.hpp"

namespace acre::base {
namespace {

/// Cuts `list` at the first `separator`: returns what lies before it, leaves what lies behind.
std::string_view take_until(std::string_view& list, char separator) noexcept {
  const auto length = list.find(separator);
  if (length == std::string_view::npos) {
    const auto all = list;
    list = {};
    return all;
  }
  const std::string_view head(list.data(), length);
  list.remove_prefix(length + 1);
  return head;
}

void add_signed(text<160>& words, std::int64_t number) noexcept {
  // The magnitude as unsigned, because -INT64_MIN does not exist.
  const auto magnitude = static_cast<std::uint64_t>(number);
  if (number < 0)
    words.add("-").add_number(0 - magnitude);
  else
    words.add_number(magnitude);
}

std::string_view trimmed(std::string_view word) noexcept {
  while (!word.empty() && word.front() == ' ')
    word.remove_prefix(1);
  while (!word.empty() && word.back() == ' ')
    word.remove_suffix(1);
  return word;
}

/// Decimal digits, and nothing else, as a number; false on overflow.
bool parse_digits(std::string_view word, std::int64_t& number) noexcept {
  if (word.empty()) return false;
  number = 0;
  for (const char letter : word) {
    if (letter < '0' || letter > '9') return false;
    if (__builtin_mul_overflow(number, 10, &number)) return false;
    if (__builtin_add_overflow(number, letter - '0', &number)) return false;
  }
  return true;
}

bool parse_integer(std::string_view word, std::int64_t& number) noexcept {
  const bool negative = !word.empty() && word.front() == '-';
  if (negative) word.remove_prefix(1);
  if (!parse_digits(word, number)) return false;
  if (negative) number = -number;
  return true;
}

/// The power of 1024 that a suffix stands for, as a shift; 0 when the letter is none.
int shift_of(char suffix) noexcept {
  switch (suffix) {
    case 'K':
    case 'k':
      return 10;
    case 'M':
    case 'm':
      return 20;
    case 'G':
    case 'g':
      return 30;
    case 'T':
    case 't':
      return 40;
    default:
      return 0;
  }
}

bool parse_bytes(std::string_view word, std::int64_t& number) noexcept {
  const int shift = word.empty() ? 0 : shift_of(word.back());
  if (shift != 0) word.remove_suffix(1);
  if (!parse_digits(word, number)) return false;
  return !__builtin_mul_overflow(number, std::int64_t{1} << shift, &number);
}

bool parse_boolean(std::string_view word, std::int64_t& number) noexcept {
  const bool is_true = word == "1" || word == "true" || word == "yes" || word == "on";
  const bool is_false = word == "0" || word == "false" || word == "no" || word == "off";
  number = is_true ? 1 : 0;
  return is_true || is_false;
}

bool parse_choice(std::string_view word, std::string_view choices, std::int64_t& number) noexcept {
  for (number = 0; !choices.empty(); ++number)
    if (take_until(choices, '|') == word) return true;
  return false;
}

/// Copies the text behind the others; the room of a text that was set before is not reused,
/// because a list that sets one option many times has no use.
bool store_text(std::string_view word, option_values& values, std::int64_t& number) noexcept {
  if (word.size() >= values.texts.size() - values.texts_used) return false;
  number = static_cast<std::int64_t>(values.texts_used);
  for (const char letter : word)
    values.texts[values.texts_used++] = letter;
  values.texts[values.texts_used++] = '\0';
  return true;
}

bool parse_value(const option_info& option, std::string_view word, option_values& values) noexcept {
  std::int64_t number = 0;
  bool ok = false;
  switch (option.kind) {
    case option_kind::boolean:
      ok = parse_boolean(word, number);
      break;
    case option_kind::bytes:
      ok = parse_bytes(word, number);
      break;
    case option_kind::milliseconds:
      ok = parse_integer(word, number);
      break;
    case option_kind::choice:
      ok = parse_choice(word, option.choices, number);
      break;
    case option_kind::text:
      ok = store_text(word, values, number);
      break;
  }
  const bool ranged =
      option.kind != option_kind::text && !(option.kind == option_kind::bytes && number == 0);
  if (!ok || (ranged && (number < option.minimum || number > option.maximum))) return false;
  values.numbers[static_cast<std::size_t>(option.id)] = number;
  return true;
}

constexpr std::size_t name_length_max = 32;

/// How many letters must be added, dropped or replaced to make one name of the other (Levenshtein,
/// one row of the table at a time).
std::size_t edit_distance(std::string_view left, std::string_view right) noexcept {
  if (left.size() > name_length_max || right.size() > name_length_max) return name_length_max;
  std::array<std::size_t, name_length_max + 1> row{};
  for (std::size_t column = 0; column <= right.size(); ++column)
    row[column] = column;
  for (std::size_t line = 0; line < left.size(); ++line) {
    std::size_t diagonal = row[0];
    row[0] = line + 1;
    for (std::size_t column = 0; column < right.size(); ++column) {
      const std::size_t replaced = diagonal + (left[line] == right[column] ? 0 : 1);
      diagonal = row[column + 1];
      std::size_t best = replaced;
      if (row[column] + 1 < best) best = row[column] + 1;
      if (diagonal + 1 < best) best = diagonal + 1;
      row[column + 1] = best;
    }
  }
  return row[right.size()];
}

/// The name that was most likely meant, or nothing when none is near.
std::string_view nearest_name(std::string_view name) noexcept {
  if (name.size() >= 3) {
    for (const auto& option : option_table)
      if (begins_with(option.name, name)) return option.name;
  }
  std::string_view nearest;
  std::size_t nearest_distance = name.size() < 4 ? name.size() : 4;
  for (const auto& option : option_table) {
    const auto distance = edit_distance(name, option.name);
    if (distance >= nearest_distance) continue;
    nearest = option.name;
    nearest_distance = distance;
  }
  return nearest;
}

bool parse_item(std::string_view item, option_values& values, option_problem_sink sink,
                void* context) noexcept {
  const bool has_value = item.find('=') != std::string_view::npos;
  const auto name = trimmed(take_until(item, '='));
  const auto value = trimmed(item);
  const auto* const option = find_option(name);
  if (option != nullptr && has_value && parse_value(*option, value, values)) return true;
  if (sink == nullptr) return false;

  text<160> accepted;
  option_problem problem{option_problem_kind::bad_value, name, value, {}};
  if (option == nullptr) {
    problem.kind = option_problem_kind::unknown_name;
    problem.advice = nearest_name(name);
  } else {
    if (!has_value) problem.kind = option_problem_kind::missing_value;
    accepted = describe_accepted(*option);
    problem.advice = accepted.view();
  }
  sink(problem, context);
  return false;
}

}  // namespace

const option_info* find_option(std::string_view name) noexcept {
  for (const auto& option : option_table)
    if (option.name == name) return &option;
  return nullptr;
}

bool parse_options(std::string_view list, option_values& values, option_problem_sink sink,
                   void* context) noexcept {
  bool all_well = true;
  while (!list.empty()) {
    const auto item = trimmed(take_until(list, ','));
    if (item.empty()) continue;
    if (!parse_item(item, values, sink, context)) all_well = false;
  }
  return all_well;
}

text<160> describe_accepted(const option_info& option) noexcept {
  text<160> words;
  switch (option.kind) {
    case option_kind::boolean:
      words.add("0 or 1 (also false, true, no, yes, off, on)");
      break;
    case option_kind::bytes:
      add_signed(words.add("0, or bytes from "), option.minimum);
      if (option.maximum == option_no_maximum)
        words.add(" up");
      else
        add_signed(words.add(" to "), option.maximum);
      words.add("; with K, M, G or T");
      break;
    case option_kind::milliseconds:
      add_signed(words.add("a number from "), option.minimum);
      add_signed(words.add(" to "), option.maximum);
      break;
    case option_kind::choice: {
      auto rest = option.choices;
      words.add("one of ").add(take_until(rest, '|'));
      while (!rest.empty())
        words.add(", ").add(take_until(rest, '|'));
      break;
    }
    case option_kind::text:
      words.add("a text without a comma");
      break;
  }
  return words;
}

text<512> describe_problem(const option_problem& problem) noexcept {
  text<512> words;
  switch (problem.kind) {
    case option_problem_kind::unknown_name:
      words.add("unknown option '").add(problem.name).add("'; ");
      if (problem.advice.empty())
        words.add("'acre options' lists the names");
      else
        words.add("did you mean '").add(problem.advice).add("'?");
      break;
    case option_problem_kind::missing_value:
      words.add("option ").add(problem.name).add(" has no value; it takes ").add(problem.advice);
      break;
    case option_problem_kind::bad_value:
      words.add("option ").add(problem.name).add(" does not take '").add(problem.value);
      words.add("'; it takes ").add(problem.advice);
      break;
  }
  return words;
}

}  // namespace acre::base
