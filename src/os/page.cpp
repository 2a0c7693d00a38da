#include <acre/os/page.hpp>

#include "os/number_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include <unistd.h>

namespace acre::os {

namespace {

constexpr const char* mode_file = "/sys/kernel/mm/transparent_hugepage/enabled";
constexpr const char* size_file = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
constexpr const char* pool_folder = "/sys/kernel/mm/hugepages";

/// The size of pages that a folder such as "hugepages-2048kB" is for; 0 for another name.
std::size_t size_in_name(std::string_view name) noexcept {
  constexpr std::string_view prefix = "hugepages-";
  if (!name.starts_with(prefix)) return 0;
  name.remove_prefix(prefix.size());
  std::size_t kib = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), kib);
  return error == std::errc{} ? kib * 1024 : 0;
}

std::size_t count_in(const std::filesystem::path& file) {
  return static_cast<std::size_t>(read_number(file.c_str()).value_or(0));
}

}  // namespace

std::size_t page_size() noexcept {
  static const auto size_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size_bytes;
}

result<transparent_huge_pages> transparent_huge_page_mode() noexcept {
  std::array<char, 128> buffer{};
  const auto text = read_into_buffer(mode_file, buffer);
  if (!text) return std::unexpected(text.error());
  if (text->contains("[always]")) return transparent_huge_pages::always;
  if (text->contains("[madvise]")) return transparent_huge_pages::on_advice;
  return transparent_huge_pages::never;
}

result<std::size_t> transparent_huge_page_size() noexcept {
  const auto size_bytes = read_number(size_file);
  if (!size_bytes) return std::unexpected(size_bytes.error());
  return static_cast<std::size_t>(*size_bytes);
}

std::vector<huge_page_pool> huge_page_pools() {
  std::vector<huge_page_pool> pools;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(pool_folder, absent)) {
    const std::size_t size_bytes = size_in_name(entry.path().filename().native());
    if (size_bytes == 0) continue;
    pools.push_back({.page_size_bytes = size_bytes,
                     .pages = count_in(entry.path() / "nr_hugepages"),
                     .free_pages = count_in(entry.path() / "free_hugepages"),
                     .reserved_pages = count_in(entry.path() / "resv_hugepages"),
                     .surplus_pages = count_in(entry.path() / "surplus_hugepages")});
  }
  std::ranges::sort(pools, {}, &huge_page_pool::page_size_bytes);
  return pools;
}

}  // namespace acre::os
