#!/bin/sh
# Becomes the program of a pod: on a root of its own, which is read-only, as a user without any
# capability. Runs in a mount namespace of its own, so that all of this ends with the program.
#
#   pod_root.sh ROOT UID GID MOUNTS -- PROGRAM...
#
# ROOT is an empty folder; MOUNTS a file with lines `ro|rw SOURCE TARGET`.
set -eu
root=$1 uid=$2 gid=$3 mounts=$4
shift 5

mount -t tmpfs -o mode=755 pod "$root"
for folder in usr etc proc dev var tmp; do mkdir -p "$root/$folder"; done
for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
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
mount -o remount,ro,mode=755 "$root"

exec chroot "$root" /usr/bin/setpriv --reuid "$uid" --regid "$gid" --clear-groups \
  --bounding-set=-all --inh-caps=-all --no-new-privs --pdeathsig KILL -- "$@"
