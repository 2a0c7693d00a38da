#include "base/option_parser.hpp"

namespace acre::base {
namespace {

/// Appends to a fixed buffer and drops what does not fit.
class bounded_writer {
 public:
  explicit bounded_writer(std::span<char> buffer) noexcept : buffer_(buffer) {}

  bounded_writer& operator<<(std::string_view text) noexcept {
    for (const char letter : text) {
      if (used_ == buffer_.size()) break;
      buffer_[used_++] = letter;
    }
    return *this;
  }

  bounded_writer& operator<<(std::int64_t number) noexcept {
    std::array<char, 20> digits;
    std::size_t count = 0;
    // The magnitude as unsigned, because -INT64_MIN does not exist.
    auto rest = number < 0 ? 0 - static_cast<std::uint64_t>(number)
                           : static_cast<std::uint64_t>(number);
    do {
      digits[digits.size() - ++count] = static_cast<char>('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
    if (number < 0) *this << "-";
    return *this << std::string_view(digits.data() + digits.size() - count, count);
  }

  [[nodiscard]] std::string_view written() const noexcept { return {buffer_.data(), used_}; }

 private:
  std::span<char> buffer_;
  std::size_t used_ = 0;
};

/// Cuts `text` at the first `separator`: returns what lies before it, leaves what lies behind.
std::string_view take_until(std::string_view& text, char separator) noexcept {
  const auto length = text.find(separator);
  if (length == std::string_view::npos) {
    const auto all = text;
    text = {};
    return all;
  }
  const std::string_view head(text.data(), length);
  text.remove_prefix(length + 1);
  return head;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Decimal digits, and nothing else, as a number; false on overflow.
bool parse_digits(std::string_view text, std::int64_t& number) noexcept {
  if (text.empty()) return false;
  number = 0;
  for (const char letter : text) {
    if (letter < '0' || letter > '9') return false;
    if (__builtin_mul_overflow(number, 10, &number)) return false;
    if (__builtin_add_overflow(number, letter - '0', &number)) return false;
  }
  return true;
}

bool parse_integer(std::string_view text, std::int64_t& number) noexcept {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (!parse_digits(text, number)) return false;
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

bool parse_bytes(std::string_view text, std::int64_t& number) noexcept {
  const int shift = text.empty() ? 0 : shift_of(text.back());
  if (shift != 0) text.remove_suffix(1);
  if (!parse_digits(text, number)) return false;
  return !__builtin_mul_overflow(number, std::int64_t{1} << shift, &number);
}

bool parse_boolean(std::string_view text, std::int64_t& number) noexcept {
  const bool is_true = text == "1" || text == "true" || text == "yes" || text == "on";
  const bool is_false = text == "0" || text == "false" || text == "no" || text == "off";
  number = is_true ? 1 : 0;
  return is_true || is_false;
}

bool parse_choice(std::string_view text, std::string_view choices, std::int64_t& number) noexcept {
  for (number = 0; !choices.empty(); ++number)
    if (take_until(choices, '|') == text) return true;
  return false;
}

/// Copies the text behind the others; the room of a text that was set before is not reused,
/// because a list that sets one option many times has no use.
bool store_text(std::string_view text, option_values& values, std::int64_t& number) noexcept {
  if (text.size() >= values.texts.size() - values.texts_used) return false;
  number = static_cast<std::int64_t>(values.texts_used);
  for (const char letter : text) values.texts[values.texts_used++] = letter;
  values.texts[values.texts_used++] = '\0';
  return true;
}

bool parse_value(const option_info& option, std::string_view text, option_values& values) noexcept {
  std::int64_t number = 0;
  bool ok = false;
  switch (option.kind) {
    case option_kind::boolean:
      ok = parse_boolean(text, number);
      break;
    case option_kind::bytes:
      ok = parse_bytes(text, number);
      break;
    case option_kind::milliseconds:
      ok = parse_integer(text, number);
      break;
    case option_kind::choice:
      ok = parse_choice(text, option.choices, number);
      break;
    case option_kind::text:
      ok = store_text(text, values, number);
      break;
  }
  const bool ranged = option.kind != option_kind::text;
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
  for (std::size_t column = 0; column <= right.size(); ++column) row[column] = column;
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

/// Not starts_with(), which unoptimized code turns into a call to the C++ run-time library.
bool begins_with(std::string_view text, std::string_view start) noexcept {
  return text.size() >= start.size() && std::string_view(text.data(), start.size()) == start;
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

  std::array<char, 160> accepted;
  option_problem problem{option_problem_kind::bad_value, name, value, {}};
  if (option == nullptr) {
    problem.kind = option_problem_kind::unknown_name;
    problem.advice = nearest_name(name);
  } else {
    if (!has_value) problem.kind = option_problem_kind::missing_value;
    problem.advice = describe_accepted(*option, accepted);
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

std::string_view describe_accepted(const option_info& option, std::span<char> buffer) noexcept {
  bounded_writer writer(buffer);
  switch (option.kind) {
    case option_kind::boolean:
      writer << "0 or 1 (also false, true, no, yes, off, on)";
      break;
    case option_kind::bytes:
      writer << "a number of bytes from " << option.minimum;
      if (option.maximum != option_no_maximum) writer << " to " << option.maximum;
      writer << (option.maximum == option_no_maximum ? " up" : "") << ", with K, M, G or T if wanted";
      break;
    case option_kind::milliseconds:
      writer << "a number from " << option.minimum << " to " << option.maximum;
      break;
    case option_kind::choice: {
      auto rest = option.choices;
      writer << "one of " << take_until(rest, '|');
      while (!rest.empty()) writer << ", " << take_until(rest, '|');
      break;
    }
    case option_kind::text:
      writer << "a text without a comma";
      break;
  }
  return writer.written();
}

std::string_view describe_problem(const option_problem& problem, std::span<char> buffer) noexcept {
  bounded_writer writer(buffer);
  switch (problem.kind) {
    case option_problem_kind::unknown_name:
      writer << "unknown option '" << problem.name << "'; ";
      if (problem.advice.empty())
        writer << "'acre options' lists the names";
      else
        writer << "did you mean '" << problem.advice << "'?";
      break;
    case option_problem_kind::missing_value:
      writer << "option " << problem.name << " has no value; write " << problem.name
             << "=VALUE with " << problem.advice;
      break;
    case option_problem_kind::bad_value:
      writer << "option " << problem.name << " does not take '" << problem.value << "'; it takes "
             << problem.advice;
      break;
  }
  return writer.written();
}

}  // namespace acre::base
