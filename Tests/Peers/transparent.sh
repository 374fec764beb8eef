#!/usr/bin/env bash
# Mode transparent in network namespaces of its own: a client behind a veth pair, and a gateway whose packet filter sends the client's connections to
# the recorder. The server's addresses are the gateway's. Everything is in a PID namespace too, so that nothing is left when the script ends.
# What curl says goes to stdout, a line for each request. Exit status 77: the system does not let us make this, with the reason on stderr.
# usage: transparent.sh DIRECTORY TOOLS      DIRECTORY has origin-ca.pem, server.pem and server.key of a server called localhost
#        transparent.sh                      tries whether the system lets us
set -euo pipefail
directory=${1:-} tools=${2:-}
PATH=$PATH:/usr/sbin:/sbin

if [ -z "${IN_NAMESPACE:-}" ]; then
  options=(--net --pid --fork --kill-child --mount-proc)
  [ "$(id -u)" = 0 ] || options+=(--user --map-root-user)
  if ! reason=$(unshare "${options[@]}" true 2>&1); then echo "no namespaces: $reason" >&2; exit 77; fi
  IN_NAMESPACE=1 exec unshare "${options[@]}" bash "$0" "$@"
fi

# Runs a step without which nothing of this works.
need() {
  local said
  if ! said=$("$@" 2>&1); then echo "$*: $said" >&2; exit 77; fi
}

unshare --net sleep infinity &
client=$!
until [ "$(readlink "/proc/$client/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
in_client() { nsenter --target "$client" --net "$@"; }

need ip link add gateway type veth peer name client netns "$client"
for command in "link set lo up" "address add 192.168.77.1/24 dev gateway" "address add fd77::1/64 dev gateway nodad" "link set gateway up" \
  "address add 203.0.113.80/32 dev lo" "address add 2001:db8::80/128 dev lo nodad"; do
  # shellcheck disable=SC2086 # a command and its arguments
  need ip $command
done
for command in "link set lo up" "address add 192.168.77.2/24 dev client" "address add fd77::2/64 dev client nodad" "link set client up" \
  "route add default via 192.168.77.1" "route add default via fd77::1"; do
  # shellcheck disable=SC2086
  need in_client ip $command
done
# A port is free in a namespace that is new.
for filter in iptables ip6tables; do
  need "$filter" -t nat -A PREROUTING -i gateway -p tcp -j REDIRECT --to-ports 8080
done
[ -n "$directory" ] || exit 0

cd "$directory"
cat >origin.conf <<END
daemon off; master_process off; pid $directory/origin.pid; error_log stderr notice;
events {}
http {
  access_log off; client_body_temp_path $directory/t; proxy_temp_path $directory/t; fastcgi_temp_path $directory/t;
  uwsgi_temp_path $directory/t; scgi_temp_path $directory/t;
  server {
    listen 203.0.113.80:80; listen [2001:db8::80]:80; listen 203.0.113.80:443 ssl; listen [2001:db8::80]:443 ssl;
    ssl_certificate $directory/server.pem; ssl_certificate_key $directory/server.key;
    location / { return 200 "\$server_addr \$server_port \$scheme"; }
  }
}
END
nginx -e stderr -c "$directory/origin.conf" 2>origin.log &
until [ -s origin.pid ]; do kill -0 $! || { cat origin.log >&2; exit 1; }; sleep 0.02; done

"$tools/mitm-record" -w capture.mflow --confdir conf --ca-file origin-ca.pem \
  --mode transparent@192.168.77.1:8080 --mode 'transparent@[fd77::1]:8080' 2>record.log &
recorder=$!
until [ "$(grep -cs "listening on " record.log)" = 2 ]; do kill -0 $recorder || { cat record.log >&2; exit 1; }; sleep 0.02; done

# Asks for a URL as the client.
ask() { in_client curl -sS --max-time 20 --cacert conf/mitm-ca-cert.pem -w '\n' "$@" || echo "curl: $?"; }
ask http://203.0.113.80/
ask 'http://[2001:db8::80]/'
ask --resolve localhost:443:203.0.113.80 https://localhost/
ask --resolve 'localhost:443:[2001:db8::80]' https://localhost/
# The recorder itself, which would be a loop.
ask http://192.168.77.1:8080/
kill -TERM $recorder
wait $recorder
