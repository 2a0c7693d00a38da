// A server without a socket: each request parses into a small tree of strings and vectors, looks
// into a cache with bounded size, builds an answer by appending, and drops all but what the cache
// keeps. Lifetimes are mostly nested, with a few long ones in between.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1, 2}, parameter{"requests", 100000, 500},
                                parameter{"cached", 4000, 100}, parameter{"fields", 12, 12}};

struct field {
  std::string name;
  std::string value;
  std::vector<std::unique_ptr<field>> children;
};

std::unique_ptr<field> parse(random_source& random, std::size_t fields, std::size_t depth) {
  auto parsed = std::make_unique<field>();
  parsed->name.assign(random.between(4, 40), 'n');
  parsed->value.assign(random.skewed(4, 600), 'v');
  if (depth == 0) return parsed;
  for (std::size_t child = random.below(fields); child != 0; --child)
    parsed->children.push_back(parse(random, fields / 2 + 1, depth - 1));
  return parsed;
}

void print(const field& from, std::string& answer) {
  answer += from.name;
  answer += ": ";
  answer += from.value;
  answer += '\n';
  for (const auto& child : from.children)
    print(*child, answer);
}

/// Keeps the newest answers by key.
class answer_cache {
 public:
  explicit answer_cache(std::size_t entries_max) : entries_max_{entries_max} {}

  const std::string* find(const std::string& key) const {
    const auto found = answers_.find(key);
    return found == answers_.end() ? nullptr : found->second.get();
  }
  void put(const std::string& key, std::string answer) {
    if (!answers_.try_emplace(key, std::make_shared<std::string>(std::move(answer))).second) return;
    order_.push_back(key);
    if (order_.size() <= entries_max_) return;
    answers_.erase(order_.front());
    order_.pop_front();
  }

 private:
  std::size_t entries_max_;
  std::unordered_map<std::string, std::shared_ptr<std::string>> answers_;
  std::deque<std::string> order_;
};

std::uint64_t serve(const arguments& given, random_source random) {
  answer_cache cache{given["cached"]};
  std::uint64_t sum = 0;
  for (std::size_t request = given["requests"]; request != 0; --request) {
    const std::unique_ptr<field> parsed = parse(random, given["fields"], 3);
    const std::string key =
        "/account/statement/" + std::to_string(random.below(given["cached"] * 2));
    if (const std::string* known = cache.find(key)) {
      sum += known->size();
      continue;
    }
    std::string answer;
    print(*parsed, answer);
    sum += answer.size();
    if (answer.size() < 4000) cache.put(key, std::move(answer));
  }
  return sum;
}

std::uint64_t run(const arguments& given) {
  return on_threads(given["threads"],
                    [&](std::size_t index) { return serve(given, random_source{index + 1}); });
}

}  // namespace

const workload requests{"requests", "a server's requests, answers and cache", parameters, run};

}  // namespace acre::bench
