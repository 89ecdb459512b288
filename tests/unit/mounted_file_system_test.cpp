#include "sqlite/mounted_file_system.hpp"

#include <optional>
#include <string>
#include <string_view>

#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

using Type = std::optional<std::string>;

constexpr std::string_view kRoot = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";

// A machine whose root is a local disk, with one more mount.
Type type_of(const std::string& mount, const char* folder = "/data", std::string_view device = "0:50") {
  return network_type_in(std::string(kRoot) + mount + "\n", folder, device);
}

std::string mounted(const std::string& type, const std::string& source = "source", const std::string& options = "rw") {
  return "90 27 0:50 / /data rw,nosuid shared:5 master:1 - " + type + " " + source + " " + options;
}

TEST(MountedFileSystem, IsKnownByItsType) {
  for (const char* network : {"nfs",
                              "nfs4",
                              "cifs",
                              "smb3",
                              "smbfs",
                              "9p",
                              "virtiofs",
                              "ceph",
                              "afs",
                              "coda",
                              "lustre",
                              "gfs2",
                              "ocfs2",
                              "vboxsf",
                              "vmhgfs",
                              "davfs",
                              "fuse.vmhgfs-fuse",
                              "fuse.sshfs",
                              "fuse.rclone",
                              "fuse.davfs",
                              "fuse.s3fs",
                              "fuse.gvfsd-fuse",
                              "fuse.ceph-fuse",
                              "fuse.glusterfs"}) {
    EXPECT_EQ(type_of(mounted(network)), network);
  }
  for (const char* local : {"ext4", "xfs", "btrfs", "tmpfs", "zfs", "f2fs", "vfat", "exfat", "fuseblk",
                            "fuse.gocryptfs", "fuse.mergerfs", "fuse.bindfs", "fuse", "nfsd", "sshfs2"}) {
    EXPECT_EQ(type_of(mounted(local)), std::nullopt) << local;
  }
}

TEST(MountedFileSystem, IsKnownByTheAddressOfItsSource) {
  EXPECT_EQ(type_of(mounted("fuse", "https://files.example/home")), "fuse of https://files.example/home");
  EXPECT_EQ(type_of(mounted("fuse", "/dev/fuse")), std::nullopt);
}

TEST(MountedFileSystem, IsTheInnermostAboveTheFolder) {
  const std::string mounts = mounted("nfs") + "\n91 90 8:1 / /data/local rw - ext4 /dev/sda rw";
  EXPECT_EQ(type_of(mounts, "/data", "0:50"), "nfs");
  EXPECT_EQ(type_of(mounts, "/data/sub/folder", "0:50"), "nfs");
  EXPECT_EQ(type_of(mounts, "/data/local", "8:1"), std::nullopt);
  EXPECT_EQ(type_of(mounts, "/data/local/sub", "8:1"), std::nullopt);
  EXPECT_EQ(type_of(mounts, "/data2", "254:0"), std::nullopt) << "only the same letters";
  EXPECT_EQ(type_of(mounts, "/", "254:0"), std::nullopt);
}

TEST(MountedFileSystem, IsTheOneThatHidesOthers) {
  const std::string below = "91 90 0:60 / /data/inner rw - ext4 /dev/sda rw";
  EXPECT_EQ(type_of(below + "\n" + mounted("nfs"), "/data/inner", "0:50"), "nfs") << "mounted over the other's folder";
  const std::string twice = mounted("ext4") + "\n" + mounted("nfs");
  EXPECT_EQ(type_of(twice), "nfs") << "at the same folder the last counts";
}

TEST(MountedFileSystem, IsFoundByItsFolderWhereItsDeviceIsAnother) {
  EXPECT_EQ(type_of(mounted("nfs"), "/data", "0:77"), "nfs");
  EXPECT_EQ(type_of(mounted("nfs"), "/data", ""), "nfs");
}

TEST(MountedFileSystem, MayHaveSpacesInItsName) {
  const std::string spaced = R"(90 27 0:50 / /my\040data\134x rw - nfs server:/a\040b rw)";
  EXPECT_EQ(type_of(spaced, "/my data\\x/sub"), "nfs");
  EXPECT_EQ(type_of(spaced, "/my"), std::nullopt);
}

struct Overlay {
  const char* options;
  Type type;
};

TEST(MountedFileSystem, IsForAnOverlayWhatTakesTheWrites) {
  const std::string layers =
      "80 27 0:40 / /net rw - nfs server:/export rw\n81 27 0:41 / /my:net,work rw - fuse.sshfs host: rw\n";
  for (const Overlay& overlay : {
           Overlay{"rw,lowerdir=/low:/net/image,upperdir=/up,workdir=/work", std::nullopt},
           Overlay{"rw,lowerdir=/low,upperdir=/net/up,workdir=/net/work", "nfs"},
           Overlay{"ro,lowerdir=/low:/net/image", "nfs"},
           Overlay{"ro,lowerdir=/low:/other", std::nullopt},
           Overlay{"ro,lowerdir+=/low,lowerdir+=/net/image", "nfs"},
           Overlay{R"(rw,lowerdir=/low,upperdir=/my:net\,work/up)", "fuse.sshfs"},
           Overlay{R"(ro,lowerdir=/low:/my\:net\,work/image)", "fuse.sshfs"},
           Overlay{"rw,lowerdir=/low,upperdir=net/up", std::nullopt},  // relative to nobody knows what
           Overlay{"rw", std::nullopt},
       }) {
    EXPECT_EQ(type_of(layers + mounted("overlay", "overlay", overlay.options)), overlay.type) << overlay.options;
  }
}

// A container sees the names of its layers, but not the layers.
TEST(MountedFileSystem, IsTakenForLocalWhereTheLayersAreNotToBeSeen) {
  const std::string_view container =
      "1 0 0:40 / / rw - overlay overlay "
      "rw,lowerdir=/var/lib/l/A:/var/lib/l/B,upperdir=/var/lib/u,workdir=/var/lib/w\n";
  EXPECT_EQ(network_type_in(container, "/app", "0:40"), std::nullopt);
}

TEST(MountedFileSystem, IsNotKnownFromWhatIsNoList) {
  for (const std::string_view text : {"", "\n\n", "27", "27 1 254:0", "27 1 254:0 / /data rw", "- nfs", "\\"}) {
    EXPECT_EQ(network_type_in(text, "/data", "0:50"), std::nullopt) << text;
  }
}

TEST(MountedFileSystem, IsKnownByItsMagicNumber) {
  for (const long network : {0x6969L, 0x517bL, 0xff534d42L, 0xfe534d42L, 0x01021997L, 0x00c36400L, 0x5346414fL,
                             0x73757245L, 0x0bd00bd0L, 0x01161970L, 0x7461636fL, 0x786f4256L}) {
    EXPECT_TRUE(network_type_of_magic(network)) << network;
  }
  constexpr long kExt4 = 0xef53;
  constexpr long kTmpfs = 0x01021994;
  constexpr long kXfs = 0x58465342;
  constexpr long kBtrfs = 0x9123683e;
  constexpr long kOverlay = 0x794c7630;
  constexpr long kFuse = 0x65735546;
  for (const long local : {kExt4, kTmpfs, kXfs, kBtrfs, kOverlay, kFuse, 0L}) {
    EXPECT_EQ(network_type_of_magic(local), std::nullopt) << local;
  }
}

TEST(MountedFileSystem, IsNotKnownOfAFolderThatIsMissing) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(network_type_of(folder / "missing"), std::nullopt);
}

// Of the folder /data on a machine whose root can be written.
bool is_read_only(const std::string& mount, std::string_view device) {
  return is_read_only_to_all_in(std::string(kRoot) + mount + "\n", "/data/app", device);
}

TEST(MountedFileSystem, IsReadOnlyToAllAsAWhole) {
  EXPECT_TRUE(is_read_only("90 27 7:0 / /data rw,relatime - squashfs /dev/loop0 ro,errors=continue", "7:0"));
  EXPECT_TRUE(is_read_only("90 27 11:0 / /data ro,relatime shared:2 - iso9660 /dev/sr0 ro,nojoliet", "11:0"));
  EXPECT_TRUE(is_read_only("90 27 8:1 / /data ro - ext4 /dev/sda1 ro", "8:1"));
  EXPECT_TRUE(is_read_only("90 27 0:31 /@ /data ro - btrfs /dev/sda2 ro,subvol=/@", "0:31"));
}

// By another mount, on another machine, or through another folder it can be written.
TEST(MountedFileSystem, IsNotReadOnlyToAllByAFlagOfOneMount) {
  EXPECT_FALSE(is_read_only("90 27 8:1 /here /data ro,relatime - ext4 /dev/sda1 rw,errors=remount-ro", "8:1"));
  EXPECT_FALSE(is_read_only("90 27 0:50 / /data ro - nfs4 server:/files ro", "0:50"));
  EXPECT_FALSE(is_read_only("90 27 0:50 / /data ro - fuse.bindfs /files ro", "0:50"));
  EXPECT_FALSE(is_read_only("90 27 0:50 / /data ro - overlay overlay ro,lowerdir=/a:/b", "0:50"));
  EXPECT_FALSE(is_read_only("", "254:0"));
}

}  // namespace
}  // namespace sqlane::detail
