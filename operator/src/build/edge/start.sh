#!/bin/sh
# nginx asks a resolver by itself and knows no search domains, so both come from the pod's own settings.
set -eu
resolvers='' domain=''
while read -r word first _; do
    case $word in
    nameserver)
        # An IPv6 address is written in brackets.
        case $first in *:*) first="[$first]" ;; esac
        resolvers="$resolvers $first"
        ;;
    search) domain=$first ;;
    esac
done </etc/resolv.conf
[ -n "$resolvers" ] && [ -n "$domain" ] || { echo "/etc/resolv.conf names no nameserver or no search domain" >&2; exit 1; }
mkdir -p /tmp/nginx/cache
# Names are asked for again each second, or donations would go to pods that are gone.
echo "resolver$resolvers valid=1s; resolver_timeout 2s;" >/tmp/nginx/resolver.conf
echo "server @API@.$domain:8080 resolve max_fails=1 fail_timeout=1s;" >/tmp/nginx/upstream.conf
exec nginx -e stderr -c /etc/doacoes/edge/nginx.conf
