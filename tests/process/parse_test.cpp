/// Goal: what the parsers make of the texts of /proc. Method: lines as kernels of several versions
/// write them, damaged lines, and lines of kernels to come.
#include <acre/os/cgroup.hpp>
#include <acre/os/page_map.hpp>
#include <acre/os/process_maps.hpp>
#include <acre/os/process_status.hpp>

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace acre::os;
using enum memory_field;

TEST(parse_mapping, reads_a_line_of_a_file) {
  const auto mapping = parse_mapping(
      "55d0c8a00000-55d0c8a21000 r-xp 00012000 fe:1a 247134                     /usr/bin/cat");
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->start, 0x55d0c8a00000U);
  EXPECT_EQ(mapping->size_bytes(), 0x21000U);
  EXPECT_EQ(mapping->offset, 0x12000U);
  EXPECT_EQ(mapping->device_major, 0xfeU);
  EXPECT_EQ(mapping->device_minor, 0x1aU);
  EXPECT_EQ(mapping->inode, 247134U);
  EXPECT_EQ(mapping->name, "/usr/bin/cat");
  EXPECT_STREQ(mapping->protection().data(), "r-xp");
  EXPECT_FALSE(mapping->deleted);
  EXPECT_TRUE(mapping->contains(0x55d0c8a20fff));
  EXPECT_FALSE(mapping->contains(0x55d0c8a21000));
}

TEST(parse_mapping, reads_narrow_addresses_and_the_highest_page) {
  const auto narrow = parse_mapping("08048000-08056000 r-xp 00000000 03:0c 64593   /usr/sbin/gpm");
  ASSERT_TRUE(narrow);
  EXPECT_EQ(narrow->start, 0x08048000U);
  const auto highest = parse_mapping(
      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]");
  ASSERT_TRUE(highest);
  EXPECT_EQ(highest->name, "[vsyscall]");
  EXPECT_EQ(highest->end, 0xffffffffff601000U);
}

TEST(parse_mapping, keeps_strange_names_whole) {
  const auto name_of = [](std::string_view name) {
    const auto mapping = parse_mapping("1000-2000 rw-s 00000000 00:01 7 " + std::string(name));
    return mapping ? mapping->name + (mapping->deleted ? "|deleted" : "") : "none";
  };
  EXPECT_EQ(name_of(""), "");
  EXPECT_EQ(name_of("/tmp/with two  blanks "), "/tmp/with two  blanks ");
  EXPECT_EQ(name_of("/tmp/a\\012b"), "/tmp/a\nb");
  EXPECT_EQ(name_of("/tmp/back\\slash\\040"), "/tmp/back\\slash\\040");
  EXPECT_EQ(name_of("/tmp/gone (deleted)"), "/tmp/gone|deleted");
  EXPECT_EQ(name_of("/tmp/x (deleted) (deleted)"), "/tmp/x (deleted)|deleted");
  EXPECT_EQ(name_of("/memfd:a b (deleted)"), "/memfd:a b|deleted");
  EXPECT_EQ(name_of("[anon:acre-heap]"), "[anon:acre-heap]");
}

TEST(parse_mapping, refuses_what_is_none) {
  for (const auto* line :
       {"", " ", "-", "1000", "1000-", "1000-2000", "2000-1000 r--p 0 0:0 0",
        "1000-1000 r--p 0 0:0 0", "1000-2000 r--p", "1000-2000 r--p 0 0:0",
        "1000-2000 r--q 0 0:0 0", "1000-2000 r--pp 0 0:0 0", "1000-2000 r--p x 0:0 0",
        "1000-2000 r--p 0 00 0", "1000-2000 r--p 0 0:0 -1",
        "10000000000000000-20000000000000000 r--p 0 0:0 0", "0x1000-0x2000 r--p 0 0:0 0",
        "1000-2000 r--p 0 0:0 99999999999999999999"}) {
    EXPECT_FALSE(parse_mapping(line)) << line;
  }
}

TEST(parse_maps, counts_lines_that_it_cannot_read) {
  const auto maps = parse_maps("1000-2000 r--p 0 0:0 0\nrubbish\n\n3000-4000 ---p 0 0:0 0");
  ASSERT_EQ(maps.mappings.size(), 2U);
  EXPECT_EQ(maps.mappings[1].start, 0x3000U);
  EXPECT_EQ(maps.unreadable_lines, 2U);
  EXPECT_TRUE(parse_maps("").mappings.empty());
}

constexpr std::string_view two_mappings =
    "1000-3000 rw-p 00000000 00:00 0                          [heap]\n"
    "Size:                  8 kB\n"
    "KernelPageSize:        4 kB\n"
    "MMUPageSize:           4 kB\n"
    "Rss:                   8 kB\n"
    "Pss:                   6 kB\n"
    "Pss_Dirty:             4 kB\n"
    "Private_Dirty:         4 kB\n"
    "Swap:                  3 kB\n"
    "Locked:                4 kB\n"
    "THPeligible:           1\n"
    "ProtectionKey:         5\n"
    "VmFlags: rd wr mr mw me lo ac \n"
    "5000-6000 r--s 00001000 fe:00 12                         /etc/x (deleted)\n"
    "Size:                  4 kB\n"
    "Rss:                   4 kB\n"
    "Pss:                   1 kB\n"
    "FutureAmount:          7 kB\n"
    "FutureText:    anything: at all\n"
    "VmFlags: rd sh zz\n";

TEST(parse_smaps, reads_figures_flags_and_keys) {
  const auto usage = parse_smaps(two_mappings);
  ASSERT_EQ(usage.mappings.size(), 2U);
  EXPECT_EQ(usage.unreadable_lines, 0U);
  const auto& heap = usage.mappings[0];
  EXPECT_EQ(heap.mapping.name, "[heap]");
  EXPECT_EQ(heap.memory[rss], 8192U);
  EXPECT_EQ(heap.memory[pss], 6144U);
  EXPECT_EQ(heap.memory[kernel_page_size], 4096U);
  EXPECT_EQ(heap.memory.dirty_bytes(), 4096U);
  EXPECT_EQ(heap.thp_eligible, true);
  EXPECT_EQ(heap.protection_key, 5U);
  EXPECT_EQ(heap.flags, "rd wr mr mw me lo ac");
  EXPECT_TRUE(heap.has_flag("lo") && heap.has_flag("rd") && heap.has_flag("ac"));
  EXPECT_FALSE(heap.has_flag("sh") || heap.has_flag("d ") || heap.has_flag(""));
}

TEST(parse_smaps, keeps_what_later_kernels_add) {
  const auto usage = parse_smaps(two_mappings);
  ASSERT_EQ(usage.mappings[1].other.size(), 1U);
  EXPECT_EQ(usage.mappings[1].other[0].first, "FutureAmount");
  EXPECT_EQ(usage.mappings[1].other[0].second, 7 * 1024U);
  EXPECT_TRUE(usage.mappings[1].has_flag("zz"));
}

TEST(parse_smaps, sums_amounts_and_not_page_sizes) {
  const auto total = parse_smaps(two_mappings).total();
  EXPECT_EQ(total[size], 12 * 1024U);
  EXPECT_EQ(total[rss], 12 * 1024U);
  EXPECT_EQ(total[pss], 7 * 1024U);
  EXPECT_EQ(total[swap], 3 * 1024U);
  EXPECT_EQ(total[kernel_page_size], 0U);
}

TEST(parse_smaps, figures_without_a_mapping_belong_to_none) {
  const auto usage =
      parse_smaps("Rss: 4 kB\n1000-2000 r--p 0 0:0 0\nRss: 4 kB\nbroken\nRss: 8 kB\n");
  ASSERT_EQ(usage.mappings.size(), 1U);
  EXPECT_EQ(usage.mappings[0].memory[rss], 4096U);
  EXPECT_EQ(usage.unreadable_lines, 3U);
}

TEST(parse_smaps, refuses_damaged_figures) {
  for (const auto* line : {"Rss:", "Rss: kB", "Rss: 4", "Rss: 4 MB", "Rss: -4 kB", "Rss 4 kB",
                           "Rss: 99999999999999999999 kB", "Rss: 18446744073709551615 kB"}) {
    const auto usage = parse_smaps("1000-2000 r--p 0 0:0 0\n" + std::string(line) + "\n");
    EXPECT_EQ(usage.unreadable_lines, 1U) << line;
    EXPECT_EQ(usage.mappings.at(0).memory[rss], 0U) << line;
  }
}

TEST(parse_smaps_rollup, reads_all_and_takes_nothing_for_zeros) {
  const auto all = parse_smaps_rollup(
      "5555e7f4f000-7ffc05462000 ---p 00000000 00:00 0                          [rollup]\n"
      "Rss:                1728 kB\nPss:                 326 kB\nPss_Anon:            112 kB\n"
      "SwapPss:               9 kB\n");
  EXPECT_EQ(all[rss], 1728 * 1024U);
  EXPECT_EQ(all[pss_anon], 112 * 1024U);
  EXPECT_EQ(all[swap_pss], 9 * 1024U);
  EXPECT_EQ(parse_smaps_rollup(""), memory_counts{});
}

TEST(memory_field_names, are_those_of_the_kernel) {
  EXPECT_EQ(memory_field_name(size), "Size");
  EXPECT_EQ(memory_field_name(locked), "Locked");
  EXPECT_EQ(memory_field_name(memory_field::count), "");
}

TEST(parse_status, reads_a_process) {
  const auto status = parse_status(
      "Name:\tstrange \\n\\\\ name\nUmask:\t0022\nState:\tT "
      "(stopped)\nTgid:\t42\nPid:\t43\nPPid:\t7\n"
      "TracerPid:\t9\nUid:\t1000\t1001\t1000\t1000\nNSpid:\t42\t3\t1\nKthread:\t0\n"
      "VmPeak:\t    3060 kB\nVmSize:\t    3000 kB\nVmHWM:\t 20 kB\nVmRSS:\t 12 kB\nRssShmem:\t 0 "
      "kB\n"
      "VmPTE:\t      44 kB\nThreads:\t5\nNewLine:\twhatever\nno colon here\n");
  EXPECT_EQ(status.name, "strange \n\\ name");
  EXPECT_EQ(status.state, 'T');
  EXPECT_EQ(status.pid, 42);
  EXPECT_EQ(status.parent, 7);
  EXPECT_EQ(status.tracer, 9);
  EXPECT_EQ(status.user, 1000U);
  EXPECT_EQ(status.effective_user, 1001U);
  EXPECT_EQ(status.ns_pids, (std::vector<pid_t>{42, 3, 1}));
  EXPECT_EQ(status.threads, 5U);
  EXPECT_EQ(status.vm_size, 3000 * 1024U);
  EXPECT_EQ(status.rss_shmem, 0U);
  EXPECT_EQ(status.page_tables, 44 * 1024U);
  EXPECT_FALSE(status.swap);
  EXPECT_TRUE(status.has_memory());
  EXPECT_FALSE(status.has_ended());
}

TEST(parse_status, of_a_kernel_thread_or_a_zombie_has_no_memory) {
  const auto status = parse_status("Name:\tkthreadd\nState:\tS (sleeping)\nKthread:\t1\n");
  EXPECT_TRUE(status.kernel_thread);
  EXPECT_FALSE(status.has_memory());
  EXPECT_TRUE(parse_status("State:\tZ (zombie)\n").has_ended());
  EXPECT_EQ(parse_status("").state, '?');
}

TEST(parse_limits, reads_names_with_any_number_of_words) {
  const auto limits = parse_limits(
      "Limit                     Soft Limit           Hard Limit           Units     \n"
      "Max cpu time              unlimited            unlimited            seconds   \n"
      "Max locked memory         8388608              unlimited            bytes     \n"
      "Max nice priority         0                    5                    \n"
      "Max something wholly new  1                    2                    apples    \n"
      "Max rubbish               some                 words\n"
      "7 8 bytes\n");
  ASSERT_EQ(limits.limits.size(), 4U);
  EXPECT_EQ(limits.unreadable_lines, 2U);
  const auto* const locked_memory = limits.find("Max locked memory");
  ASSERT_NE(locked_memory, nullptr);
  EXPECT_EQ(locked_memory->soft, 8388608U);
  EXPECT_FALSE(locked_memory->hard);
  EXPECT_EQ(locked_memory->unit, "bytes");
  EXPECT_EQ(limits.find("Max nice priority")->hard, 5U);
  EXPECT_EQ(limits.find("Max nice priority")->unit, "");
  EXPECT_EQ(limits.find("Max something wholly new")->unit, "apples");
  EXPECT_EQ(limits.find("Max"), nullptr);
}

TEST(parse_cgroup, reads_both_versions) {
  const auto groups = parse_cgroup(
      "9:name=systemd:/\n4:cpu,memory:/a:b/c\n0::/user.slice\nx:y:/z\n5:io\n6:io:relative\n");
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].controllers, std::vector<std::string>{"name=systemd"});
  EXPECT_EQ(groups[1].path, "/a:b/c");
  EXPECT_EQ(groups[1].controllers, (std::vector<std::string>{"cpu", "memory"}));
  EXPECT_EQ(groups[2].hierarchy, 0U);
  EXPECT_TRUE(groups[2].controllers.empty());
}

TEST(parse_mountinfo, passes_over_any_number_of_tags) {
  const auto mounts = parse_mountinfo(
      "31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 master:1 future - cgroup2 cgroup2 "
      "rw,nsdelegate\n"
      "32 23 0:28 /a\\040b /mnt/two\\040words rw - cgroup none rw,memory\n"
      "33 23 0:29 / /cut rw\n");
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].type, "cgroup2");
  EXPECT_EQ(mounts[0].point, "/sys/fs/cgroup");
  EXPECT_EQ(mounts[1].root, "/a b");
  EXPECT_EQ(mounts[1].point, "/mnt/two words");
  EXPECT_EQ(mounts[1].super_options, "rw,memory");
}

TEST(parse_cgroup_limit, knows_all_ways_to_say_none) {
  for (const auto* none : {"max\n", "-1\n", "9223372036854771712\n", "9223372036854775807"}) {
    const auto limit = parse_cgroup_limit(none);
    ASSERT_TRUE(limit) << none;
    EXPECT_FALSE(*limit) << none;
  }
  EXPECT_EQ(parse_cgroup_limit("4096\n"), std::optional<std::uint64_t>(4096));
  for (const auto* wrong : {"", "\n", "minimum", "-2", "4096 bytes"})
    EXPECT_FALSE(parse_cgroup_limit(wrong)) << wrong;
}

TEST(parse_pressure, reads_the_lines_that_are_there) {
  const auto both = parse_pressure(
      "some avg10=1.50 avg60=0.25 avg300=0.00 total=12345\n"
      "full avg10=0.50 avg60=0.00 avg300=0.00 avg900=9.99 total=99\nnew line=1\n");
  ASSERT_TRUE(both.some && both.full);
  EXPECT_DOUBLE_EQ(both.some->average_10s, 1.5);
  EXPECT_DOUBLE_EQ(both.some->average_60s, 0.25);
  EXPECT_EQ(both.some->total_us, 12345U);
  EXPECT_EQ(both.full->total_us, 99U);
  const auto cpu = parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
  EXPECT_TRUE(cpu.some);
  EXPECT_FALSE(cpu.full);
  EXPECT_FALSE(parse_pressure("some avg10=nan total=-1\n").some);
}

TEST(page_entry, has_the_bits_of_the_kernel) {
  const page_entry present{std::uint64_t{1} << 63U | std::uint64_t{1} << 61U | 0x1234};
  EXPECT_TRUE(present.present() && present.of_file());
  EXPECT_FALSE(present.swapped() || present.soft_dirty() || present.guard());
  EXPECT_EQ(present.frame(), 0x1234U);
  const page_entry swapped{std::uint64_t{1} << 62U | 0x1234};
  EXPECT_TRUE(swapped.swapped());
  EXPECT_EQ(swapped.frame(), 0U);
}

TEST(checked_spans, join_what_continues_and_drop_what_cannot_be) {
  const std::array<page_span, 7> given{
      {{0, 1, 1}, {10, 20, 1}, {20, 30, 1}, {30, 40, 2}, {35, 45, 2}, {50, 50, 1}, {90, 101, 1}}};
  const auto spans = checked_spans(given, 5, 100);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0], (page_span{10, 30, 1}));
  EXPECT_EQ(spans[1], (page_span{30, 40, 2}));
}

}  // namespace
