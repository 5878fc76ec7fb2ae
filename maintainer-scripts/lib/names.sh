# Where everything is. The first values are rendered in, already quoted for the shell.
name=@NAME@
prefix=@PREFIX@
version=@VERSION@
id=@ID@
# What the name of the delivered archive ends with; nothing where the release was delivered as files.
packed=@PAYLOAD@

# dpkg sets DPKG_ROOT when it installs into a foreign root without chroot.
root=${DPKG_ROOT:-}
base=$root$prefix
state=$root/var/lib/relpack/$name
# The release as it was brought here, with its manifest beside it.
delivered=$base/payload/$id
# On the root file system: generators read it before $prefix or /var are mounted.
unitstore=$root/usr/lib/relpack/$name
unitdir=$root/usr/lib/systemd/system
pinfile=$root/etc/apt/preferences.d/relpack-$name.pref
facts=$root/etc/relpack/$name.conf
proxy_conf=$root/etc/nginx/conf.d/relpack-$name.conf
# The processes of nginx that a change found at work: after a boot others have their numbers.
proxy_workers=$root/run/relpack/$name/proxy.workers
migrate_unit=$name-migrate.service
# By the generator, at the boot after an activation that ended with the host.
resume_unit=relpack-resume-$name.service

LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Neither does a temporary directory, a colour or an option from the caller's environment change what is done here.
SYSTEMD_COLORS=0
SYSTEMD_URLIFY=0
export LC_ALL PATH SYSTEMD_COLORS SYSTEMD_URLIFY
unset TMPDIR POSIXLY_CORRECT TAR_OPTIONS GREP_OPTIONS CDPATH SYSTEMD_OFFLINE SYSTEMD_LOG_LEVEL
umask 022
tab=$(printf '\t')
nl='
'
