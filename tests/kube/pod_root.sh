#!/bin/sh
# Makes the root of a pod, which is read-only, and runs a command in it that has yet to enter it.
# Runs in a mount namespace of its own, so that all of this ends with the command.
#
#   pod_root.sh ROOT IMAGE MOUNTS COMMAND...
#
# ROOT is an empty folder; IMAGE the folder of an unpacked image, or empty for the system's /usr;
# MOUNTS a file with lines `ro|rw SOURCE TARGET`.
set -eu
root=$1 image=$2 mounts=$3
shift 3

mount -t tmpfs -o mode=755 pod "$root"
if [ -n "$image" ]; then
  # Places to mount at come into being above the image, which others have, too.
  mkdir "$root/above" "$root/work"
  mount -t overlay -o "lowerdir=$image,upperdir=$root/above,workdir=$root/work" pod "$root"
else
  mkdir "$root/usr" "$root/var" "$root/tmp"
  mount --bind /usr "$root/usr"
  mount -o remount,bind,ro "$root/usr"
  for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
fi
mkdir -p "$root/etc" "$root/proc" "$root/dev"
mount --rbind /proc "$root/proc"
for device in null zero random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
# As every engine of containers provides.
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777,size=64m,nosuid,nodev,noexec shm "$root/dev/shm"
while read -r mode source target; do
  if [ -d "$source" ]; then
    mkdir -p "$root$target"
  else
    mkdir -p "$(dirname "$root$target")"
    : > "$root$target"
  fi
  mount --bind "$source" "$root$target"
  [ "$mode" = rw ] || mount -o remount,bind,ro "$root$target"
done < "$mounts"
mount -o remount,ro "$root"

cd "$root"
exec "$@"
