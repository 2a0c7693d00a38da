#pragma once

#include "base/options.hpp"
#include "base/text.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// Reads "name=value,name=value" against the option table.
///
/// The library runs this before any constructor of the program, so nothing here allocates, throws,
/// makes a system call or needs a C++ run-time library.
namespace acre::base {

/// The value of every option.
///
/// Invariant:  the number of a text option is the offset in `texts` at which its
///             null-terminated text starts; offset 0 holds the empty text.
struct option_values {
  std::array<std::int64_t, option_table.size()> numbers{};
  std::array<char, 1024> texts{};
  std::size_t texts_used = 1;

  /// The defaults of the table.
  constexpr option_values() noexcept {
    for (std::size_t index = 0; index < option_table.size(); ++index)
      numbers[index] = option_table[index].fallback;
  }

  [[nodiscard]] constexpr std::int64_t number(option_id id) const noexcept {
    return numbers[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] constexpr const char* text(option_id id) const noexcept {
    return texts.data() + number(id);
  }
};

enum class option_problem_kind : std::uint8_t {
  unknown_name,   ///< `advice` is the nearest name, or empty
  missing_value,  ///< no '='; `advice` says what is accepted
  bad_value,      ///< `advice` says what is accepted
};

/// What is wrong with one item of a list.
///
/// Ownership:  the views point into the list and into the parser's frame; they die with the call.
struct option_problem {
  option_problem_kind kind;
  std::string_view name;
  std::string_view value;
  std::string_view advice;
};

/// Receives each problem, in the order of the list.
using option_problem_sink = void (*)(const option_problem& problem, void* context) noexcept;

/// Reads a list; a later item wins over an earlier one.
///
/// Effects:  sets the options that the list names well and leaves the others as they are; calls
///           `sink`, if there is one, for each item that is not well.
/// Returns:  whether there was no problem.
bool parse_options(std::string_view list, option_values& values, option_problem_sink sink,
                   void* context) noexcept;

/// The row of that name, or null.
[[nodiscard]] const option_info* find_option(std::string_view name) noexcept;

/// Says in words which values an option takes, as "a number from -1 to 3600000".
[[nodiscard]] text<160> describe_accepted(const option_info& option) noexcept;

/// Says what is wrong and what would be right, as one sentence without full stop or newline.
[[nodiscard]] text<512> describe_problem(const option_problem& problem) noexcept;

}  // namespace acre::base
