// Many short-lived binary trees beside one that stays: nodes of one small size, made and dropped
// depth first with new and delete.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <memory>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1, 2}, parameter{"depth", 18, 10},
                                parameter{"passes", 1, 1}};

struct node {
  std::unique_ptr<node> left;
  std::unique_ptr<node> right;
};

std::unique_ptr<node> grow(std::size_t depth) {
  auto made = std::make_unique<node>();
  if (depth > 0) {
    made->left = grow(depth - 1);
    made->right = grow(depth - 1);
  }
  return made;
}

std::uint64_t count(const node& top) {
  return top.left ? 1 + count(*top.left) + count(*top.right) : 1;
}

std::uint64_t plant(std::size_t depth_max) {
  const std::unique_ptr<node> staying = grow(depth_max);
  std::uint64_t sum = 0;
  for (std::size_t depth = 4; depth <= depth_max; depth += 4)
    for (std::size_t trees = std::size_t{1} << (depth_max - depth + 4); trees != 0; --trees)
      sum += count(*grow(depth));
  return sum + count(*staying);
}

std::uint64_t run(const arguments& given) {
  return on_threads(given["threads"], [&](std::size_t) {
    std::uint64_t sum = 0;
    for (std::size_t pass = 0; pass < given["passes"]; ++pass)
      sum += plant(given["depth"]);
    return sum;
  });
}

}  // namespace

const workload binary_trees{"binary-trees", "short-lived trees beside one that stays", parameters,
                            run};

}  // namespace acre::bench
