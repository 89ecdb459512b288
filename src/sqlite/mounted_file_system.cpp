#include "sqlite/mounted_file_system.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#endif

namespace sqlane::detail {
namespace {

struct Magic {
  long number;
  const char* type;
};

constexpr long kFuse = 0x65735546;
constexpr long kOverlay = 0x794c7630;

constexpr std::array kNetworkMagics{
    Magic{0x6969, "nfs"},       Magic{0x517b, "smbfs"},        Magic{0xff534d42, "cifs"},   Magic{0xfe534d42, "smb3"},
    Magic{0x01021997, "9p"},    Magic{0x00c36400, "ceph"},     Magic{0x5346414f, "afs"},    Magic{0x6b414653, "afs"},
    Magic{0x73757245, "coda"},  Magic{0x564c, "ncpfs"},        Magic{0x0bd00bd0, "lustre"}, Magic{0x01161970, "gfs2"},
    Magic{0x7461636f, "ocfs2"}, Magic{0x786f4256, "vboxsf"},   Magic{0xbacbacbc, "vmhgfs"}, Magic{0x7c7c6673, "prl_fs"},
    Magic{0x47504653, "gpfs"},  Magic{0x20030528, "orangefs"}, Magic{0x19830326, "beegfs"},
};

// Without "fuse." in front.
constexpr auto kNetworkTypes = std::to_array<std::string_view>({
    "nfs",       "nfs4",      "smbfs",    "cifs",       "smb3",        "9p",       "virtiofs",      "ceph",
    "afs",       "coda",      "ncpfs",    "lustre",     "gfs2",        "ocfs2",    "vboxsf",        "vmhgfs",
    "prl_fs",    "gpfs",      "orangefs", "beegfs",     "davfs",       "davfs2",   "sshfs",         "rclone",
    "glusterfs", "ceph-fuse", "s3fs",     "gvfsd-fuse", "vmhgfs-fuse", "gcsfuse",  "blobfuse",      "blobfuse2",
    "juicefs",   "goofys",    "osxfs",    "grpcfuse",   "curlftpfs",   "smbnetfs", "mountpoint-s3",
});

// Local file systems that have no device number of a disk.
constexpr auto kLocalTypes = std::to_array<std::string_view>({"btrfs", "zfs", "bcachefs", "tmpfs", "ramfs"});

// One line of mountinfo(5).
struct Mount {
  std::string_view device;  // "major:minor"
  std::string folder;
  std::string_view type;
  std::string_view source;
  std::string_view options;
};

std::string_view take_until(std::string_view& rest, char end) {
  const std::size_t at = std::min(rest.find(end), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

// Spaces, tabs, newlines and backslashes stand there as three octal digits.
std::string without_escapes(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view digits = text.substr(i + 1, 3);
    if (text[i] == '\\' && digits.size() == 3 && std::ranges::all_of(digits, is_octal)) {
      plain += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

Mount read_mount(std::string_view line) {
  Mount mount;
  for (int i = 0; i < 2; ++i) take_until(line, ' ');  // ids
  mount.device = take_until(line, ' ');
  take_until(line, ' ');  // the root
  mount.folder = without_escapes(take_until(line, ' '));
  while (!line.empty() && take_until(line, ' ') != "-") {
  }
  mount.type = take_until(line, ' ');
  mount.source = take_until(line, ' ');
  mount.options = line;
  return mount;
}

bool is_below(const std::string& path, const std::string& folder) {
  if (folder == "/") return path.starts_with('/');
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// The one that `folder` is on: of those above it the innermost that has its device, since a mount can hide others; of
// equal ones the last.
std::optional<Mount> find_mount(std::string_view mountinfo, const std::string& folder, std::string_view device) {
  std::optional<Mount> found;
  const auto rank = [&](const Mount& mount) { return std::pair(mount.device == device, mount.folder.size()); };
  while (!mountinfo.empty()) {
    Mount mount = read_mount(take_until(mountinfo, '\n'));
    if (mount.folder.empty() || !is_below(folder, mount.folder)) continue;
    if (!found || rank(mount) >= rank(*found)) found = std::move(mount);
  }
  return found;
}

// The folders whose content an overlay shows, or those of them that take what is written. A comma or a colon in a name
// has a backslash before it.
std::vector<std::string> layers_of(std::string_view options) {
  std::vector<std::string> lower;
  const auto next = [](std::string_view& rest, char end) {
    std::string part;
    while (!rest.empty()) {
      const char c = rest.front();
      rest.remove_prefix(1);
      if (c == end) break;
      if (c == '\\' && !rest.empty() && (rest.front() == ',' || rest.front() == ':')) {
        if (end == ',') part += c;  // for the one who takes the layers apart
        part += rest.front();
        rest.remove_prefix(1);
      } else {
        part += c;
      }
    }
    return part;
  };
  while (!options.empty()) {
    const std::string option = next(options, ',');
    const std::size_t at = option.find('=');
    if (at == std::string::npos) continue;
    const std::string name = option.substr(0, at);
    const std::string value = without_escapes(std::string_view(option).substr(at + 1));
    std::string_view layers = value;
    if (name == "upperdir") return {next(layers, '\0')};
    if (name != "lowerdir" && name != "lowerdir+" && name != "datadir+") continue;
    while (!layers.empty()) lower.push_back(next(layers, ':'));
  }
  return lower;
}

// Shows by itself only where the file is: davfs2 calls itself "fuse".
bool has_address(const Mount& mount) {
  return mount.type.starts_with("fuse") && mount.source.find("://") != std::string_view::npos;
}

std::optional<std::string> find_network(std::string_view mountinfo, const std::string& folder, std::string_view device,
                                        int depth) {
  constexpr int kDeepest = 4;  // of overlays over overlays; the layers of a container are not to be seen inside it
  const std::optional<Mount> mount = find_mount(mountinfo, folder, device);
  if (!mount) return std::nullopt;
  if (mount->type == "overlay" && depth < kDeepest) {
    for (const std::string& layer : layers_of(mount->options)) {
      if (!layer.starts_with('/')) continue;
      if (std::optional<std::string> type = find_network(mountinfo, layer, "", depth + 1)) return type;
    }
    return std::nullopt;
  }
  constexpr std::string_view kPrefix = "fuse.";
  std::string_view name = mount->type;
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  if (std::ranges::find(kNetworkTypes, name) != kNetworkTypes.end()) return std::string(mount->type);
  if (has_address(*mount)) return std::string(mount->type) + " of " + std::string(mount->source);
  return std::nullopt;
}

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    if (take_until(options, ',') == wanted) return true;
  }
  return false;
}

#if defined(__linux__)
std::string device_of(const std::filesystem::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return "";
  return std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
}

std::string read_mountinfo() {
  std::ifstream file("/proc/self/mountinfo", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
#endif

}  // namespace

std::optional<std::string> network_type_of_magic(long magic) {
  const auto* const found =
      std::ranges::find_if(kNetworkMagics, [&](const Magic& known) { return known.number == magic; });
  if (found == kNetworkMagics.end()) return std::nullopt;
  return found->type;
}

std::optional<std::string> network_type_in(std::string_view mountinfo, const std::filesystem::path& folder,
                                           std::string_view device) {
  return find_network(mountinfo, folder.string(), device, 0);
}

bool is_read_only_to_all_in(std::string_view mountinfo, const std::filesystem::path& folder, std::string_view device) {
  const std::optional<Mount> mount = find_mount(mountinfo, folder.string(), device);
  if (!mount || !has_option(mount->options, "ro")) return false;
  const bool is_of_disk = !mount->device.starts_with("0:");
  return is_of_disk || std::ranges::find(kLocalTypes, mount->type) != kLocalTypes.end();
}

#if defined(__linux__)
bool is_read_only_to_all(const std::filesystem::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0 || (info.f_flag & ST_RDONLY) == 0) return false;
  return is_read_only_to_all_in(read_mountinfo(), folder, device_of(folder));
}

std::optional<std::string> network_type_of(const std::filesystem::path& folder) {
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) != 0) return std::nullopt;
  const auto magic = static_cast<long>(info.f_type);
  if (magic != kFuse && magic != kOverlay) return network_type_of_magic(magic);
  return network_type_in(read_mountinfo(), folder, device_of(folder));
}
#else
bool is_read_only_to_all(const std::filesystem::path& /*folder*/) { return false; }
std::optional<std::string> network_type_of(const std::filesystem::path& /*folder*/) { return std::nullopt; }
#endif

}  // namespace sqlane::detail
