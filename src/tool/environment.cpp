#include "tool/environment.hpp"

#include "base/option_parser.hpp"
#include "tool/error.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

namespace acre::tool {
namespace {

bool names(std::string_view entry, std::string_view name) {
  return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const auto item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    if (item.find_first_not_of(' ') != std::string_view::npos) items.emplace_back(item);
  }
  return items;
}

/// What is wrong with one item; empty when nothing is.
std::string problem_of(std::string_view item) {
  std::string text;
  base::option_values values;
  const auto sink = [](const base::option_problem& problem, void* context) noexcept {
    *static_cast<std::string*>(context) = base::describe_problem(problem).view();
  };
  base::parse_options(item, values, sink, &text);
  return text;
}

bool is_summary_path(std::string_view item) {
  return names(item, "summary_path");
}

void require_given(std::string_view item) {
  if (const auto problem = problem_of(item); !problem.empty())
    throw error(exit_code::misuse, problem);
  if (is_summary_path(item)) {
    throw error(exit_code::misuse,
                "option summary_path is set by 'acre run' itself; use --json FILE to keep the "
                "figures");
  }
}

}  // namespace

environment environment::inherited() {
  environment result;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
    result.entries_.emplace_back(*entry);
  return result;
}

std::string_view environment::get(std::string_view name) const noexcept {
  for (const auto& entry : entries_)
    if (names(entry, name)) return std::string_view(entry).substr(name.size() + 1);
  return {};
}

void environment::set(std::string_view name, std::string_view value) {
  unset(name);
  entries_.push_back(fmt::format("{}={}", name, value));
}

void environment::unset(std::string_view name) {
  std::erase_if(entries_, [&](const std::string& entry) { return names(entry, name); });
}

std::vector<char*> exec_pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  // execve takes char* for historical reasons and does not write through it.
  for (const auto& text : texts)
    pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::string prepend_preload(std::string_view library, std::string_view existing) {
  const auto first = existing.substr(0, existing.find_first_of(" :"));
  if (first == library) return std::string(existing);
  return existing.empty() ? std::string(library) : fmt::format("{}:{}", library, existing);
}

std::string merge_options(std::string_view inherited, const std::vector<std::string>& given,
                          std::vector<std::string>& warnings) {
  std::string merged;
  const auto append = [&](std::string_view item) {
    merged += merged.empty() ? "" : ",";
    merged += item;
  };
  for (const auto& item : split_list(inherited)) {
    if (const auto problem = problem_of(item); !problem.empty())
      warnings.push_back("ACRE_OPTIONS: " + problem);
    else if (!is_summary_path(item))  // that of an outer `acre run`
      append(item);
  }
  // Later items win, in the library too.
  for (const auto& list : given) {
    const auto items = split_list(list);
    if (items.empty()) {
      throw error(exit_code::misuse,
                  fmt::format("--option does not take '{}'; it takes NAME=VALUE, such as "
                              "thp=large; 'acre options' lists the names",
                              list));
    }
    for (const auto& item : items) {
      require_given(item);
      append(item);
    }
  }
  return merged;
}

}  // namespace acre::tool
