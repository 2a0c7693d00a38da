// Which kernel runs this, and whether on a machine of its own.

#include "tool/machine_cpuid.hpp"
#include "tool/machine_description.hpp"
#include "tool/machine_kernel_files.hpp"

#include <array>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <sys/utsname.h>

namespace acre::tool {
namespace {

/// The twelve letters with which hypervisors answer CPUID leaf 0x40000000.
constexpr std::array hypervisors{
    std::pair{"KVMKVMKVM", "KVM"},          std::pair{"TCGTCGTCGTCG", "QEMU without KVM"},
    std::pair{"Microsoft Hv", "Hyper-V"},   std::pair{"VMwareVMware", "VMware"},
    std::pair{"XenVMMXenVMM", "Xen"},       std::pair{"VBoxVBoxVBox", "VirtualBox"},
    std::pair{"bhyve bhyve ", "bhyve"},     std::pair{"ACRNACRNACRN", "ACRN"},
    std::pair{" lrpepyh  vr", "Parallels"}, std::pair{"GenuineIntel", "Intel"},
};

std::string read_hypervisor() {
  const auto answer = ask_cpuid(0x4000'0000, 0);
  if (!answer) return {};
  std::array<char, 13> letters{};
  std::memcpy(letters.data(), &answer->ebx, 4);
  std::memcpy(letters.data() + 4, &answer->ecx, 4);
  std::memcpy(letters.data() + 8, &answer->edx, 4);
  const std::string_view signature(letters.data());
  for (const auto& [known, name] : hypervisors)
    if (signature == known) return name;
  return std::string(signature);
}

void describe_virtual_machine(host_facts& host) {
  // Bit 31 of ecx is kept for hypervisors; no processor sets it itself.
  if (const auto features = ask_cpuid(1, 0)) {
    host.is_virtual = (features->ecx >> 31) != 0;
    if (host.is_virtual) host.hypervisor = read_hypervisor();
    return;
  }
  host.hypervisor = read_kernel_line("/sys/hypervisor/type");
  std::error_code problem;
  host.is_virtual =
      !host.hypervisor.empty() || std::filesystem::exists("/proc/device-tree/hypervisor", problem);
}

std::string find_container() {
  std::error_code problem;
  if (std::filesystem::exists("/.dockerenv", problem)) return "docker";
  if (std::filesystem::exists("/run/.containerenv", problem)) return "podman";
  return read_kernel_line("/run/systemd/container");
}

}  // namespace

host_facts describe_host() {
  host_facts host;
  utsname names{};
  if (::uname(&names) == 0) host.kernel = names.release;
  describe_virtual_machine(host);
  host.container = find_container();
  return host;
}

}  // namespace acre::tool
