# Becomes the first process of a nest (nest.py says what that is): lays out its files, then turns into systemd.
# Everything is mounted in this mount namespace alone; the machine's own files are never written.
set -eu
scratch=$1 checkout=$2 environment=$3 python=$4
units=/lib/systemd/system

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$scratch"
cd "$scratch"
mkdir -m 755 var run dev dev/pts home root opt opt/metahuman opt/checkout python
mkdir -m 1777 tmp dev/shm

# A /dev of its own: systemd leaves links in it (/dev/log).
for node in null zero full random urandom tty; do
  : > dev/$node
  mount --bind /dev/$node dev/$node
done
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

# The program, at the place that the unit names. Its first line names the interpreter as it is seen in here.
# All of it is the tests' own, and read only: nothing that is tried in a nest may harm it.
lend() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
}
lend "$environment" opt/metahuman
lend "$checkout" opt/checkout
lend "$python" python
printf '%s\n' '#!/opt/metahuman/bin/python' 'from metahuman_daemon.cli import main' 'main()' > metahuman
chmod 755 metahuman
mount --bind metahuman opt/metahuman/bin/metahuman

cp -a /etc etc
rm -rf etc/systemd/system
mkdir -p etc/systemd/system etc/sysusers.d etc/tmpfiles.d
for name in basic sysinit shutdown multi-user network nss-lookup; do
  cp $units/$name.target etc/systemd/system/
done
cp $units/systemd-journald.service $units/systemd-journald.socket $units/systemd-journald-dev-log.socket etc/systemd/system/
cat > etc/systemd/system/nest.target <<'END'
[Unit]
Requires=basic.target systemd-journald.service
After=basic.target systemd-journald.service
END
# Tests log a lot in a second, and none of it may be dropped.
mkdir -p etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' > etc/systemd/journald.conf.d/nest.conf
echo 0123456789abcdef0123456789abcdef > etc/machine-id

mkdir -p var/lib var/cache var/log
mkdir -m 1777 var/tmp
ln -s /run var/run

mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for folder in etc var run dev home root opt; do
  mount --rbind $folder /$folder
done
# What lies under a folder that was just covered is seen again at its own place.
mkdir -p "$python"
mount --bind python "$python"
mount --bind tmp /tmp
cd /
# As on a machine of its own: systemd mounts a service's credentials from a namespace beside this one. Nothing of it
# reaches the machine, whose mounts were let go of above.
mount --make-rshared /

exec env -i PATH="$PATH" container=nest SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_GENERATOR_PATH=/nowhere \
  /lib/systemd/systemd --system --unit=nest.target --log-target=journal
