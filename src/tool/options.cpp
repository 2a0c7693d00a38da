#include "tool/options.hpp"

#include "base/option_parser.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace acre::tool {
namespace {

using base::option_info;
using base::option_kind;

constexpr std::size_t line_width = 80;

std::string_view kind_name(option_kind kind) {
  switch (kind) {
    case option_kind::boolean:
      return "boolean";
    case option_kind::bytes:
      return "bytes";
    case option_kind::milliseconds:
      return "milliseconds";
    case option_kind::choice:
      return "choice";
    case option_kind::text:
      return "text";
  }
  return "?";
}

std::vector<std::string> split_choices(std::string_view choices) {
  std::vector<std::string> names;
  while (!choices.empty()) {
    names.emplace_back(choices.substr(0, choices.find('|')));
    choices.remove_prefix(std::min(names.back().size() + 1, choices.size()));
  }
  return names;
}

std::string format_default(const option_info& option) {
  if (option.kind == option_kind::text) return "none";
  if (option.kind == option_kind::choice)
    return split_choices(option.choices).at(static_cast<std::size_t>(option.fallback));
  return fmt::format("{}", option.fallback);
}

/// Breaks a text at spaces and puts `indent` spaces before each line.
std::string wrapped(std::string_view text, std::size_t indent) {
  std::string result;
  std::size_t column = line_width;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (column + 1 + word.size() > line_width) {
      result += fmt::format("{}{:{}}", result.empty() ? "" : "\n", "", indent);
      column = indent;
    } else {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result + "\n";
}

}  // namespace

std::string format_options() {
  std::string text =
      "Options of the library, for 'acre run --option NAME=VALUE' or in a program's\n"
      "environment as ACRE_OPTIONS=\"NAME=VALUE,NAME=VALUE\".\n";
  text += fmt::format("\n{:<21}{:<9}{}\n", "NAME", "DEFAULT", "VALUES");
  for (const auto& option : base::option_table) {
    text += fmt::format("{:<21}{:<9}{}\n", option.name, format_default(option),
                        base::describe_accepted(option).view());
    text += wrapped(option.help, 4);
  }
  return text;
}

std::string format_options_json() {
  using json = nlohmann::ordered_json;
  json list = json::array();
  for (const auto& option : base::option_table) {
    const bool is_number =
        option.kind == option_kind::bytes || option.kind == option_kind::milliseconds;
    json row;
    row["name"] = option.name;
    row["kind"] = kind_name(option.kind);
    row["default"] = is_number ? json(option.fallback) : json(format_default(option));
    if (option.kind == option_kind::boolean) row["default"] = option.fallback != 0;
    if (option.kind == option_kind::text) row["default"] = nullptr;
    if (is_number) row["minimum"] = option.minimum;
    if (is_number && option.maximum != base::option_no_maximum) row["maximum"] = option.maximum;
    if (option.kind == option_kind::choice) row["choices"] = split_choices(option.choices);
    row["accepts"] = base::describe_accepted(option).view();
    row["help"] = option.help;
    list.push_back(row);
  }
  return list.dump(2) + "\n";
}

}  // namespace acre::tool
