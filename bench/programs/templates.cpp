// A translation unit that makes a compiler work: containers, algorithms, recursive templates.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N>
struct chain {
  using type = std::tuple<chain<N - 1>, std::integral_constant<int, N>>;
  std::map<std::string, std::vector<chain<N - 1>*>> links;
  static constexpr int sum = N + chain<N - 1>::sum;
};
template <>
struct chain<0> {
  static constexpr int sum = 0;
};

template <typename... Types>
std::size_t total(const std::tuple<Types...>& values) {
  return std::apply([](const auto&... each) { return (sizeof(each) + ... + 0); }, values);
}

template <int N>
int visit(std::variant<int, std::string, std::vector<double>, chain<N>> value) {
  return std::visit([](const auto& held) { return static_cast<int>(sizeof(held)) + N; }, value);
}

template <int... N>
int visit_all(std::integer_sequence<int, N...>) {
  return (visit<N>({}) + ... + 0) + (chain<N>::sum + ... + 0);
}

int main() {
  std::unordered_map<std::string, std::function<int(int)>> table;
  table["one"] = [](int x) { return x + 1; };
  std::set<std::tuple<int, std::string, double>> ordered{{1, "a", 2.0}};
  std::vector<int> numbers(100);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::sort(numbers.begin(), numbers.end(), std::greater<>{});
  return visit_all(std::make_integer_sequence<int, 8>{}) +
         static_cast<int>(total(std::make_tuple(1, 2.0, std::string{}))) + table["one"](1) +
         static_cast<int>(ordered.size());
}
