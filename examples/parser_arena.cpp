/// A parser that builds its tree in an arena: nodes are made without thinking of their end, a wrong
/// guess is rolled back to a marker, and the whole tree goes at once.
///
/// The grammar has assignments and sums; whether a line is one or the other is found out by trying.
#include <acre/region/arena.hpp>
#include <acre/region/containers.hpp>

#include <cctype>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

namespace {

namespace region = acre::region;

struct node {
  enum class kind { number, name, sum, assignment } what;
  std::string_view text = {};
  long number = 0;
  node* left = nullptr;
  node* right = nullptr;
};

class parser {
 public:
  parser(std::string_view text, region::arena& arena) : text_(text), arena_(&arena) {}

  /// A line: an assignment, or else a sum. Null where it is neither.
  node* line() {
    const region::arena::marker before = arena_->mark();
    const std::string_view start = text_;
    if (node* const made = assignment(); made != nullptr && text_.empty()) return made;
    // The nodes of the failed attempt are gone, and their memory is used again.
    arena_->rollback(before);
    text_ = start;
    node* const made = sum();
    return made != nullptr && text_.empty() ? made : nullptr;
  }

 private:
  node* assignment() {
    node* const left = operand();
    if (left == nullptr || left->what != node::kind::name || !take('=')) return nullptr;
    node* const right = sum();
    if (right == nullptr) return nullptr;
    return arena_->make<node>(node::kind::assignment, left->text, 0L, left, right);
  }

  node* sum() {
    node* left = operand();
    while (left != nullptr && take('+')) {
      node* const right = operand();
      if (right == nullptr) return nullptr;
      left = arena_->make<node>(node::kind::sum, std::string_view{}, 0L, left, right);
    }
    return left;
  }

  node* operand() {
    std::size_t length = 0;
    while (length < text_.size() && std::isalnum(static_cast<unsigned char>(text_[length])) != 0)
      ++length;
    if (length == 0) return nullptr;
    const std::string_view word = text_.substr(0, length);
    text_.remove_prefix(length);
    long number = 0;
    if (std::from_chars(word.data(), word.data() + word.size(), number).ptr ==
        word.data() + word.size()) {
      return arena_->make<node>(node::kind::number, word, number);
    }
    // The source text may go; the tree keeps its own copy.
    return arena_->make<node>(node::kind::name, arena_->copy(word));
  }

  bool take(char wanted) {
    if (text_.empty() || text_.front() != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::string_view text_;
  region::arena* arena_;
};

using values = region::map<std::string_view, long>;

long evaluate(const node& tree, values& known) {
  switch (tree.what) {
    case node::kind::number:
      return tree.number;
    case node::kind::name:
      return known.contains(tree.text) ? known.at(tree.text) : 0;
    case node::kind::sum:
      return evaluate(*tree.left, known) + evaluate(*tree.right, known);
    case node::kind::assignment:
      break;
  }
  return known[tree.text] = evaluate(*tree.right, known);
}

}  // namespace

int main() {
  region::arena program({.name = "program"});
  values known(program);
  bool is_right = true;
  const auto expect = [&](std::string_view text, std::optional<long> wanted) {
    const node* const tree = parser(text, program).line();
    const bool is_same = tree != nullptr ? wanted == evaluate(*tree, known) : !wanted.has_value();
    if (!is_same) std::printf("wrong: %.*s\n", static_cast<int>(text.size()), text.data());
    is_right = is_right && is_same;
  };
  expect("x=1+2", 3);
  expect("y=x+x+10", 16);
  expect("x+y", 19);
  expect("1+", std::nullopt);
  expect("=1", std::nullopt);
  const region::arena_statistics used = program.statistics();
  std::printf("tree and names in %zu bytes, %zu block, %zu destructors to run\n", used.used_bytes,
              used.blocks, used.destructors);
  return is_right ? 0 : 1;
}
