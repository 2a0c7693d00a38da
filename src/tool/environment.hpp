#pragma once

#include <string>
#include <string_view>
#include <vector>

/// The environment in which `acre run` starts its command.
namespace acre::tool {

/// A list of "NAME=value", as execve takes it.
class environment {
 public:
  /// The tool's own.
  [[nodiscard]] static environment inherited();

  /// The value of a variable; empty when it is not set.
  [[nodiscard]] std::string_view get(std::string_view name) const noexcept;
  void set(std::string_view name, std::string_view value);
  void unset(std::string_view name);

  [[nodiscard]] const std::vector<std::string>& entries() const noexcept { return entries_; }

 private:
  std::vector<std::string> entries_;
};

/// The texts as execve takes them: pointers with a null behind. They die with the texts.
[[nodiscard]] std::vector<char*> exec_pointers(const std::vector<std::string>& texts);

/// Puts the library in front of what is preloaded already.
[[nodiscard]] std::string prepend_preload(std::string_view library, std::string_view existing);

/// Joins the options of ACRE_OPTIONS and of the command line; the command line wins.
///
/// Effects:  items of `inherited` that no option takes are left out, and described in `warnings`.
/// Throws:   error when `given`, the command line's own, has such an item.
[[nodiscard]] std::string merge_options(std::string_view inherited,
                                        const std::vector<std::string>& given,
                                        std::vector<std::string>& warnings);

}  // namespace acre::tool
