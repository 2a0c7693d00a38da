#pragma once

#include <acre/region/allocator.hpp>
#include <acre/region/arena.hpp>

#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

/// The standard containers over a region, by default an arena:
///
///     acre::region::arena requests;
///     acre::region::vector<int> numbers(requests);
///
/// See `region_allocator` for what they may do. Elements are not given the region by themselves: a
/// vector of strings in one arena is `vector<region::string<>>` and each string is made with it.
namespace acre::region {

template <class T, class Region = arena>
using vector = std::vector<T, region_allocator<T, Region>>;

template <class T, class Region = arena>
using deque = std::deque<T, region_allocator<T, Region>>;

template <class T, class Region = arena>
using list = std::list<T, region_allocator<T, Region>>;

template <class T, class Region = arena>
using forward_list = std::forward_list<T, region_allocator<T, Region>>;

template <class Region = arena>
using string = std::basic_string<char, std::char_traits<char>, region_allocator<char, Region>>;

template <class Key, class Value, class Region = arena, class Less = std::less<Key>>
using map = std::map<Key, Value, Less, region_allocator<std::pair<const Key, Value>, Region>>;

template <class Key, class Region = arena, class Less = std::less<Key>>
using set = std::set<Key, Less, region_allocator<Key, Region>>;

template <class Key, class Value, class Region = arena, class Hash = std::hash<Key>,
          class Equal = std::equal_to<Key>>
using unordered_map = std::unordered_map<Key, Value, Hash, Equal,
                                         region_allocator<std::pair<const Key, Value>, Region>>;

template <class Key, class Region = arena, class Hash = std::hash<Key>,
          class Equal = std::equal_to<Key>>
using unordered_set = std::unordered_set<Key, Hash, Equal, region_allocator<Key, Region>>;

}  // namespace acre::region
