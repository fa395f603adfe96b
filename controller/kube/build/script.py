"""What the init container runs: source, Dockerfile, package settings and registry credentials into the executor's volumes.

For busybox' sh. It says what went wrong as "Reason: words" in its termination message. Folders it works on:
/in/plan      the build's own Secret: Dockerfile, runtime.tar.gz, npmrc, pip.conf, ca.crt, url
/in/source    the source's Secret, when it is small enough for one
/in/registry, /in/packages    the operator's Secrets
/workspace, /credentials, /packages    what the executor gets
`timeout` and not `wget -T`: with that, Debian's busybox crashes.
"""

SCRIPT = r"""
set -eu
umask 022
fail() { echo "$1: $2" | tee /dev/termination-log >&2; exit 1; }
add() { if [ -f "$1" ]; then cat "$1" >> "$2"; echo >> "$2"; fi; }

fetch() {
  tries=0
  until timeout 300 wget -q -O /workspace/source.tar.gz "$(cat /in/plan/url)" 2> /workspace/error; do
    said=$(tail -n 1 /workspace/error)
    tries=$((tries + 1))
    case $said in
      *" 403"*|*" 404"*|*" 410"*) fail SourceMissing "the controller does not hand the source out (again): $said" ;;
      *" 424"*) fail ImageRegistryDenied "the source is kept in the image registry, which wants other credentials: $said" ;;
      *" 502"*) [ $tries -lt 3 ] || fail ImageRegistryUnavailable "the source is kept in the image registry, which cannot be read: $said" ;;
      *"No space"*) fail DiskFull "the source does not fit into the build's workspace: $said" ;;
    esac
    [ $tries -lt 60 ] || fail SourceUnreachable "the controller was asked $tries times for the source: $said"
    echo "waiting for the source: $said"
    sleep 2
  done
  archive=/workspace/source.tar.gz
}

archive=/in/source/source.tar.gz
[ -f $archive ] || fetch
digest=$(gzip -dc $archive | sha256sum) || fail SourceDamaged "the stored source cannot be unpacked: deploy it again"
[ "sha256:${digest%% *}" = "$SOURCE" ] || fail SourceDamaged "the stored source is not the one that was sent: deploy it again"

context=/workspace/context
case $INSTALL in "*") tree=$context/dependencies ;; *) tree=$context/function ;; esac
[ -z "$OWN" ] || tree=$context
mkdir -p $tree $context
tar -xzof $archive -C $tree 2> /workspace/error || fail DiskFull "the source cannot be unpacked: $(tail -n 1 /workspace/error)"
rm -f /workspace/source.tar.gz /workspace/error

if [ -z "$OWN" ]; then
  mkdir -p $context/dependencies $context/function $context/runtime
  case $INSTALL in "*") ;; *) for name in $INSTALL; do cp $context/function/$name $context/dependencies/; done ;; esac
  tar -xzof /in/plan/runtime.tar.gz -C $context/runtime
  cp /in/plan/Dockerfile /workspace/Dockerfile
fi

cp /in/plan/ca.crt /packages/ca.crt
cp /in/plan/npmrc /packages/npmrc
add /in/packages/npmrc /packages/npmrc
if [ -f /in/packages/pip.conf ]; then cp /in/packages/pip.conf /packages/pip.conf; else cp /in/plan/pip.conf /packages/pip.conf; fi
if [ -f /in/registry/config.json ]; then cp /in/registry/config.json /credentials/config.json; else echo '{}' > /credentials/config.json; fi
echo "laid down: $(find $context -type f | wc -l) files"
"""
