#include "bytes/dispatch.hpp"

#include <acre/bytes/instruction_set.hpp>

#include "bytes/kernels.hpp"

#include <array>
#include <atomic>
#include <utility>

namespace acre::bytes {
namespace {

using detail::kernel_table;

/// Written by `use_instruction_set` and by the first search; read by every search. Relaxed: all
/// that it points to is constant.
constinit std::atomic<const kernel_table*> table_in_use{nullptr};

const kernel_table* kernels_of(instruction_set set) noexcept {
  switch (set) {
    case instruction_set::portable:
      return detail::portable_kernels;
    case instruction_set::neon:
      return detail::neon_kernels;
    case instruction_set::sse2:
      return detail::sse2_kernels;
    case instruction_set::avx2:
      return detail::avx2_kernels;
    case instruction_set::avx512:
      return detail::avx512_kernels;
  }
  return nullptr;
}

bool processor_has(instruction_set set) noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (set == instruction_set::avx2) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  }
  if (set == instruction_set::avx512) {
    return processor_has(instruction_set::avx2) && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
  }
#endif
  return kernels_of(set) != nullptr;
}

constexpr std::array best_first{instruction_set::avx512, instruction_set::avx2,
                                instruction_set::sse2, instruction_set::neon,
                                instruction_set::portable};

/// The best supported, unless another thread has decided meanwhile.
const kernel_table& choose() noexcept {
  const kernel_table* chosen = nullptr;
  for (const instruction_set set : best_first) {
    if (chosen == nullptr && is_supported(set)) chosen = kernels_of(set);
  }
  const kernel_table* decided = nullptr;
  const bool is_first =
      table_in_use.compare_exchange_strong(decided, chosen, std::memory_order_relaxed);
  return is_first ? *chosen : *decided;
}

}  // namespace

std::string_view name(instruction_set set) noexcept {
  constexpr std::array<std::string_view, 5> names{"portable", "neon", "sse2", "avx2", "avx512"};
  const auto index = static_cast<std::size_t>(set);
  return index < names.size() ? names[index] : "unknown";
}

bool is_supported(instruction_set set) noexcept {
  return kernels_of(set) != nullptr && processor_has(set);
}

instruction_set instruction_set_in_use() noexcept {
  const kernel_table* table = &detail::kernels();
  for (const instruction_set set : best_first) {
    if (kernels_of(set) == table) return set;
  }
  return instruction_set::portable;
}

bool use_instruction_set(instruction_set set) noexcept {
  if (!is_supported(set)) return false;
  table_in_use.store(kernels_of(set), std::memory_order_relaxed);
  return true;
}

const kernel_table& detail::kernels() noexcept {
  const kernel_table* table = table_in_use.load(std::memory_order_relaxed);
  return table != nullptr ? *table : choose();
}

}  // namespace acre::bytes
