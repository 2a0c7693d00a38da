// Heavy templates: the compiler makes and drops millions of small objects.
#include <algorithm>
#include <array>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <ranges>
#include <regex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

template <unsigned long Number>
struct fibonacci {
  static constexpr unsigned long value =
      fibonacci<Number - 1>::value + fibonacci<Number - 2>::value;
};
template <>
struct fibonacci<0> {
  static constexpr unsigned long value = 0;
};
template <>
struct fibonacci<1> {
  static constexpr unsigned long value = 1;
};

template <std::size_t... Index>
constexpr auto make_tuple_of(std::index_sequence<Index...>) {
  return std::make_tuple(std::integral_constant<std::size_t, Index * Index>{}...);
}

template <class Tuple>
std::size_t sum_of(const Tuple& tuple) {
  return std::apply([](auto... each) { return (std::size_t{0} + ... + each()); }, tuple);
}

template <std::size_t Depth>
struct nested {
  using type = std::map<int, typename nested<Depth - 1>::type>;
};
template <>
struct nested<0> {
  using type = std::variant<int, std::string, std::vector<double>>;
};

int main() {
  std::cout << fibonacci<90>::value << '\n';
  std::cout << sum_of(make_tuple_of(std::make_index_sequence<200>{})) << '\n';
  nested<5>::type deep;
  deep[1][2][3][4][5] = std::string("deep");
  std::cout << std::get<std::string>(deep[1][2][3][4][5]) << '\n';
  std::unordered_map<std::string, std::function<int(int)>> functions;
  for (int i : std::views::iota(0, 10))
    functions[std::to_string(i)] = [i](int n) { return n * i; };
  std::cout << functions["7"](6) << '\n';
  const std::regex pattern("([a-z]+)-(\\d+)");
  std::cout << std::regex_replace(std::string("abc-123 def-456"), pattern, "$2:$1") << '\n';
}
